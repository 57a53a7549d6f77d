"""Runs the same code eagerly, in a `tf.function` and in a plain `tf.Graph`."""

import resource
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

import slim
from slim.graph import in_graph

MODES = ["eager", "function", "graph"]


def run(
    mode: str,
    fn: Callable[..., Any],
    *inputs: np.ndarray,
    values: Mapping[str, np.ndarray] | None = None,
    known: bool = True,
    autograph: bool = False,
) -> tuple[Any, dict[str, tf.Variable]]:
    """Returns the result of `fn(*tensors)` as arrays, and its variables by name.

    Args:
      mode: one of `MODES`.
      fn: the code; it may request variables.
      *inputs: its arguments.
      values: assigned to variables before.
      known: whether graphs know the shapes of the arguments.
      autograph: whether AutoGraph converts the code and the layers in a `tf.function`, which takes
        seconds.
    """
    arrays = [np.asarray(each) for each in inputs]
    shapes = [each.shape if known else None for each in arrays]
    if mode == "graph":
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            pairs = zip(arrays, shapes, strict=True)
            tensors = [tf.compat.v1.placeholder(a.dtype, shape) for a, shape in pairs]
            outputs = fn(*tensors)
            session.run(tf.compat.v1.global_variables_initializer())
            if values:
                session.run(*slim.assign_from_values(values))
            feeds = dict(zip(tensors, arrays, strict=True))
            named = {slim.get_variable_full_name(v): v for v in slim.get_variables()}
            return session.run(outputs, feeds), named
    store = slim.VariableStore(seed=0)

    def one_pass(*tensors: tf.Tensor) -> Any:
        with store.as_default():
            return fn(*tensors)

    specs = [tf.TensorSpec(shape, a.dtype) for a, shape in zip(arrays, shapes, strict=True)]
    step = one_pass
    if mode == "function":
        step = tf.function(one_pass, autograph=autograph, input_signature=specs)
    outputs = step(*map(tf.constant, arrays))
    if values:
        for name, value in values.items():
            store.named_variables[name].assign(value)
        outputs = step(*map(tf.constant, arrays))
    return tf.nest.map_structure(_array, outputs), dict(store.named_variables)


def gradients(fn: Callable[..., Any], *inputs: tf.Tensor, variables: bool = False) -> Any:
    """Returns the gradients of the sum of `fn(*inputs)`, in any mode.

    Args:
      fn: from tensors to a tensor or several.
      *inputs: the tensors.
      variables: also return the gradients of the trainable variables.
    """
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.add_n([tf.reduce_sum(each) for each in tf.nest.flatten(fn(*inputs))])
    sources = [*inputs, *(slim.get_trainable_variables() if variables else ())]
    if in_graph():
        return [tf.convert_to_tensor(each) for each in tf.gradients(total, sources)]
    return [tf.convert_to_tensor(each) for each in tape.gradient(total, sources)]


def numeric_gradient(
    fn: Callable[[np.ndarray], np.ndarray], x: np.ndarray, step: float = 1e-6
) -> np.ndarray:
    """Returns the gradient of the sum of a NumPy function by central differences."""
    result = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[index] += step
        low[index] -= step
        result[index] = (fn(high).sum() - fn(low).sum()) / (2 * step)
    return result


def resident_megabytes() -> float:
    """Returns the memory that the process uses."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def _array(value: Any) -> Any:
    return value.numpy() if isinstance(value, tf.Tensor) else value
