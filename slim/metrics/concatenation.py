"""`streaming_concat`: all batches as one tensor, in variables that grow; on `tf.compat.v1`."""

import math

import tensorflow as tf

from slim.metrics._streams import Stream, local_variable, stream


@stream("streaming_concat", eager=None)
def streaming_concat(
    values, axis=0, max_size=None, metrics_collections=None, updates_collections=None, name=None
) -> Stream:
    """Concatenates the values of all batches.

    The rank and the other axes must be known; ValueError if not.
    """
    values = tf.convert_to_tensor(values)
    others, axis = _other_axes(values.shape, axis)
    rank = values.shape.rank
    array = local_variable(
        "array", [max_size or 0, *others], values.dtype.base_dtype, validate_shape=False
    )
    size = local_variable("size", dtype=tf.int32)
    # The variable's first axis is the one along which batches are concatenated.
    batch = tf.transpose(values, [axis, *(i for i in range(rank) if i != axis)])
    if max_size is not None:
        batch = batch[: max_size - size]
    total = size + tf.shape(batch)[0]
    with tf.control_dependencies([_with_room(array, total)]):
        append = array[size:total].assign(batch)
    with tf.control_dependencies([append]):
        update = size.assign(total)

    joined = array[:size]
    joined.set_shape([None, *others])
    back = [0 if i == axis else i + (i < axis) for i in range(rank)]
    return tf.transpose(joined, back, name="concat"), update


def _other_axes(shape: tf.TensorShape, axis: int) -> tuple[list[int], int]:
    """Returns the sizes of the axes other than `axis`, and `axis` counted from the front."""
    if shape.rank is None:
        raise ValueError("values must have a known rank; set it with values.set_shape(...)")
    if not -shape.rank <= axis < shape.rank:
        raise ValueError(f"axis={axis} is not an axis of values with shape {shape}")
    axis %= shape.rank
    others = [size for i, size in enumerate(shape.as_list()) if i != axis]
    if None in others:
        raise ValueError(
            f"values has shape {shape}; every axis but axis={axis} must be known. Set it with "
            "values.set_shape(...)"
        )
    return others, axis


def _with_room(array: tf.Variable, size: tf.Tensor) -> tf.Operation:
    """Returns the op that enlarges the array if its first axis is smaller than `size`."""
    capacity = tf.shape(array)[0]

    def enlarge() -> tf.Operation:
        shape = tf.concat([[_next_array_size(size) - capacity], tf.shape(array)[1:]], 0)
        larger = tf.concat([array, tf.zeros(shape, array.dtype.base_dtype)], 0)
        with tf.control_dependencies([larger]):
            return tf.group(tf.compat.v1.assign(array, larger, validate_shape=False))

    return tf.cond(size > capacity, enlarge, tf.no_op)


def _next_array_size(required_size: tf.Tensor, growth_factor: float = 1.5) -> tf.Tensor:
    """Returns the next power of the growth factor, rounded up, so that copies are few."""
    required = tf.cast(required_size, tf.float64)
    exponent = tf.math.ceil(tf.math.log(required) / math.log(growth_factor))
    return tf.cast(tf.math.ceil(tf.constant(growth_factor, tf.float64) ** exponent), tf.int32)
