"""Helpers for layers, under TF-Slim's names."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from slim.graph.aliases import append_tensor_alias, gather_tensors_aliases, get_tensor_aliases
from slim.outputs import collect_named_outputs, convert_collection_to_dict

__all__ = [
    "append_tensor_alias", "channel_dimension", "collect_named_outputs", "constant_value",
    "convert_collection_to_dict", "gather_tensors_aliases", "get_tensor_aliases",
    "get_variable_collections", "last_dimension", "n_positive_integers", "smart_cond",
    "static_cond", "two_element_tuple",
]  # fmt: skip


def constant_value(value_or_tensor_or_var: Any, dtype: tf.DType | None = None) -> Any:
    """Returns a value known before the graph runs, or None.

    Args:
      value_or_tensor_or_var: a Python value, returned unchanged; a tensor; or a variable, whose
        value is never constant.
      dtype: required type of a tensor or variable, or None.

    Raises:
      ValueError: for None, or another type than `dtype`.
    """
    value = value_or_tensor_or_var
    if value is None:
        raise ValueError("value_or_tensor_or_var cannot be None")
    if not isinstance(value, (tf.Tensor, tf.Variable)):
        return value
    if dtype and value.dtype != dtype:
        raise ValueError(f"the tensor has the type {value.dtype.name}, not {tf.as_dtype(dtype)}")
    return None if isinstance(value, tf.Variable) else tf.get_static_value(value)


def static_cond(pred: Any, fn1: Callable[[], Any], fn2: Callable[[], Any]) -> Any:
    """Returns `fn1()` if the Python value `pred` is true, else `fn2()`.

    Raises:
      TypeError: if `fn1` or `fn2` is not callable.
    """
    for name, fn in {"fn1": fn1, "fn2": fn2}.items():
        if not callable(fn):
            raise TypeError(f"{name} must be callable, but it is {fn!r}")
    return fn1() if pred else fn2()


def smart_cond(
    pred: Any, fn1: Callable[[], Any], fn2: Callable[[], Any], name: str | None = None
) -> Any:
    """Returns one of two results: chosen at once if `pred` is constant, else by `tf.cond`.

    Args:
      pred: a bool, or a scalar tensor or variable.
      fn1: called if it is true.
      fn2: called if it is false.
      name: of the `tf.cond`.
    """
    constant = constant_value(pred)
    if constant is not None:
        return static_cond(constant, fn1, fn2)
    return tf.cond(pred, fn1, fn2, name)


def get_variable_collections(variables_collections: Any, name: str) -> Iterable[str] | None:
    """Returns the collections of the variable `name`, from a list or a dict by variable name."""
    if isinstance(variables_collections, Mapping):
        return variables_collections.get(name)
    return variables_collections


def channel_dimension(shape: Any, data_format: str, min_rank: int = 1) -> int:
    """Returns the size of the channel axis.

    Args:
      shape: a `tf.TensorShape`.
      data_format: "channels_first" (axis 1) or "channels_last".
      min_rank: smallest rank allowed.

    Raises:
      ValueError: if the rank is unknown or too small, or the size is unknown.
    """
    axis = 1 if data_format == "channels_first" else -1
    shape = tf.TensorShape(shape)
    if shape.rank is None:
        raise ValueError("dims of shape must be known but is None")
    if shape.rank < min_rank:
        raise ValueError(f"rank of shape must be at least {min_rank} not: {shape.rank}")
    if shape[axis] is None:
        raise ValueError(f"dimension {axis} of shape must be known but is None: {shape}")
    return shape[axis]


def last_dimension(shape: Any, min_rank: int = 1) -> int:
    """Returns the size of the last axis; arguments and errors as in `channel_dimension`."""
    return channel_dimension(shape, "channels_last", min_rank)


def two_element_tuple(int_or_tuple: Any) -> tuple[int, int]:
    """Returns (height, width) from an integer, two of them or a `tf.TensorShape` of rank 2.

    Raises:
      ValueError: for anything else.
    """
    if isinstance(int_or_tuple, int):
        return int_or_tuple, int_or_tuple
    if isinstance(int_or_tuple, (list, tuple, tf.TensorShape)) and len(int_or_tuple) == 2:
        height, width = int_or_tuple
        return (height, width) if height is None or width is None else (int(height), int(width))
    raise ValueError(
        f"{int_or_tuple!r} must be an integer, a list of 2 elements or a TensorShape of rank 2"
    )


def n_positive_integers(n: int, value: Any) -> tuple[int, ...]:
    """Returns `n` positive integers.

    Args:
      n: their number.
      value: a number, which is repeated, or a sequence or `tf.TensorShape` of n numbers.

    Raises:
      ValueError: if `n` is not positive, or `value` has another length or other elements.
    """
    count = int(n)
    if count < 1 or count != n:
        raise ValueError(f"n={n!r} must be a positive integer")
    try:
        values = (int(value),) * count
    except (TypeError, ValueError):
        try:
            values = tuple(int(each) for each in value)
        except (TypeError, ValueError):
            values = ()
    if len(values) != count or min(values) < 1:
        raise ValueError(f"expected {count} positive integers, but received {value!r}")
    return values
