"""Examples of a dataset, one at a time, with TF-Slim's interface."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks, graph
from slim.data import data_provider, parallel_reader, record_datasets
from slim.data import dataset as dataset_lib
from slim.data.item_handlers import Item


class DatasetDataProvider(data_provider.DataProvider):
    """Returns the items of the next example.

    Example:
      provider = DatasetDataProvider(dataset, num_readers=4, shuffle=True)
      image, label = provider.get(["image", "label"])

    In eager code, each call of `get` returns the next example; for batches, use the
    `tf.data.Dataset` of `dataset(items)`. In a plain `tf.Graph`, `get` returns tensors with new
    values at each run of a session, as in TF-Slim; start the queue runners first.
    """

    def __init__(
        self,
        dataset: dataset_lib.Dataset,
        num_readers: int = 1,
        reader_kwargs: Mapping[str, Any] | None = None,
        shuffle: bool = True,
        num_epochs: int | None = None,
        common_queue_capacity: int = 256,
        common_queue_min: int = 128,
        record_key: str = "record_key",
        seed: int | None = None,
        scope: str | None = None,
    ) -> None:
        """Initializes the provider.

        Args:
          dataset: the split.
          num_readers: number of shards to read in parallel.
          reader_kwargs: arguments of the dataset's `reader`.
          shuffle: whether to shuffle shards and records.
          num_epochs: number of epochs; None for no limit. In a graph, a number creates a local
            variable, which must be initialized before the queues start.
          common_queue_capacity: number of records that are shuffled together or, in a graph,
            queued.
          common_queue_min: number of records that stay queued in a graph, for shuffling; has no
            effect in eager code, where the buffer is filled before the first record.
          record_key: in a graph, the item with the record's file and position.
          seed: of the order; None for a random one.
          scope: name scope of the ops, in a graph.

        Raises:
          ValueError: if the dataset has an item `record_key`.
          UserError: if a number is out of range, or there are no files.
        """
        items = list(dataset.decoder.list_items())
        if record_key in items:
            raise ValueError(
                f"record_key={record_key!r} is also an item of the dataset; pass another name"
            )
        self._dataset = dataset
        self._iterator: Iterator[tf.Tensor] | None = None
        self._read = functools.partial(
            _read,
            dataset,
            num_epochs,
            reader_kwargs=reader_kwargs,
            num_readers=num_readers,
            shuffle=shuffle,
            capacity=common_queue_capacity,
            seed=seed,
        )
        self._in_graph = graph.in_graph()
        if self._in_graph:
            if shuffle:
                _checks.in_range(0, common_queue_capacity - 1, common_queue_min=common_queue_min)
            key, record = parallel_reader.parallel_read(
                dataset.data_sources,
                dataset.reader,
                num_epochs,
                num_readers,
                reader_kwargs,
                shuffle,
                capacity=common_queue_capacity,
                min_after_dequeue=common_queue_min,
                seed=seed,
                scope=scope,
            )
            tensors = dict(zip(items, dataset.decoder.decode(record, items), strict=True))
            super().__init__(tensors | {record_key: key}, dataset.num_samples)
        else:
            _checks.non_negative(common_queue_min=common_queue_min)
            self._records = self._read()
            super().__init__(dict.fromkeys(items), dataset.num_samples)

    def get(self, items: Sequence[str]) -> list[Item]:
        """Returns the items of the next example, in the order asked for.

        Args:
          items: a list or tuple of names of `list_items()`; an error consumes no example.

        Raises:
          ValueError: if `items` is not a list or tuple.
          UserError: if an item is unknown.
          StopIteration: in eager code, after the last example of the last epoch.
        """
        if self._in_graph:
            return super().get(items)
        self._validate_items(items)
        if self._iterator is None:
            self._iterator = iter(self._records)
        record = next(self._iterator)
        return list(self._dataset.decoder.decode(record, list(items))) if items else []

    def dataset(self, items: Sequence[str]) -> tf.data.Dataset:
        """Returns all examples as dicts of the items; independent of `get`.

        Raises:
          ValueError: if `items` is not a list or tuple.
          UserError: if an item is unknown, or in a graph, if tf.data cannot replace the dataset's
            `reader`.
        """
        self._validate_items(items)
        names = list(items)

        def decode(serialized: tf.Tensor) -> dict[str, Item]:
            return dict(zip(names, self._dataset.decoder.decode(serialized, names), strict=True))

        records = self._read() if self._in_graph else self._records
        return records.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _read(dataset: dataset_lib.Dataset, num_epochs: int | None, **kwargs: Any) -> tf.data.Dataset:
    paths = parallel_reader.get_data_files(dataset.data_sources)
    return record_datasets.RecordDatasets(dataset.reader, **kwargs).read(paths, num_epochs)
