"""Fake quantization: a network that computes in floats and feels the rounding of 8-bit inference.

(Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018; Krishnamoorthi, "Quantizing Deep Convolutional Networks
for Efficient Inference", 2018.)
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf

from slim.initializers import constant_initializer
from slim.store import Quantization, current_pass
from slim.variables import model_variable, variable_scope

__all__ = ["fake_quantization", "round_weights"]

# Scope of a layer's range below its own, as in the original's quantized checkpoints.
SCOPE = "act_quant"
# Of a weight as an integer.
_LARGEST = 127
# Share of the older batches that a step keeps of a range.
_DECAY = 0.999
# Of a range that nothing has moved.
_FIRST = {"min": -6.0, "max": 6.0}


@contextlib.contextmanager
def fake_quantization(delay: int = 0, weights: bool = True) -> Iterator[None]:
    """Makes layers round their weights and their outputs to what 8 bits hold.

    Convolutions of all kinds and fully connected layers round

    - their weights as TensorFlow Lite does: symmetrically to 255 values, each output channel by its
      own largest absolute value of the moment. A batch norm that is folded into the convolution
      scales whole channels, so the folded weights are rounded to the same integers; and no range of
      weights has to be kept;
    - their outputs, behind the activation, to 256 values of a range with zero in it, which is kept
      in the layer's variables `act_quant/min` and `act_quant/max`: the mean of the batches' ranges,
      of which each counts 0.999 of the one after it.

    Gradients pass through the rounding, except to outputs beyond the range.

    Where the pass says the training step (`store.as_default(step=...)`), ranges move with each
    batch, and values are rounded from the step `delay` on. Elsewhere ranges stay as they are and
    values are rounded.

    Args:
      delay: number of training steps before values are rounded.
      weights: whether to round weights, or else outputs alone; see `round_weights`.
    """
    one_pass = current_pass()
    outer, one_pass.quantization = one_pass.quantization, Quantization(delay, weights)
    try:
        yield
    finally:
        one_pass.quantization = outer


def round_weights(variables: Mapping[str, tf.Variable], axes: Mapping[str, Sequence[int]]) -> None:
    """Rounds weights for good, for inference that need not do so each time.

    Args:
      variables: by name.
      axes: `Pass.quantized` of a pass within `fake_quantization`: which of them, and their output
        channels.
    """
    for name, channels in axes.items():
        variables[name].assign(_round_channels(tf.convert_to_tensor(variables[name]), channels))


def quantized_weights(weights: tf.Variable | tf.Tensor, axes: Sequence[int] = (-1,)) -> tf.Tensor:
    """Returns weights as 8 bits hold them, or as they are outside of `fake_quantization`.

    Args:
      weights: of a layer.
      axes: those of the output channels, one or several, as negative numbers.
    """
    one_pass = current_pass()
    if one_pass.quantization is None:
        return weights
    name = one_pass.store.name_of(weights)
    if name is not None:
        one_pass.quantized[name] = tuple(axes)
    if not one_pass.quantization.weights:
        return weights
    return _rounded_if_due(
        weights, lambda values: values + tf.stop_gradient(_round_channels(values, axes) - values)
    )


def quantized_activations(outputs: tf.Tensor) -> tf.Tensor:
    """Returns the outputs of the current scope's layer as 8 bits hold them, or as they are outside
    of `fake_quantization`."""
    one_pass = current_pass()
    if one_pass.quantization is None:
        return outputs
    with variable_scope(SCOPE):
        low, high = _bound("min"), _bound("max")
        if one_pass.step is not None and not one_pass.is_replay:
            _move((low, high), tf.cast(outputs, tf.float32), one_pass.step)
        return _rounded_if_due(
            outputs,
            lambda values: tf.quantization.fake_quant_with_min_max_vars(values, low, high),
        )


def _rounded_if_due(tensor: tf.Tensor, rounded: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    delay, step = current_pass().quantization.delay, current_pass().step
    values = tf.cast(tensor, tf.float32)
    if step is None or delay == 0:
        found = rounded(values)
    else:
        found = tf.cond(step >= delay, lambda: rounded(values), lambda: values)
    return tf.cast(found, tensor.dtype)


def _round_channels(weights: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    # `fake_quant_with_min_max_vars_per_channel` gives the same, in a hundred times the time
    # on a CPU.
    channels = [axis % weights.shape.rank for axis in axes]
    others = [axis for axis in range(weights.shape.rank) if axis not in channels]
    scale = tf.reduce_max(tf.abs(weights), axis=others, keepdims=True) / _LARGEST
    return tf.round(tf.math.divide_no_nan(weights, scale)) * scale


def _bound(name: str) -> tf.Variable:
    return model_variable(
        name,
        [],
        tf.float32,
        constant_initializer(_FIRST[name]),
        trainable=False,
        # Each replica has ranges of its own batches; reading them takes the mean.
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.MEAN,
    )


def _move(bounds: Sequence[tf.Variable], outputs: tf.Tensor, step: tf.Tensor) -> None:
    # Zero, which padding consists of, has to be one of the 256 values.
    now = tf.minimum(tf.reduce_min(outputs), 0.0), tf.maximum(tf.reduce_max(outputs), 0.0)
    batches = tf.cast(step + 1, tf.float64)
    share = tf.cast((1 - _DECAY) / -tf.math.expm1(batches * math.log(_DECAY)), tf.float32)
    for bound, value in zip(bounds, now, strict=True):
        bound.assign_sub((bound - tf.stop_gradient(value)) * share)
