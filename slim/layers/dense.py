"""Fully connected layers, biases and dropout."""

import functools
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.layers import _common as common
from slim.layers import _half_precision as half_precision
from slim.outputs import collect_named_outputs
from slim.passes import current_pass
from slim.variables import model_variable, variable_scope


@add_arg_scope
def fully_connected(
    inputs: tf.Tensor,
    num_outputs: int,
    activation_fn: common.Activation = tf.nn.relu,
    normalizer_fn: Any = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_initializer: Any = common.XAVIER,
    weights_regularizer: Any = None,
    biases_initializer: Any = common.ZEROS,
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> tf.Tensor:
    """Multiplies the last axis by a matrix, then normalizes (or adds biases), then activates.

    Creates `weights` [in, num_outputs] and, without a normalizer, `biases` [num_outputs].
    The other arguments are those of `convolution`.

    Args:
      inputs: [..., in], of rank 2 or more.
      num_outputs: number of units.

    Raises:
      ValueError: if `num_outputs` is not an integer, or the inputs have rank below 2 or an
        unknown last size.
    """
    num_outputs = tf.compat.dimension_value(num_outputs)
    if not isinstance(num_outputs, numbers.Integral) or isinstance(num_outputs, bool):
        raise ValueError(f"num_outputs={num_outputs!r} must be an integer, such as 64")
    inputs = tf.convert_to_tensor(inputs)
    common.known_rank(inputs, 2)
    channels = common.static_channels(inputs, -1)
    layer = common.Layer(
        activation_fn, normalizer_fn, normalizer_params, weights_initializer, weights_regularizer,
        biases_initializer, biases_regularizer, reuse, variables_collections, outputs_collections,
        trainable, scope,
    )  # fmt: skip
    with layer.open("fully_connected"):
        weights = layer.weights([channels, num_outputs], inputs.dtype)
        biases = layer.biases(num_outputs, inputs.dtype)
        if inputs.shape.rank == 2:
            outputs = tf.matmul(inputs, weights, name="MatMul")
        else:
            outputs = tf.tensordot(inputs, weights, 1, name="Tensordot")
        return layer.finish(outputs, biases)


relu = functools.partial(fully_connected, activation_fn=tf.nn.relu)
relu6 = functools.partial(fully_connected, activation_fn=tf.nn.relu6)
elu = functools.partial(fully_connected, activation_fn=tf.nn.elu)
linear = functools.partial(fully_connected, activation_fn=None)


@add_arg_scope
def bias_add(
    inputs: tf.Tensor,
    activation_fn: common.Activation = None,
    initializer: Any = common.ZEROS,
    regularizer: Any = None,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str = "NHWC",
    scope: Any = None,
) -> tf.Tensor:
    """Adds a learned number to each channel.

    Creates `biases` [channels].

    Args:
      inputs: [batch, ..., channels], or [batch, channels, height, width] for "NCHW".
      activation_fn: activation function, applied last.
      initializer: initial value of the biases.
      regularizer: penalty on the biases.
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables.
      outputs_collections: collections to which the output is added.
      trainable: whether optimizers may change the biases.
      data_format: "NHWC" or "NCHW".
      scope: name of the layer.

    Raises:
      ValueError: for an unknown data format, or "NCHW" where the rank is not 4.
    """
    inputs = tf.convert_to_tensor(inputs)
    first = common.check_data_format(data_format)
    if first:
        common.check_rank(inputs, 4, layer="BiasAdd of NCHW")
    with variable_scope(scope, "BiasAdd", reuse=reuse) as sc:
        biases = model_variable(
            "biases",
            [common.static_channels(inputs, 1 if first else -1)],
            inputs.dtype,
            initializer,
            regularizer,
            trainable,
            common.collections_of(variables_collections, "biases"),
        )
        outputs = common.add_bias(inputs, biases, data_format if first else None)
        outputs = half_precision.activated(activation_fn, outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@add_arg_scope
def dropout(
    inputs: tf.Tensor,
    keep_prob: float = 0.5,
    noise_shape: Sequence[int] | None = None,
    is_training: bool | tf.Tensor = True,
    outputs_collections: Any = None,
    scope: Any = None,
    seed: int | None = None,
) -> tf.Tensor:
    """Keeps each value with probability `keep_prob`, divided by it, and zeroes the others.

    Within a pass that has a seed (`store.as_default(seed=...)`) the mask is a function of that
    seed and of the layer's name, so a resumed run drops the same values.

    Args:
      inputs: a floating tensor.
      keep_prob: probability to keep a value, in (0, 1].
      noise_shape: shape of the random mask, broadcast to the inputs; the inputs' shape by default.
      is_training: whether to drop values; if not, the inputs are returned unchanged.
      outputs_collections: collections to which the output is added.
      scope: name of the layer.
      seed: makes the random mask the same at every step.

    Raises:
      ValueError: if `keep_prob` is out of range.
    """
    if not isinstance(keep_prob, tf.Tensor) and not 0.0 < keep_prob <= 1.0:
        raise ValueError(f"keep_prob={keep_prob} must lie in (0, 1], the fraction to keep")
    inputs = tf.convert_to_tensor(inputs)
    with variable_scope(scope, "Dropout") as sc:
        current_pass().enter_layer()

        def dropped() -> tf.Tensor:
            seeds = current_pass().draw_seed(sc.name, seed)
            if seeds is None:
                return tf.nn.dropout(inputs, 1.0 - keep_prob, noise_shape, seed)
            return tf.nn.experimental.stateless_dropout(
                inputs, 1.0 - keep_prob, seeds, rng_alg="philox", noise_shape=noise_shape
            )

        if not tf.is_tensor(keep_prob) and keep_prob == 1.0:
            is_training = False
        outputs = common.smart_cond(
            is_training, dropped, lambda: tf.identity(inputs, name="Identity")
        )
        return collect_named_outputs(outputs_collections, sc.name, outputs)
