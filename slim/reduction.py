"""Sums and means over the replicas of a strategy: of gradients, losses and moving averages."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from slim import _checks

DTYPES = ("float32", "float16", "bfloat16")


@dataclasses.dataclass(frozen=True)
class AllReduce:
    """How replicas average their gradients.

    Attributes:
      dtype: type in which gradients are sent, one of `DTYPES`; half precision halves the bytes.
      bucket_bytes: size of the packs into which collective operations group gradients, so that the
        first ones are sent while others are computed; 0 sends them in a single pack.

    Raises:
      UserError: if the type is unknown, or the size is negative.
    """

    dtype: str = "float32"
    bucket_bytes: int = 0

    def __post_init__(self) -> None:
        _checks.one_of("dtype", self.dtype, DTYPES)
        _checks.non_negative(bucket_bytes=self.bucket_bytes)

    def __call__(self, gradients: Mapping[str, tf.Tensor], others: Any) -> tuple[Any, Any]:
        """Returns the gradients' sums and the other tensors' means over the replicas, in a replica
        context.

        Args:
          gradients: by name, of this replica's part of the mean loss, which is cheaper than to
            divide them, and whose sum does not overflow in half precision.
          others: any structure of tensors, which are sent in their own types.
        """
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync == 1:
            return gradients, others
        options = tf.distribute.experimental.CommunicationOptions(bytes_per_pack=self.bucket_bytes)
        sent = {name: tf.cast(value, self.dtype) for name, value in gradients.items()}
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sent, options)
        sums = {name: tf.cast(sums[name], value.dtype) for name, value in gradients.items()}
        mean = tf.distribute.ReduceOp.MEAN
        return sums, context.all_reduce(mean, others) if tf.nest.flatten(others) else others


class SharedAverages:
    """Keeps variables that each replica updates by its own batch equal on all replicas.

    Their changes during a step are averaged. So any replica's value is the mean over all, and a
    checkpoint needs no communication.

    Args:
      variables: of a store, by name. Those with one value per replica are kept equal.
    """

    def __init__(self, variables: Mapping[str, tf.Variable]) -> None:
        self._variables = {
            name: variable
            for name, variable in variables.items()
            if variable.synchronization == tf.VariableSynchronization.ON_READ
            and variable.aggregation == tf.VariableAggregation.MEAN
        }

    def values(self) -> dict[str, tf.Tensor]:
        """Returns this replica's values."""
        return {name: tf.identity(variable) for name, variable in self._variables.items()}

    def assign(self, before: Mapping[str, tf.Tensor], changes: Mapping[str, tf.Tensor]) -> None:
        """Sets this replica's values to those before a step plus the mean of the changes."""
        for name, change in changes.items():
            self._variables[name].assign(before[name] + change)
