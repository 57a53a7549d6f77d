"""Summaries of tensors, activations and collections; `slim.summaries` describes where they go.

`tf.compat.v1` is used for the collections of a graph.
"""

import re
from collections.abc import Callable, Iterable

import tensorflow as tf

from slim import summaries
from slim.graph import KEYS, in_graph
from slim.outputs import convert_collection_to_dict
from slim.variables import get_variables

__all__ = [
    "summarize_activation",
    "summarize_activations",
    "summarize_biases",
    "summarize_collection",
    "summarize_tensor",
    "summarize_tensors",
    "summarize_variables",
    "summarize_weights",
]

# Activation -> the limits at which it cuts its inputs off, each with a summary's name.
_LIMITS = {
    "Relu": (("zeros", tf.less, 0),),
    "Softplus": (("zeros", tf.less, 0),),
    "Relu6": (("zeros", tf.less, 0), ("sixes", tf.greater, 6)),
}


def summarize_activation(op: tf.Tensor) -> tf.Tensor:
    """Adds a histogram of an activation as `NAME/activation`.

    For ReLU, ReLU6 and softplus, also adds the fraction of inputs below 0 as `NAME/zeros`; for
    ReLU6, that of inputs above 6 as `NAME/sixes`. A tensor computed eagerly does not know its
    inputs, so only the histogram is added.

    Args:
      op: output of an activation function, of any shape.

    Returns:
      See `slim.summaries.add_histogram_summary`.

    Raises:
      ValueError: for a tensor without a name, see `slim.summaries.add_histogram_summary`.
    """
    name = summaries.name_of(op)
    if tf.is_symbolic_tensor(op):
        for suffix, is_beyond, limit in _LIMITS.get(op.op.type, ()):
            inputs = op.op.inputs[0]
            beyond = tf.cast(is_beyond(inputs, tf.cast(limit, inputs.dtype)), tf.float32)
            summaries.add_scalar_summary(tf.reduce_mean(beyond), f"{name}/{suffix}")
    return summaries.add_histogram_summary(op, name and f"{name}/activation")


def summarize_tensor(tensor: tf.Tensor, tag: str | None = None) -> tf.Tensor | None:
    """Adds a scalar, or a histogram of a tensor of another or unknown rank.

    Args:
      tensor: a tensor or variable.
      tag: name of the summary; `NAME_summary` by default.

    Returns:
      See `slim.summaries.add_histogram_summary`; None for strings and booleans, which have no
      summary.

    Raises:
      ValueError: for a tensor without a name, see `slim.summaries.add_histogram_summary`.
    """
    if tensor.dtype.base_dtype in (tf.string, tf.bool):
        return None
    name = summaries.name_of(tensor)
    is_scalar = tensor.shape.rank == 0
    add = summaries.add_scalar_summary if is_scalar else summaries.add_histogram_summary
    return add(tensor, tag or (name and f"{name}_summary"))


Summarizer = Callable[[tf.Tensor], tf.Tensor | None]


def summarize_tensors(
    tensors: Iterable[tf.Tensor], summarizer: Summarizer = summarize_tensor
) -> list[tf.Tensor | None]:
    """Calls `summarizer` for each tensor and returns the results."""
    return [summarizer(tensor) for tensor in tensors]


def summarize_collection(
    collection: str, name_filter: str | None = None, summarizer: Summarizer = summarize_tensor
) -> list[tf.Tensor | None]:
    """Summarizes the members of a collection.

    Args:
      collection: name of a graph's collection. Outside a graph: of a collection of the current
        store's variables or of the current pass's outputs.
      name_filter: a regular expression that the beginning of the name must match.
      summarizer: the function to call for each member.

    Returns:
      The results of `summarizer`.
    """
    if in_graph():
        members = tf.compat.v1.get_collection(collection)
    else:
        outputs = convert_collection_to_dict(collection).values()
        members = [*get_variables(collection=collection), *outputs]
    pattern = re.compile(name_filter or "")
    return summarize_tensors(
        [member for member in members if pattern.match(summaries.name_of(member) or "")], summarizer
    )


def summarize_variables(
    name_filter: str | None = None, summarizer: Summarizer = summarize_tensor
) -> list[tf.Tensor | None]:
    """Summarizes all variables; see `summarize_collection`."""
    return summarize_collection(KEYS.GLOBAL_VARIABLES, name_filter, summarizer)


def summarize_weights(
    name_filter: str | None = None, summarizer: Summarizer = summarize_tensor
) -> list[tf.Tensor | None]:
    """Summarizes the collection `tf.GraphKeys.WEIGHTS`; see `summarize_collection`.

    Variables are in it if `variables_collections` says so.
    """
    return summarize_collection(KEYS.WEIGHTS, name_filter, summarizer)


def summarize_biases(
    name_filter: str | None = None, summarizer: Summarizer = summarize_tensor
) -> list[tf.Tensor | None]:
    """Summarizes the collection `tf.GraphKeys.BIASES`; see `summarize_weights`."""
    return summarize_collection(KEYS.BIASES, name_filter, summarizer)


def summarize_activations(
    name_filter: str | None = None, summarizer: Summarizer = summarize_activation
) -> list[tf.Tensor | None]:
    """Summarizes the collection `tf.GraphKeys.ACTIVATIONS`; see `summarize_collection`.

    Outputs are in it if `outputs_collections` says so.
    """
    return summarize_collection(KEYS.ACTIVATIONS, name_filter, summarizer)
