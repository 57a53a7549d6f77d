"""Statistics over all replicas of a distribution strategy, for synchronized batch norm."""

import tensorflow as tf


def num_replicas() -> int:
    """Returns the number of replicas, or 1 outside of a replica."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def over_replicas(mean: tf.Tensor, variance: tf.Tensor, center: tf.Tensor) -> list[tf.Tensor]:
    """Returns the mean and the biased variance of all replicas' values, with their gradients.

    Args:
      mean: of this replica's values, of which each replica has the same number.
      variance: of this replica's values, biased.
      center: a value close to the mean and equal on all replicas: the squares of the differences
        keep the digits that those of large means would lose.
    """
    center = tf.stop_gradient(tf.identity(center))
    offset = mean - center
    both = tf.stack([offset, variance + tf.square(offset)])
    context = tf.distribute.get_replica_context()
    offset, square = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.MEAN, both))
    return [center + offset, tf.maximum(square - tf.square(offset), 0.0)]
