"""Examples of a dataset, one at a time, with TF-Slim's interface."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from slim import _checks
from slim.data import dataset as dataset_lib
from slim.data import parallel_reader

Item = tf.Tensor | tf.SparseTensor


class DatasetDataProvider:
    """Returns the next example's items at each `get`.

    Example:
      provider = DatasetDataProvider(dataset, num_readers=4, shuffle=True)
      image, label = provider.get(["image", "label"])

    In TF-Slim, `get` returned graph tensors with new values at each step of the session; here,
    each call returns the next example. For batches, use the `tf.data.Dataset` of `dataset(items)`.
    TF-Slim's `reader_kwargs`, `record_key` and `scope` are not supported.
    """

    def __init__(
        self,
        dataset: dataset_lib.Dataset,
        num_readers: int = 1,
        shuffle: bool = True,
        num_epochs: int | None = None,
        common_queue_capacity: int = 256,
        common_queue_min: int | None = None,
        seed: int | None = None,
    ) -> None:
        """Initializes the provider.

        Args:
          dataset: the split.
          num_readers: number of shards to read in parallel.
          shuffle: whether to shuffle shards and records.
          num_epochs: number of epochs; None for no limit.
          common_queue_capacity: number of records that are shuffled together.
          common_queue_min: TF-Slim's minimum number of queued records; checked, but without effect,
            because the buffer is filled before the first record.
          seed: of the order; None for a random one.

        Raises:
          UserError: if a number is out of range.
        """
        if common_queue_min is not None:
            _checks.in_range(0, common_queue_capacity, common_queue_min=common_queue_min)
        reader = parallel_reader.ParallelReader(
            num_readers=num_readers, shuffle=shuffle, capacity=common_queue_capacity, seed=seed
        )
        self._dataset = dataset
        self._records = reader.read(dataset.data_sources, num_epochs)
        self._iterator: Iterator[tf.Tensor] | None = None

    def list_items(self) -> list[str]:
        """Returns the names of the items."""
        return list(self._dataset.decoder.list_items())

    def num_samples(self) -> int:
        """Returns the number of examples per epoch."""
        return self._dataset.num_samples

    def get(self, items: Sequence[str]) -> list[Item]:
        """Returns the items of the next example, in the order asked for.

        Args:
          items: names of `list_items()`; an error consumes no example.

        Raises:
          UserError: if an item is unknown.
          StopIteration: after the last example of the last epoch.
        """
        self._check(items)
        if self._iterator is None:
            self._iterator = iter(self._records)
        return list(self._dataset.decoder.decode(next(self._iterator), list(items)))

    def dataset(self, items: Sequence[str]) -> tf.data.Dataset:
        """Returns all examples as dicts of the items; independent of `get`.

        Raises:
          UserError: if an item is unknown.
        """
        self._check(items)
        names = list(items)

        def decode(serialized: tf.Tensor) -> dict[str, Item]:
            return dict(zip(names, self._dataset.decoder.decode(serialized, names), strict=True))

        return self._records.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _check(self, items: Sequence[str]) -> None:
        for item in items:
            _checks.one_of("item", item, self.list_items())
