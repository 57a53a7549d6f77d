"""Fake quantization: float computation with the rounding of 8-bit inference.

(Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018; Krishnamoorthi, "Quantizing Deep Convolutional Networks
for Efficient Inference", 2018.)
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf

from slim.initializers import constant_initializer
from slim.pass_records import Quantization
from slim.passes import current_pass
from slim.variables import model_variable, variable_scope

__all__ = ["fake_quantization", "round_weights"]

# Scope of a layer's range within its own, as in TF-Slim's quantized checkpoints.
SCOPE = "act_quant"
# Largest absolute value of a weight as an integer.
_LARGEST = 127
# Decay of the ranges' moving averages.
_DECAY = 0.999
# Initial ranges.
_FIRST = {"min": -6.0, "max": 6.0}


@contextlib.contextmanager
def fake_quantization(delay: int = 0, weights: bool = True) -> Iterator[None]:
    """Makes layers round their weights and outputs to 8 bits.

    Convolutions of all kinds and fully connected layers round

    - their weights as TensorFlow Lite does: symmetrically to 255 values, each output channel by its
      current largest absolute value. A batch norm that is folded into the convolution scales whole
      channels, so the folded weights round to the same integers, and no ranges of weights need to
      be stored;
    - their outputs, after the activation, to 256 values of a range that includes zero, stored in
      the layer's variables `act_quant/min` and `act_quant/max`: an exponential moving average of
      the batches' ranges, with decay 0.999.

    Gradients pass through the rounding, except to outputs beyond the range.

    In a pass with a training step (`store.as_default(step=...)`), each batch updates the ranges,
    and values are rounded from step `delay`. In other passes values are rounded and ranges fixed.

    Args:
      delay: number of training steps before values are rounded.
      weights: whether to round weights as well as outputs; see `round_weights`.
    """
    one_pass = current_pass()
    outer, one_pass.quantization = one_pass.quantization, Quantization(delay, weights)
    try:
        yield
    finally:
        one_pass.quantization = outer


def round_weights(variables: Mapping[str, tf.Variable], axes: Mapping[str, Sequence[int]]) -> None:
    """Rounds weights in place, so that inference need not round them each time.

    Args:
      variables: by name.
      axes: `Pass.quantized` of a pass within `fake_quantization`: the weights to round, with the
        axes of their output channels.
    """
    for name, channels in axes.items():
        variables[name].assign(_round_channels(tf.convert_to_tensor(variables[name]), channels))


def quantized_weights(weights: tf.Variable | tf.Tensor, axes: Sequence[int] = (-1,)) -> tf.Tensor:
    """Returns weights rounded to 8 bits, or unchanged outside `fake_quantization`.

    Args:
      weights: of a layer.
      axes: of the output channels, one or several, as negative numbers.
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
    """Returns the outputs of the current scope's layer rounded to 8 bits, or unchanged outside
    `fake_quantization`."""
    one_pass = current_pass()
    if one_pass.quantization is None:
        return outputs
    with variable_scope(SCOPE):
        low, high = _bound("min"), _bound("max")
        if one_pass.step is not None and not one_pass.is_replay:
            _update_range((low, high), tf.cast(outputs, tf.float32), one_pass.step)
        return _rounded_if_due(
            outputs,
            lambda values: tf.quantization.fake_quant_with_min_max_vars(values, low, high),
        )


def _rounded_if_due(tensor: tf.Tensor, rounded: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    delay, step = current_pass().quantization.delay, current_pass().step
    values = tf.cast(tensor, tf.float32)
    if step is None or delay == 0:
        result = rounded(values)
    else:
        result = tf.cond(step >= delay, lambda: rounded(values), lambda: values)
    return tf.cast(result, tensor.dtype)


def _round_channels(weights: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    # Equal to `fake_quant_with_min_max_vars_per_channel`, which is a hundred times slower on a CPU.
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
        # Each replica has the ranges of its own batches; reading returns the mean.
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.MEAN,
    )


def _update_range(bounds: Sequence[tf.Variable], outputs: tf.Tensor, step: tf.Tensor) -> None:
    # Zero, the padding value, must be one of the 256 values.
    now = tf.minimum(tf.reduce_min(outputs), 0.0), tf.maximum(tf.reduce_max(outputs), 0.0)
    batches = tf.cast(step + 1, tf.float64)
    rate = tf.cast((1 - _DECAY) / -tf.math.expm1(batches * math.log(_DECAY)), tf.float32)
    for bound, value in zip(bounds, now, strict=True):
        bound.assign_sub((bound - tf.stop_gradient(value)) * rate)
