"""Sparse tensors from dense ones, such as labels for a CTC loss."""

import numbers
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.outputs import collect_named_outputs
from slim.variables import variable_scope

__all__ = [
    "dense_to_sparse", "dense_to_sparse_tensor", "indicators_to_sparse_ids", "sparse_row_envelope",
]  # fmt: skip


@add_arg_scope
def dense_to_sparse(
    tensor: tf.Tensor, eos_token: int = 0, outputs_collections: Any = None, scope: Any = None
) -> tf.SparseTensor:
    """Returns the entries of labels that differ from the token at the end of a sequence.

    Args:
      tensor: integers, of any shape.
      eos_token: the value that is dropped.
      outputs_collections: collections to which the output is added.
      scope: name of the layer.
    """
    with variable_scope(scope, "dense_to_sparse", [tensor]) as sc:
        tensor = tf.convert_to_tensor(tensor)
        outputs = _without(tensor, tf.constant(eos_token, tensor.dtype))
        return collect_named_outputs(outputs_collections, sc.name, outputs)


def dense_to_sparse_tensor(dense_tensor: tf.Tensor, ignore_value: Any = None) -> tf.SparseTensor:
    """Returns the entries of a tensor that differ from `ignore_value`.

    Args:
      dense_tensor: of any type, shape and rank.
      ignore_value: the value that is dropped; None drops zero, False or "".
    """
    with tf.name_scope("DenseToSparseTensor"):
        dense_tensor = tf.convert_to_tensor(dense_tensor)
        return _without(dense_tensor, _ignored(dense_tensor.dtype, ignore_value))


def indicators_to_sparse_ids(
    indicators: tf.Tensor, ignore_value: Any = None, dtype: tf.DType = tf.int64
) -> tf.SparseTensor:
    """Returns the indices of the classes that are present.

    Args:
      indicators: [..., num_classes]; an entry other than `ignore_value` marks a class as present.
      ignore_value: marks absent classes; None stands for zero, False or "".
      dtype: integer type of the result.

    Returns:
      The class indices, sorted, at the front of each row: [..., largest number of classes in a
      row].

    Raises:
      ValueError: if `dtype` is not an integer type.
    """
    dtype = tf.as_dtype(dtype)
    if not dtype.is_integer:
        raise ValueError(f"dtype={dtype.name} must be an integer type")
    with tf.name_scope("indicators_to_sparse_ids"):
        indicators = tf.convert_to_tensor(indicators, name="indicators")
        is_present = tf.not_equal(indicators, _ignored(indicators.dtype, ignore_value))
        # One-based position in its row of each class that is present.
        positions = tf.cumsum(tf.cast(is_present, tf.int64), axis=-1)
        width = tf.reduce_max(tf.where(is_present, positions, tf.zeros_like(positions)))
        where = tf.where(is_present)
        places = tf.gather_nd(positions, where) - 1
        shape = tf.shape(indicators, tf.int64)
        return tf.SparseTensor(
            tf.concat([where[:, :-1], places[:, tf.newaxis]], axis=1),
            tf.cast(where[:, -1], dtype),
            tf.concat([shape[:-1], [width]], axis=0),
        )


def sparse_row_envelope(
    sparse_input: tf.SparseTensor, row_axis: int = 0, col_axis: int = 1, name: str | None = None
) -> tf.Tensor:
    """Returns the length of each row: one more than its last index, or 0 for an empty row.

    Args:
      sparse_input: of rank 2 or more.
      row_axis: the axis whose entries are rows.
      col_axis: the axis along a row.
      name: of the operation.

    Returns:
      int64 [number of rows].

    Raises:
      ValueError: if the axes are not integers, or equal.
    """
    axes = (row_axis, col_axis)
    if not all(isinstance(axis, numbers.Integral) for axis in axes):
        raise ValueError(f"row_axis={row_axis!r} and col_axis={col_axis!r} must be integers")
    if row_axis == col_axis:
        raise ValueError(f"row_axis and col_axis cannot be the same axis, {row_axis}")
    with tf.name_scope(name or "sparse_row_envelope"):
        rows, columns = (sparse_input.indices[:, axis] for axis in axes)
        num_rows = tf.cast(sparse_input.dense_shape[row_axis], tf.int32)
        return tf.maximum(tf.math.unsorted_segment_max(columns + 1, rows, num_rows), 0)


def _ignored(dtype: tf.DType, ignore_value: Any) -> tf.Tensor:
    if ignore_value is None:
        return tf.zeros([], dtype)
    return tf.cast(ignore_value, dtype)


def _without(tensor: tf.Tensor, ignored: tf.Tensor) -> tf.SparseTensor:
    indices = tf.where(tf.not_equal(tensor, ignored))
    return tf.SparseTensor(indices, tf.gather_nd(tensor, indices), tf.shape(tensor, tf.int64))
