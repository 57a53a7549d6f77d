"""The last batch of a training step, kept for summaries."""

from typing import Any

import tensorflow as tf


class KeptBatch:
    """The first replica's part of the last batch; its memory is shared with the step, not copied.

    Args:
      strategy: of the step.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self._variables: Any = None  # in the structure of a batch

    def keep(self, batch: Any) -> None:
        """Keeps a batch until the next one; in the step's graph."""
        parts = tf.nest.map_structure(
            lambda part: self._strategy.experimental_local_results(part)[0], batch
        )
        if self._variables is None:
            with tf.init_scope():
                self._variables = tf.nest.map_structure(_holder, parts)
        for variable, part in zip(*map(tf.nest.flatten, (self._variables, parts)), strict=True):
            variable.assign(part)

    def value(self) -> Any:
        """Returns the batch that was kept last, as NumPy arrays."""
        return tf.nest.map_structure(lambda variable: variable.numpy(), self._variables)


def _holder(part: tf.Tensor) -> tf.Variable:
    """Returns a variable for tensors of any size."""
    empty = tf.zeros([0] * part.shape.rank, part.dtype)
    shape = tf.TensorShape([None] * part.shape.rank)
    return tf.Variable(
        empty,
        trainable=False,
        shape=shape,
        name="last_batch",
        experimental_enable_variable_lifting=False,  # see `VariableStore.create`
    )
