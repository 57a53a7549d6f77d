"""What layers ask of a pass because TF-Slim's layers do it in a certain way in a plain graph.

There `slim.graph.layer_support` has the same methods.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim._shapes import static_sizes
from slim.regularizers import Regularizer, sum_regularizer


class LayerSupport:
    """Methods of a pass for layers.

    Attributes:
      scope: the current variable scope.
    """

    scope: Any

    def enter_layer(self) -> None:
        """Reserves what TF-Slim's layers reserve in a plain graph; here, nothing."""

    def layer_regularizer(self, name: str, regularizer: Regularizer | None) -> Regularizer | None:
        """Returns the regularizer of a layer's variable, to which the scope's is added."""
        inherited = None if regularizer is None else self.scope.regularizer
        return regularizer if inherited is None else sum_regularizer([inherited, regularizer])

    def layer_sizes(
        self, inputs: tf.Tensor, axes: Sequence[int], dynamic_axes: Sequence[int]
    ) -> list[Any]:
        """Returns a tensor's sizes: integers where they are known, or else scalars.

        Args:
          inputs: the tensor.
          axes: whose sizes to return.
          dynamic_axes: of these, those whose sizes a plain graph computes, as TF-Slim's layers do.
        """
        static = static_sizes(inputs)
        dynamic = None if None not in static else tf.shape(inputs)
        return [dynamic[axis] if static[axis] is None else static[axis] for axis in axes]

    def layer_shape(self, sizes: Sequence[Any]) -> tf.Tensor:
        """Returns sizes as a tensor."""
        return tf.stack(sizes)

    def repeated(self, tensor: tf.Tensor, inputs: tf.Tensor, axis: int) -> tf.Tensor:
        """Returns a tensor that broadcasts to the inputs along an axis."""
        return tensor

    def unpartitioned(self) -> contextlib.AbstractContextManager[Any]:
        """Returns a scope whose variables are not partitioned, as none is here."""
        return contextlib.nullcontext()

    def ignored_averages(
        self, averages: Sequence[tf.Variable], is_core: bool
    ) -> Sequence[tf.Tensor]:
        """Returns the averages for batch norm's kernel in training, which ignores them: none."""
        return [tf.constant(np.zeros(0, np.float32))] * len(averages)

    def layer_constant(self, value: Any) -> Any:
        """Returns a number as it is; a plain graph makes it a constant, as TF-Slim's layers do."""
        return value

    def assign_sub(self, variable: tf.Variable, delta: tf.Tensor, name: str) -> Any:
        """Subtracts from a variable, such as a moving average; returns the update."""
        return variable.assign_sub(delta)

    def add_updates(self, collections: Any, updates: Sequence[Any], as_ops: bool) -> None:
        """Does nothing: updates run in the order of the code, without collections."""

    def after_updates(
        self, updates: Sequence[Any], tensors: Sequence[tf.Tensor]
    ) -> Sequence[tf.Tensor]:
        """Returns `tensors`, which a plain graph makes wait for the updates."""
        return tensors
