"""Reads records of several files in parallel.

In eager code, a `tf.data.Dataset` of serialized records is returned. In a plain `tf.Graph`, the
functions return TF-Slim's `(key, value)`: tensors with the next record at each run of a session,
once `tf.compat.v1.train.start_queue_runners` has started the queues.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks, graph
from slim.data import record_datasets
from slim.data.files import get_data_files

Record = tuple[tf.Tensor, tf.Tensor]

__all__ = ["ParallelReader", "get_data_files", "parallel_read", "single_pass_read"]


class ParallelReader:
    """Reads records from several files in parallel, each record exactly once per epoch."""

    def __init__(
        self,
        reader_class: Any = None,
        common_queue: Any = None,
        num_readers: int = 4,
        reader_kwargs: Mapping[str, Any] | None = None,
        *,
        shuffle: bool = True,
        capacity: int = 256,
        seed: int | None = None,
    ) -> None:
        """Initializes the reader.

        Args:
          reader_class: in a graph, a class such as `tf.compat.v1.TFRecordReader`; otherwise a class
            of tf.data. None for TFRecord files.
          common_queue: in a graph, the queue of two strings that the readers fill.
          num_readers: number of files to read in parallel.
          reader_kwargs: arguments of `reader_class`.
          shuffle: whether to shuffle files and records, differently in each epoch. In a graph, the
            common queue decides; there, this and the following have no effect.
          capacity: number of records of an epoch that are shuffled together; has no effect without
            `shuffle`.
          seed: of the order; None for a random one.

        Raises:
          TypeError: in a graph, if `common_queue` does not hold two strings.
          UserError: if a number is not positive, `seed` is negative, or an argument belongs to the
            other mode.
        """
        self._queues = self._datasets = None
        if graph.in_graph():
            from slim.graph import record_queues

            self._queues = record_queues.RecordQueues(
                reader_class, common_queue, num_readers, reader_kwargs
            )
            return
        if common_queue is not None:
            raise _checks.UserError(
                "common_queue of a ParallelReader works in a plain tf.Graph only. In eager code,"
                " ParallelReader(shuffle=True, capacity=256).read(files) returns a tf.data.Dataset"
            )
        self._datasets = record_datasets.RecordDatasets(
            reader_class,
            reader_kwargs,
            num_readers=num_readers,
            shuffle=shuffle,
            capacity=capacity,
            seed=seed,
        )

    def read(
        self, queue: Any, name: str | None = None, *, num_epochs: int | None = None
    ) -> tf.data.Dataset | Record:
        """Returns the records.

        Args:
          queue: the files; in a graph, a queue of their names, such as that of
            `tf.compat.v1.train.string_input_producer`.
          name: of the op, in a graph.
          num_epochs: number of epochs; None for no limit. In a graph, the queue decides.

        Returns:
          The records as scalar strings; in a graph, the next record's `(key, value)`.

        Raises:
          UserError: if there are no files, or `num_epochs` is not positive.
        """
        if self._queues is not None:
            return self._queues.read(queue, name)
        return self._datasets.read(queue, num_epochs)

    def read_up_to(self, queue: Any, num_records: int, name: str | None = None) -> Record:
        """Returns the keys and values of up to `num_records` next records; in a graph only."""
        return self._graph_only("read_up_to").read_up_to(queue, num_records, name)

    @property
    def num_readers(self) -> int:
        """The number of files that are read in parallel."""
        return (self._queues or self._datasets).num_readers

    @property
    def common_queue(self) -> Any:
        """The queue that the readers fill; in a graph only."""
        return self._graph_only("common_queue").common_queue

    def num_records_produced(self, name: str | None = None) -> tf.Tensor:
        """Returns the number of records read so far, int64; in a graph only."""
        return self._graph_only("num_records_produced").total("num_records_produced", name)

    def num_work_units_completed(self, name: str | None = None) -> tf.Tensor:
        """Returns the number of files read completely so far, int64; in a graph only."""
        return self._graph_only("num_work_units_completed").total("num_work_units_completed", name)

    def _graph_only(self, method: str) -> Any:
        if self._queues is None:
            raise _checks.UserError(
                f"ParallelReader.{method} needs a reader created in a plain tf.Graph. In eager"
                " code, read(files) returns a tf.data.Dataset; use its methods"
            )
        return self._queues


def parallel_read(
    data_sources: str | Sequence[str],
    reader_class: Any = None,
    num_epochs: int | None = None,
    num_readers: int = 4,
    reader_kwargs: Mapping[str, Any] | None = None,
    shuffle: bool = True,
    dtypes: Sequence[tf.DType] | None = None,
    capacity: int = 256,
    min_after_dequeue: int = 128,
    seed: int | None = None,
    scope: str | None = None,
) -> tf.data.Dataset | Record:
    """Returns the records of files, read in parallel.

    Args:
      data_sources: see `get_data_files`.
      reader_class: see `ParallelReader`, as `num_readers` and `reader_kwargs`.
      num_epochs: number of epochs; None for no limit. In a graph, a number creates a local
        variable, which must be initialized before the queues start.
      num_readers: number of files to read in parallel.
      reader_kwargs: arguments of `reader_class`.
      shuffle: whether to shuffle files and records.
      dtypes: types of the key and the value, in a graph; None for two strings.
      capacity: number of records that are shuffled together or, in a graph, queued.
      min_after_dequeue: number of records that stay queued in a graph, for shuffling; has no effect
        in eager code.
      seed: of the order; None for a random one.
      scope: name scope of the ops, in a graph.

    Returns:
      The records as scalar strings; in a graph, the next record's `(key, value)`.

    Raises:
      UserError: if there are no files or a number is out of range.
    """
    paths = get_data_files(data_sources)
    if not graph.in_graph():
        return record_datasets.RecordDatasets(
            reader_class,
            reader_kwargs,
            num_readers=num_readers,
            shuffle=shuffle,
            capacity=capacity,
            seed=seed,
        ).read(paths, num_epochs)
    from slim.graph import record_queues

    _checks.positive(num_readers=num_readers, capacity=capacity, num_epochs=num_epochs)
    if shuffle:
        _checks.in_range(0, capacity - 1, min_after_dequeue=min_after_dequeue)
    return record_queues.parallel_read(
        paths,
        reader_class,
        num_epochs,
        num_readers,
        reader_kwargs,
        shuffle,
        dtypes,
        capacity,
        min_after_dequeue,
        seed,
        scope,
    )


def single_pass_read(
    data_sources: str | Sequence[str],
    reader_class: Any = None,
    reader_kwargs: Mapping[str, Any] | None = None,
    scope: str | None = None,
) -> tf.data.Dataset | Record:
    """Returns the records of files once, in the order of the files.

    Arguments, results and errors as in `parallel_read`.
    """
    if not graph.in_graph():
        return parallel_read(data_sources, reader_class, 1, 1, reader_kwargs, shuffle=False)
    from slim.graph import record_queues

    return record_queues.single_pass_read(
        get_data_files(data_sources), reader_class, reader_kwargs, scope
    )
