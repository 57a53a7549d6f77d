"""Records of files, and prefetched batches, through the queues of TensorFlow 1.

`tf.compat.v1` is used here because these readers, queues and queue runners exist nowhere else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

Record = tuple[tf.Tensor, tf.Tensor]
Queue = tf.queue.QueueBase


class RecordQueues:
    """Several readers that fill a common queue, one file each at a time."""

    def __init__(
        self,
        reader_class: Any,
        common_queue: Queue | None,
        num_readers: int = 4,
        reader_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Initializes the readers; see `slim.data.parallel_reader.ParallelReader`.

        Raises:
          TypeError: if `common_queue` is not a queue of two strings.
        """
        types = getattr(common_queue, "dtypes", common_queue)
        if types != [tf.string, tf.string]:
            raise TypeError(
                f"common_queue of a ParallelReader in a tf.Graph must hold [tf.string, tf.string],"
                f" not {types}; for example tf.queue.FIFOQueue(256, [tf.string, tf.string])"
            )
        self._readers = _readers(reader_class, num_readers, reader_kwargs)
        self.common_queue = common_queue
        self.num_readers = num_readers

    def read(self, queue: Any, name: str | None = None) -> Record:
        """Returns the key and the value of the next record."""
        self._fill_from(queue)
        return self.common_queue.dequeue(name=name)

    def read_up_to(self, queue: Any, num_records: int, name: str | None = None) -> Record:
        """Returns the keys and values of the next records, fewer than `num_records` at the end."""
        self._fill_from(queue)
        return self.common_queue.dequeue_up_to(num_records, name)

    def total(self, count: str, name: str | None = None) -> tf.Tensor:
        """Returns the sum over all readers of one of their counts, a method's name."""
        return tf.add_n([getattr(reader, count)() for reader in self._readers], name)

    def _fill_from(self, queue: Any) -> None:
        _add_runner(
            self.common_queue,
            [self.common_queue.enqueue(reader.read(queue)) for reader in self._readers],
        )


def parallel_read(
    paths: Sequence[str],
    reader_class: Any,
    num_epochs: int | None,
    num_readers: int,
    reader_kwargs: Mapping[str, Any] | None,
    shuffle: bool,
    dtypes: Sequence[tf.DType] | None,
    capacity: int,
    min_after_dequeue: int,
    seed: int | None,
    scope: str | None,
) -> Record:
    """Returns the key and the value of the next record; see `slim.data.parallel_reader`."""
    with tf.compat.v1.name_scope(scope, "parallel_read"):
        names = tf.compat.v1.train.string_input_producer(
            paths, num_epochs=num_epochs, shuffle=shuffle, seed=seed, name="filenames"
        )
        dtypes = list(dtypes or (tf.string, tf.string))
        # TF-Slim's queue has no shapes, so keys cannot be batched there.
        arguments = {"dtypes": dtypes, "shapes": [[]] * len(dtypes), "name": "common_queue"}
        if shuffle:
            queue = tf.queue.RandomShuffleQueue(capacity, min_after_dequeue, seed=seed, **arguments)
        else:
            queue = tf.queue.FIFOQueue(capacity, **arguments)
        _summarize_size(queue, capacity)
        return RecordQueues(reader_class, queue, num_readers, reader_kwargs).read(names)


def single_pass_read(
    paths: Sequence[str],
    reader_class: Any,
    reader_kwargs: Mapping[str, Any] | None,
    scope: str | None,
) -> Record:
    """Returns the key and the value of the next record; see `slim.data.parallel_reader`."""
    with tf.compat.v1.name_scope(scope, "single_pass_read"):
        names = tf.compat.v1.train.string_input_producer(
            paths, num_epochs=1, shuffle=False, capacity=1, name="filenames"
        )
        (reader,) = _readers(reader_class, 1, reader_kwargs)
        return reader.read(names)


def prefetch_queue(
    tensors: Sequence[tf.Tensor] | Mapping[str, tf.Tensor],
    capacity: int,
    num_threads: int,
    dynamic_pad: bool,
    shared_name: str | None,
    name: str | None,
) -> Queue:
    """Returns a queue that a queue runner fills; see `slim.data.prefetch_queue`."""
    names = sorted(tensors) if isinstance(tensors, Mapping) else None
    values = [tensors[key] for key in names] if names else list(tensors)
    queue_class = tf.queue.PaddingFIFOQueue if dynamic_pad else tf.queue.FIFOQueue
    with tf.compat.v1.name_scope(name, "prefetch_queue", values):
        queue = queue_class(
            capacity,
            [value.dtype.base_dtype for value in values],
            [value.shape for value in values],
            names=names,
            shared_name=shared_name,
        )
        _add_runner(queue, [queue.enqueue(tensors)] * num_threads)
        _summarize_size(queue, capacity)
    return queue


def _readers(reader_class: Any, number: int, reader_kwargs: Mapping[str, Any] | None) -> list[Any]:
    reader_class = reader_class or tf.compat.v1.TFRecordReader
    return [reader_class(**(reader_kwargs or {})) for _ in range(number)]


def _add_runner(queue: Queue, enqueue_ops: Sequence[tf.Operation]) -> None:
    """Adds a queue runner, with one thread per op, to the graph's collection."""
    tf.compat.v1.train.add_queue_runner(tf.compat.v1.train.QueueRunner(queue, enqueue_ops))


def _summarize_size(queue: Queue, capacity: int) -> None:
    """Adds a summary of the fraction of the queue that is full."""
    size = tf.cast(queue.size(), tf.float32) * (1.0 / capacity)
    tf.compat.v1.summary.scalar(f"fraction_of_{capacity}_full", size)
