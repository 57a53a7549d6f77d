"""Names of a graph's tensors besides those of their ops: how TF-Slim remembered end points."""

from collections.abc import Iterable

import tensorflow as tf


def append_tensor_alias(tensor: tf.Tensor, alias: str) -> tf.Tensor:
    """Adds a name to a tensor, without a slash at its end, and returns the tensor."""
    tensor.aliases = [*getattr(tensor, "aliases", []), alias.removesuffix("/")]
    return tensor


def get_tensor_aliases(tensor: tf.Tensor) -> list[str]:
    """Returns a tensor's added names, or else the name of its op (or `op:1` for a later output)."""
    return getattr(tensor, "aliases", None) or [tensor.name.removesuffix(":0")]


def gather_tensors_aliases(tensors: Iterable[tf.Tensor]) -> list[str]:
    """Returns the names of several tensors, in order."""
    return [alias for tensor in tensors for alias in get_tensor_aliases(tensor)]
