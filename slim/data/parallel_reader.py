"""Records of several files read at the same time.

The names are those of the original's module. It returned tensors that a queue filled; here each
function returns a `tf.data.Dataset` of serialized records.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from slim import _checks
from slim.data.files import get_data_files


class ParallelReader:
    """Reads records from files, several at a time, in random order or as they come.

    Every record comes exactly once an epoch, whatever the readers and the buffer.
    """

    def __init__(
        self,
        *,
        num_readers: int = 4,
        shuffle: bool = True,
        capacity: int = 256,
        seed: int | None = None,
    ) -> None:
        """Initializes the reader.

        Args:
          num_readers: files read at the same time.
          shuffle: whether files and records come in a random order, another one in each epoch.
          capacity: records that are held and put in a random order together, those of one epoch; of
            no use without `shuffle`.
          seed: gives the same order each time; None gives another one.

        Raises:
          UserError: if a number is not positive, or `seed` is negative.
        """
        _checks.positive(num_readers=num_readers, capacity=capacity)
        _checks.non_negative(seed=seed)
        self._num_readers = num_readers
        self._shuffle = shuffle
        self._capacity = capacity
        self._seed = int(np.random.default_rng(seed).integers(1 << 31))

    def read(self, files: Sequence[str], num_epochs: int | None = None) -> tf.data.Dataset:
        """Returns the records of the files, scalar strings.

        Args:
          files: TFRecord files.
          num_epochs: how many times; None for without end.

        Raises:
          UserError: if there is no file or `num_epochs` is not positive.
        """
        _checks.positive(num_epochs=num_epochs)
        if not files:
            raise _checks.UserError("data_sources has no files to read")
        epochs = tf.data.Dataset.range(np.iinfo(np.int64).max if num_epochs is None else num_epochs)
        return epochs.flat_map(lambda epoch: self._epoch(list(files), epoch))

    def _epoch(self, files: list[str], epoch: tf.Tensor) -> tf.data.Dataset:
        # Stateless, so that an order is the seed's alone, whatever `tf.random.set_seed` was given.
        seed = tf.stack([tf.constant(self._seed, tf.int64), epoch])
        order = tf.constant(files)
        if self._shuffle:
            order = tf.random.experimental.stateless_shuffle(order, seed)
        readers = min(self._num_readers, len(files))
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            tf.data.TFRecordDataset,
            cycle_length=readers,
            num_parallel_calls=readers,
            deterministic=True,
        )
        return self._shuffled(records, seed) if self._shuffle else records

    def _shuffled(self, records: tf.data.Dataset, seed: tf.Tensor) -> tf.data.Dataset:
        def shuffle(number: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
            own_seed = tf.random.experimental.stateless_fold_in(seed, number + 1)
            return tf.random.experimental.stateless_shuffle(window, own_seed)

        return records.batch(self._capacity).enumerate().map(shuffle).unbatch()


def parallel_read(
    data_sources: str | Sequence[str],
    num_epochs: int | None = None,
    num_readers: int = 4,
    shuffle: bool = True,
    capacity: int = 256,
    seed: int | None = None,
) -> tf.data.Dataset:
    """Returns the records of files, read several at a time.

    The original's `reader_class`, `reader_kwargs`, `dtypes`, `min_after_dequeue` and `scope` belong
    to its queues and are not taken: `tf.data` reads TFRecord files, and keeps `capacity` full.

    Args:
      data_sources: see `get_data_files`.
      num_epochs: how many times; None for without end.
      num_readers: see `ParallelReader`, as `shuffle`, `capacity` and `seed`.

    Raises:
      UserError: if there are no files or a number is out of range.
    """
    reader = ParallelReader(num_readers=num_readers, shuffle=shuffle, capacity=capacity, seed=seed)
    return reader.read(get_data_files(data_sources), num_epochs)


def single_pass_read(data_sources: str | Sequence[str]) -> tf.data.Dataset:
    """Returns the records of files once, in the order of the files; see `get_data_files`.

    Raises:
      UserError: if there are no files.
    """
    return parallel_read(data_sources, num_epochs=1, num_readers=1, shuffle=False)
