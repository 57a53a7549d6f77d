"""Copies of a model that classify parts of each batch in parallel, each on its own device."""

from collections.abc import Callable

import tensorflow as tf

Call = Callable[[tf.Tensor], dict[str, tf.Tensor]]


class Clones:
    """A function of a batch that each device computes for its part of the images.

    Args:
      call: function of images, of a model that was created under the strategy.
      strategy: the devices.
    """

    def __init__(self, call: Call, strategy: tf.distribute.Strategy) -> None:
        self._call = call
        self._strategy = strategy

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the values of `call`, in the order of the images.

        Args:
          images: [batch, ...], with a known batch size.
        """
        clones = self._strategy.num_replicas_in_sync
        parts = tf.split(images, _sizes(images.shape[0], clones))

        def own_part() -> dict[str, tf.Tensor]:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return self._call(parts[int(tf.get_static_value(replica))])

        values = self._strategy.run(own_part)
        return {
            name: tf.concat(self._strategy.experimental_local_results(value), 0)
            for name, value in values.items()
        }


def _sizes(total: int, parts: int) -> list[int]:
    """Returns the sizes of parts that differ by one at most; the first ones are larger."""
    return [total // parts + (part < total % parts) for part in range(parts)]
