"""Layers without variables: flatten, softmax, one-hot, unit norm, maxout."""

from typing import Any

import tensorflow as tf

from slim._shapes import static_sizes
from slim.arg_scope import add_arg_scope
from slim.layers import _common as common
from slim.passes import current_pass
from slim.variables import variable_scope


@add_arg_scope
def flatten(
    inputs: tf.Tensor, outputs_collections: Any = None, scope: str | None = None
) -> tf.Tensor:
    """Flattens the inputs to [batch, size].

    Args:
      inputs: of rank 1 or more; rank 1 becomes [batch, 1].
      outputs_collections: collections to which the output is added.
      scope: name of the layer.

    Raises:
      ValueError: if the rank is 0 or not known.
    """
    inputs = tf.convert_to_tensor(inputs)
    if not inputs.shape.rank:
        raise ValueError(f"inputs have shape {inputs.shape}, but flatten needs a batch axis")
    batch, width = static_sizes(inputs)[0], inputs.shape[1:].num_elements()
    # The inner scope is TF-Slim's layer object's, and part of the op's name.
    with tf.name_scope(scope or "Flatten") as name_scope, tf.name_scope("flatten"):
        if inputs.shape.rank == 1:
            outputs = tf.expand_dims(inputs, 1)
        elif batch is None and width is None:
            outputs = tf.reshape(inputs, [tf.shape(inputs)[0], -1])
        else:
            shape = tf.constant([-1 if size is None else size for size in (batch, width)])
            outputs = tf.reshape(inputs, shape)
    return common.note_output(outputs_collections, name_scope, scope, "Flatten", outputs)


@add_arg_scope
def softmax(logits: tf.Tensor, scope: Any = None) -> tf.Tensor:
    """Returns the softmax over the last axis, in the shape of the logits."""
    logits = tf.convert_to_tensor(logits)
    with variable_scope(scope, "softmax"):
        flat = tf.reshape(logits, [-1, common.static_channels(logits, -1)], name="Reshape")
        predictions = tf.reshape(tf.nn.softmax(flat), tf.shape(logits), name="Reshape_1")
        predictions.set_shape(logits.shape)
        return predictions


@add_arg_scope
def one_hot_encoding(
    labels: tf.Tensor,
    num_classes: int,
    on_value: float = 1.0,
    off_value: float = 0.0,
    outputs_collections: Any = None,
    scope: str | None = None,
) -> tf.Tensor:
    """Returns one-hot vectors, float32 [batch, num_classes].

    Args:
      labels: integers, [batch]; a label outside the classes becomes a row of `off_value`.
      num_classes: number of classes.
      on_value: value at the label.
      off_value: value elsewhere.
      outputs_collections: collections to which the output is added.
      scope: name of the layer.
    """
    labels = tf.convert_to_tensor(labels)
    with tf.name_scope(scope or "OneHotEncoding") as name_scope:
        labels = tf.cast(labels, tf.int64, "ToInt64") if labels.dtype == tf.int32 else labels
        outputs = tf.one_hot(labels, num_classes, on_value=on_value, off_value=off_value)
    return common.note_output(outputs_collections, name_scope, scope, "OneHotEncoding", outputs)


@add_arg_scope
def unit_norm(
    inputs: tf.Tensor, dim: int, epsilon: float = 1e-7, scope: str | None = None
) -> tf.Tensor:
    """Divides by the Euclidean norm along axis `dim`.

    Args:
      inputs: a tensor of known rank.
      dim: the axis.
      epsilon: added to the squared norm.
      scope: name of the layer.

    Raises:
      ValueError: if `dim` is not an axis of the inputs.
    """
    inputs = tf.convert_to_tensor(inputs)
    rank = inputs.shape.rank
    if rank is None or not 0 <= dim < rank:
        raise ValueError(
            f"dim={dim} must be an axis of the inputs, which have shape {inputs.shape}"
        )
    with tf.name_scope(scope or "UnitNorm"):
        norm = tf.sqrt(epsilon + tf.reduce_sum(tf.square(inputs), dim, keepdims=True))
        return tf.divide(inputs, current_pass().repeated(norm, inputs, dim), name="div")


@add_arg_scope
def maxout(
    inputs: tf.Tensor, num_units: int, axis: int = -1, scope: str | None = None
) -> tf.Tensor:
    """Returns the maximum of each group of channels (Goodfellow et al.,
    https://arxiv.org/abs/1302.4389).

    Args:
      inputs: a tensor.
      num_units: number of output channels; must divide that of the inputs.
      axis: of the channels.
      scope: name of the layer.

    Raises:
      ValueError: if `num_units` does not divide the channels, or there is no such axis.
    """
    inputs = tf.convert_to_tensor(inputs)
    axis = common.axis_of(axis, common.known_rank(inputs, 1), "axis")
    channels = common.static_channels(inputs, axis)
    if num_units < 1 or channels % num_units:
        raise ValueError(
            f"number of features({channels}) is not a multiple of num_units({num_units})"
        )
    with tf.name_scope(scope or "MaxOut"):
        sizes = [
            tf.shape(inputs)[i] if size is None else size
            for i, size in enumerate(static_sizes(inputs))
        ]
        sizes[axis : axis + 1] = [num_units, channels // num_units]
        return tf.reduce_max(tf.reshape(inputs, sizes), axis + 1)
