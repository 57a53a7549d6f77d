"""Copies of a model that classify parts of each batch in parallel, each on its own device."""

import dataclasses
from collections.abc import Callable, Mapping

import tensorflow as tf

from classifier.resolve.cluster import ALONE, Cluster
from deployment.strategies import Devices
from slim import signals

Call = Callable[[tf.Tensor], dict[str, tf.Tensor]]
_NAME_BYTES = 4096  # of a file name, sent with zeros at the end


def strategy_of(
    num_clones: int, clone_on_cpu: bool, batch_size: int, workers: Cluster = ALONE
) -> tf.distribute.Strategy:
    """Returns the strategy that runs a model on several devices.

    Args:
      num_clones: number of devices of this process; -1 for all, but not more than there are images
        in a batch.
      clone_on_cpu: whether to use CPUs even if there are GPUs.
      batch_size: number of images of a batch, over all devices and workers.
      workers: that run it together.

    Raises:
      UserError: if there are fewer devices.
    """
    devices = Devices(
        num_clones=num_clones,
        clone_on_cpu=clone_on_cpu,
        worker_hosts=workers.hosts,
        task=workers.task,
    )
    number = min(devices.count(), batch_size // max(1, len(workers.hosts)))
    strategy = dataclasses.replace(devices, num_clones=number).strategy()
    signals.renew()
    return strategy


class Clones:
    """A function of a batch that each device computes for its part of the images.

    Args:
      call: function of images, of a model that was created under the strategy.
      strategy: the devices, of this process and of the other workers.
    """

    def __init__(self, call: Call, strategy: tf.distribute.Strategy) -> None:
        self._call = call
        self._strategy = strategy
        total = strategy.num_replicas_in_sync
        self._clones = 1 if total == 1 else len(strategy.extended.worker_devices)
        self._workers = total // self._clones

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the values of `call`, in the order of the images.

        Args:
          images: [batch, ...], with a known batch size; of this process.
        """
        values = self._run(lambda part: self._call(part["images"]), {"images": images})
        return {
            name: tf.concat(self._strategy.experimental_local_results(value), 0)
            for name, value in values.items()
        }

    def gathered(self, values: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the values of all workers, in the order of the workers.

        Args:
          values: [batch, ...] of this process, with a known batch size.
        """

        def gather(own: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            own = tf.nest.map_structure(tf.identity, own)  # on the clone's device
            return tf.distribute.get_replica_context().all_gather(own, axis=0)

        together = self._run(gather, {name: _sent(value) for name, value in values.items()})
        gathered = {}
        for name, value in values.items():
            of_all = self._strategy.experimental_local_results(together[name])[0]
            shape = [self._workers * value.shape[0], *value.shape[1:]]
            gathered[name] = tf.ensure_shape(_received(of_all, value.dtype), shape)
        return gathered

    def _run(
        self,
        function: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]],
        values: dict[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Returns the values of a function that each clone applies to its part."""
        parts = {
            name: tf.split(value, _sizes(value.shape[0], self._clones))
            for name, value in values.items()
        }

        def own_part() -> dict[str, tf.Tensor]:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            index = int(tf.get_static_value(replica)) % self._clones
            return function({name: each[index] for name, each in parts.items()})

        result: dict[str, tf.Tensor] = self._strategy.run(own_part)
        return result


def _sizes(total: int, parts: int) -> list[int]:
    """Returns the sizes of parts that differ by one at most; the first ones are larger."""
    return [total // parts + (part < total % parts) for part in range(parts)]


def _sent(value: tf.Tensor) -> tf.Tensor:
    """Returns a value in a type that workers can send: they send numbers only."""
    if value.dtype == tf.string:
        value = tf.io.decode_raw(value, tf.uint8, fixed_length=_NAME_BYTES)
    return tf.cast(value, tf.int32) if value.dtype in (tf.uint8, tf.bool) else value


def _received(value: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns a value in its own type again."""
    if dtype != tf.string:
        return tf.cast(value, dtype)
    characters = tf.constant([b"", *(bytes([code]) for code in range(1, 256))])
    return tf.strings.reduce_join(tf.gather(characters, value), axis=-1)
