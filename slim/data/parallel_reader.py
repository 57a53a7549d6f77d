"""Reads records of several files in parallel.

The names are those of TF-Slim's module, which returned tensors filled by a queue. Here, each
function returns a `tf.data.Dataset` of serialized records.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from slim import _checks
from slim.data.files import get_data_files


class ParallelReader:
    """Reads records from several files in parallel, each record exactly once per epoch."""

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
          num_readers: number of files to read in parallel.
          shuffle: whether to shuffle files and records, differently in each epoch.
          capacity: number of records of an epoch that are shuffled together; has no effect without
            `shuffle`.
          seed: of the order; None for a random one.

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
          num_epochs: number of epochs; None for no limit.

        Raises:
          UserError: if there are no files, or `num_epochs` is not positive.
        """
        _checks.positive(num_epochs=num_epochs)
        if not files:
            raise _checks.UserError("data_sources is empty: there are no files to read")
        epochs = tf.data.Dataset.range(np.iinfo(np.int64).max if num_epochs is None else num_epochs)
        return epochs.flat_map(lambda epoch: self._epoch(list(files), epoch))

    def _epoch(self, files: list[str], epoch: tf.Tensor) -> tf.data.Dataset:
        # Stateless: the order depends on the seed only, not on `tf.random.set_seed`.
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
    """Returns the records of files, read in parallel.

    TF-Slim's `reader_class`, `reader_kwargs`, `dtypes`, `min_after_dequeue` and `scope` configure
    its queues and are not supported.

    Args:
      data_sources: see `get_data_files`.
      num_epochs: number of epochs; None for no limit.
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
