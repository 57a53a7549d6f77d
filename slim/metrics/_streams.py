"""Parts of the streaming metrics of TF-Slim: code of TensorFlow 1, hence `tf.compat.v1`.

A streaming metric returns `(value, update_op)` in a plain `tf.Graph`, and keeps its sums in local
variables, which `tf.compat.v1.local_variables_initializer()` resets.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slim.graph import KEYS, in_graph
from slim.metrics._glossary import docstring

Stream = tuple[Any, Any]
EPSILON = 1e-7


def check_graph(function: str, objects: str | None) -> None:
    """Raises RuntimeError outside a plain graph.

    Args:
      function: name of the streaming metric.
      objects: what to use in eager code, names of `slim.metrics`; None where there is nothing.
    """
    if in_graph():
        return
    if objects is None:
        advice = "There is no object for eager code. Call it in `with tf.Graph().as_default():`"
    else:
        objects = " and ".join(f"slim.metrics.{name}" for name in objects.split(" and "))
        advice = f"In eager code, use {objects}: `update(...)` for each batch, then `result()`"
    raise RuntimeError(f"slim.metrics.{function} needs a tf.Graph and a session. {advice}.")


def stream(scope: str | None, *, eager: str | None) -> Callable[[Callable[..., Stream]], Any]:
    """Makes a function of tensors a streaming metric.

    The function is called in a variable scope, and its results are added to the collections, all
    by the arguments `name`, `metrics_collections` and `updates_collections`, if it has them.

    Args:
      scope: default name of the variable scope; None opens none.
      eager: see `check_graph`.
    """

    def decorate(function: Callable[..., Stream]) -> Callable[..., Stream]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def streaming(*args: Any, **kwargs: Any) -> Stream:
            arguments = signature.bind(*args, **kwargs).arguments
            check_graph(function.__name__, eager)
            with (
                tf.compat.v1.variable_scope(arguments.get("name"), scope)
                if scope
                else contextlib.nullcontext()
            ):
                value, update = function(*args, **kwargs)
            for key, result in (("metrics_collections", value), ("updates_collections", update)):
                tf.compat.v1.add_to_collections(arguments.get(key) or (), result)
            return value, update

        streaming.__doc__ = docstring(function.__doc__ or "", signature)
        return streaming

    return decorate


def local_variable(
    name: str,
    shape: Sequence[int] = (),
    dtype: tf.DType = tf.float32,
    validate_shape: bool = True,
) -> tf.Variable:
    """Returns a local variable of zeros; with a distribution strategy, each replica has its own."""
    return tf.compat.v1.Variable(
        lambda: tf.zeros(shape, dtype),
        trainable=False,
        collections=[KEYS.LOCAL_VARIABLES, KEYS.METRIC_VARIABLES],
        validate_shape=validate_shape,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
        name=name,
    )


def aligned(
    predictions: Any, labels: Any, weights: Any = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """Returns tensors of equal ranks; an axis of size 1 at the end is removed where it is surplus.

    Weights that lack the last axis get one of size 1; a number remains a number.

    Raises:
      ValueError: if predictions and labels have different shapes.
    """
    predictions, labels = tf.convert_to_tensor(predictions), tf.convert_to_tensor(labels)
    predictions, labels = _squeezed(predictions, labels), _squeezed(labels, predictions)
    predictions.shape.assert_is_compatible_with(labels.shape)
    if weights is not None:
        weights = _expanded(_squeezed(tf.convert_to_tensor(weights), predictions), predictions)
    return predictions, labels, weights


def _squeezed(tensor: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Removes a last axis of size 1 that the other tensor lacks."""
    if not tensor.shape[-1:].is_compatible_with([1]):
        return tensor
    return _if_ranks_differ(tensor, other, 1, lambda: tf.squeeze(tensor, [-1]))


def _expanded(tensor: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Adds a last axis of size 1 that the other tensor has; a scalar remains one."""
    if tensor.shape.rank == 0:
        return tensor
    unknown = tensor.shape.rank is None
    return _if_ranks_differ(tensor, other, -1, lambda: _unless_scalar(tensor, unknown))


def _unless_scalar(tensor: tf.Tensor, unknown: bool) -> tf.Tensor:
    expanded = functools.partial(tf.expand_dims, tensor, -1)
    return tf.cond(tf.rank(tensor) > 0, expanded, lambda: tensor) if unknown else expanded()


def _if_ranks_differ(
    tensor: tf.Tensor, other: tf.Tensor, difference: int, change: Callable[[], tf.Tensor]
) -> tf.Tensor:
    rank, other_rank = tensor.shape.rank, other.shape.rank
    if rank is not None and other_rank is not None:
        return change() if rank - other_rank == difference else tensor
    differ = tf.equal(tf.rank(tensor) - tf.rank(other), difference)
    return tf.cond(differ, change, lambda: tensor)


def broadcast(weights: Any, values: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Returns weights in the shape of the values.

    Raises:
      ValueError: if their rank is neither 0 nor that of the values, or an axis is neither 1 nor
        that of the values; an error when the graph runs where shapes are unknown before.
    """
    weights = tf.cast(weights, dtype)
    same_rank = tf.compat.v1.assert_rank_in(
        weights, (0, tf.rank(values)), message="weights must be a number or have the labels' rank"
    )
    with tf.control_dependencies([same_rank]):
        return tf.broadcast_to(weights, tf.shape(values))


def in_unit_interval(predictions: tf.Tensor) -> tf.Tensor:
    """Returns the predictions, with an assertion that they lie in [0, 1]."""
    message = "predictions must be in [0, 1]"
    predictions = tf.convert_to_tensor(predictions)
    low, high = tf.zeros([], predictions.dtype), tf.ones([], predictions.dtype)
    checks = [
        tf.compat.v1.assert_greater_equal(predictions, low, message=message),
        tf.compat.v1.assert_less_equal(predictions, high, message=message),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(predictions)


def zero_or_one(labels: Any) -> tf.Tensor:
    """Returns the labels as a flat int64 tensor, with an assertion that each is 0 or 1."""
    labels = tf.reshape(tf.cast(labels, tf.int64), [-1])
    low, high = tf.zeros([], tf.int64), tf.ones([], tf.int64)
    checks = [
        tf.compat.v1.assert_greater_equal(
            labels, low, message="labels must be 0 or 1, at least one is <0"
        ),
        tf.compat.v1.assert_less_equal(
            labels, high, message="labels must be 0 or 1, at least one is >1"
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(labels)
