"""The fully connected layer of TF-Slim's first version; `slim.fully_connected` replaced it."""

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slim.graph import KEYS, in_graph
from slim.layers import _common as common
from slim.outputs import collect_named_outputs
from slim.variables import variable, variable_scope


def legacy_fully_connected(
    x: tf.Tensor,
    num_output_units: int,
    activation_fn: common.Activation = None,
    weight_init: Any = common.XAVIER,
    bias_init: Any = common.ZEROS,
    name: Any = None,
    weight_collections: Sequence[str] | None = (KEYS.WEIGHTS,),
    bias_collections: Sequence[str] | None = (KEYS.BIASES,),
    output_collections: Sequence[str] | None = (KEYS.ACTIVATIONS,),
    trainable: bool = True,
    weight_regularizer: Any = None,
    bias_regularizer: Any = None,
) -> tf.Tensor:
    """Multiplies the last axis by a matrix, adds a bias and activates.

    Creates `weights` [in, num_output_units] and `bias` [num_output_units], which are no model
    variables.

    Args:
      x: [..., in], of rank 2 or more.
      num_output_units: number of units.
      activation_fn: activation function, or None.
      weight_init: initializer of the weights.
      bias_init: initializer of the bias, or None for no bias.
      name: name of the layer.
      weight_collections: collections for the weights.
      bias_collections: collections for the bias.
      output_collections: collections for the output, besides "activations".
      trainable: whether optimizers may change the variables.
      weight_regularizer: penalty on the weights.
      bias_regularizer: penalty on the bias.

    Raises:
      ValueError: if the rank is unknown or below 2, or the last size is unknown.
    """
    with variable_scope(name, "fully_connected", [x]) as sc:
        x = tf.convert_to_tensor(x)
        num_inputs = _width(x)

        def new(leaf: str, shape: Any, initializer: Any, regularizer: Any, names: Any) -> Any:
            names = {*(names or ()), KEYS.GLOBAL_VARIABLES}
            return variable(leaf, shape, x.dtype, initializer, regularizer, trainable, names)

        shape = [num_inputs, num_output_units]
        weights = new("weights", shape, weight_init, weight_regularizer, weight_collections)
        y = tf.matmul(x if x.shape.rank == 2 else tf.reshape(x, [-1, num_inputs]), weights)
        if bias_init is not None:
            bias = new("bias", shape[1:], bias_init, bias_regularizer, bias_collections)
            y = tf.nn.bias_add(y, bias)
        if x.shape.rank > 2:
            y = tf.reshape(y, tf.stack([*tf.unstack(tf.shape(x))[:-1], num_output_units]))
            y.set_shape([*x.shape[:-1], num_output_units])
        if activation_fn is not None:
            y = activation_fn(y)
        collections = dict.fromkeys([*(output_collections or ()), KEYS.ACTIVATIONS])
        return collect_named_outputs(list(collections), y.op.name if in_graph() else sc.name, y)


def _width(x: tf.Tensor) -> int:
    if x.shape.rank is None:
        raise ValueError("dims of x must be known but is None")
    if x.shape.rank < 2:
        raise ValueError(f"rank of x must be at least 2 not: {x.shape.rank}")
    if x.shape[-1] is None:
        raise ValueError("last dimension of x must be known but is None")
    return x.shape[-1]


legacy_relu = functools.partial(legacy_fully_connected, activation_fn=tf.nn.relu)
legacy_linear = functools.partial(legacy_fully_connected, activation_fn=None)
