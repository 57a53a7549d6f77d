"""Ops that TF-Slim's layers have in a plain graph, under the same names and in the same order."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from slim._shapes import static_sizes
from slim.graph import KEYS
from slim.graph.framework import get_name_scope

v1 = tf.compat.v1


class GraphLayerSupport:
    """Methods of a graph's pass for layers; see `slim.layer_support.LayerSupport`.

    Attributes:
      scope: the current variable scope.
      add_loss: adds a loss to a collection.
    """

    scope: Any
    add_loss: Callable[[tf.Tensor, str], None]

    def enter_layer(self) -> None:
        """Opens the current scope once more, which TF-Slim's layers do: it takes a name for ops."""
        with v1.variable_scope(self.scope):
            pass

    def layer_regularizer(self, name: str, regularizer: Any) -> Any:
        """Returns a regularizer whose op stands in the layer's name scope. The penalty of the
        variable scope is added, as in TF-Slim.

        Args:
          name: what TF-Slim's layers call the variable there: "kernel" for "weights".
          regularizer: a function from the variable to its penalty, or None.
        """
        if regularizer is None:
            return None
        name_scope = f"{get_name_scope()}/{name}/Regularizer/"
        inherited = self.scope.regularizer

        # TensorFlow calls a regularizer that returns a penalty, as the inherited may, twice.
        @functools.cache
        def add_penalty(variable: Any) -> None:
            with tf.name_scope(name_scope):
                penalty = regularizer(variable.deref())
            if penalty is not None:
                self.add_loss(penalty, KEYS.REGULARIZATION_LOSSES)

        def of_layer(variable: tf.Variable) -> tf.Tensor | None:
            add_penalty(variable.ref())
            return None if inherited is None else inherited(variable)

        return of_layer

    def layer_sizes(
        self, inputs: tf.Tensor, axes: Sequence[int], dynamic_axes: Sequence[int]
    ) -> list[Any]:
        """Returns a tensor's sizes: scalars on `dynamic_axes`, or where they are unknown."""
        static, dynamic = static_sizes(inputs), tf.shape(inputs)
        return [
            dynamic[axis] if axis in dynamic_axes or static[axis] is None else static[axis]
            for axis in axes
        ]

    def layer_shape(self, sizes: Sequence[Any]) -> tf.Tensor:
        """Returns sizes as a tensor; TF-Slim's layers read the first of them without use."""
        shape = tf.stack(sizes)
        _ = shape[0]
        return shape

    def repeated(self, tensor: tf.Tensor, inputs: tf.Tensor, axis: int) -> tf.Tensor:
        """Returns a tensor repeated to the inputs' size along an axis, as in TF-Slim."""
        later_axes = inputs.shape.rank - axis - 1
        counts = [tf.ones([axis], tf.int32)] if axis else []
        counts += [tf.strided_slice(tf.shape(inputs), [axis], [axis + 1])]
        counts += [tf.ones([later_axes], tf.int32)] if later_axes else []
        return tf.tile(tensor, tf.concat(counts, 0))

    @contextlib.contextmanager
    def unpartitioned(self) -> Iterator[v1.VariableScope]:
        """Opens the current scope once more, without its partitioner."""
        with v1.variable_scope(self.scope) as scope:
            scope.set_partitioner(None)
            yield scope

    def ignored_averages(
        self, averages: Sequence[tf.Variable], is_core: bool
    ) -> Sequence[tf.Tensor]:
        """Returns the averages for batch norm's kernel in training: all the same, or else none."""
        return averages if is_core else [tf.constant([], tf.float32) for _ in averages]

    def layer_constant(self, value: Any) -> tf.Tensor:
        """Returns a number as a tensor."""
        return tf.convert_to_tensor(value)

    def assign_sub(self, variable: tf.Variable, delta: tf.Tensor, name: str) -> Any:
        """Subtracts from a variable; returns the update, an op called `name`."""
        return v1.assign_sub(variable, delta, name=name)

    def add_updates(self, collections: Any, updates: Sequence[Any], as_ops: bool) -> None:
        """Adds updates to collections: their ops, or else the updated values."""
        for update in updates:
            v1.add_to_collections(collections, update.op if as_ops else update)

    def after_updates(
        self, updates: Sequence[Any], tensors: Sequence[tf.Tensor]
    ) -> Sequence[tf.Tensor]:
        """Returns copies of tensors that wait for updates."""
        with tf.control_dependencies(updates):
            return [tf.identity(tensor) for tensor in tensors]
