"""Sizes of a graph's operations and of variables, as `tf.compat.v1` code lists them."""

from collections.abc import Iterable

import tensorflow as tf

__all__ = ["analyze_ops", "analyze_vars", "tensor_description"]


def tensor_description(var: tf.Tensor | tf.Variable) -> str:
    """Returns type and shape of a tensor or variable, such as "(float32 1x8x8x1024)"."""
    return f"({var.dtype.name} {'x'.join(map(str, var.shape))})"


def analyze_ops(graph: tf.Graph, print_info: bool = False) -> int:
    """Returns the number of elements in the outputs of a graph's operations.

    Args:
      graph: the graph; of a `tf.function`, `function.get_concrete_function(spec).graph`.
      print_info: whether to print each operation with its outputs and their size.

    Returns:
      The sum of the sizes; an output of unknown size counts as 0.

    Raises:
      ValueError: if `graph` is not a graph.
    """
    if not isinstance(graph, tf.Graph):
        raise ValueError(
            f"analyze_ops expects a tf.Graph, not {type(graph).__name__}. For code that runs"
            " eagerly, write: analyze_ops(tf.function(network).get_concrete_function(spec).graph)"
        )
    _print_if(print_info, "Operations: name -> (type shape), ... [size]")
    total = 0
    for op in graph.get_operations():
        size = sum(_size(output.shape) for output in op.outputs)
        total += size
        known = [each for each in op.outputs if each.shape.rank is not None]
        outputs = ", ".join(map(tensor_description, known))
        _print_if(print_info, f"{op.name} \t-> {outputs} [{size}]")
    return total


def analyze_vars(variables: Iterable[tf.Variable], print_info: bool = False) -> tuple[int, int]:
    """Returns the number of elements and of bytes of variables.

    Args:
      variables: in a graph for example `tf.compat.v1.global_variables()`, otherwise
        `slim.get_model_variables()`.
      print_info: whether to print each variable with its size, and the totals.

    Returns:
      (elements, bytes); a variable of unknown size counts as 0.
    """
    _print_if(print_info, "Variables: name (type shape) [size, bytes]")
    total = total_bytes = 0
    for variable in variables:
        size = _size(variable.shape)
        size_in_bytes = size * variable.dtype.size
        total, total_bytes = total + size, total_bytes + size_in_bytes
        description = f"{tensor_description(variable)} [{size}, bytes: {size_in_bytes}]"
        _print_if(print_info, f"{variable.name} {description}")
    _print_if(
        print_info, f"Total size of variables: {total}\nTotal bytes of variables: {total_bytes}"
    )
    return total, total_bytes


def _size(shape: tf.TensorShape) -> int:
    return shape.num_elements() or 0


def _print_if(is_enabled: bool, line: str) -> None:
    if is_enabled:
        print(line)
