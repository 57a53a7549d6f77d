"""Reads records of several files in parallel, as a `tf.data.Dataset`.

`tf.compat.v1` is used here to recognize TensorFlow 1's reader of TFRecord files.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim import _checks
from slim.data import files as files_lib

_READER_BYTES = 256 << 10  # as `tf.data.TFRecordDataset` reads at once


class RecordDatasets:
    """Reads records from several files in parallel, each record exactly once per epoch."""

    def __init__(
        self,
        reader_class: Any = None,
        reader_kwargs: Mapping[str, Any] | None = None,
        *,
        num_readers: int = 4,
        shuffle: bool = True,
        capacity: int = 256,
        seed: int | None = None,
    ) -> None:
        """Initializes the reader.

        Args:
          reader_class: a class of tf.data, such as `tf.data.TextLineDataset`. TFRecord files by
            default, or with TensorFlow 1's `TFRecordReader`.
          reader_kwargs: arguments of the class.
          num_readers: number of files to read in parallel.
          shuffle: whether to shuffle files and records, differently in each epoch.
          capacity: number of records of an epoch that are shuffled together; has no effect without
            `shuffle`.
          seed: of the order; None for a random one.

        Raises:
          TypeError: if `reader_kwargs` is not a dict.
          UserError: if a number is not positive, `seed` is negative, or `reader_class` is another.
        """
        _checks.positive(num_readers=num_readers, capacity=capacity)
        _checks.non_negative(seed=seed)
        self.num_readers = num_readers
        self._open = _opener(reader_class, {} if reader_kwargs is None else reader_kwargs)
        self._shuffle = shuffle
        self._capacity = capacity
        self._seed = int(np.random.default_rng(seed).integers(1 << 31))

    def read(self, files: Sequence[str], num_epochs: int | None = None) -> tf.data.Dataset:
        """Returns the records of the files, scalar strings.

        Args:
          files: paths.
          num_epochs: number of epochs; None for no limit.

        Raises:
          UserError: if there are no files, or `num_epochs` is not positive.
        """
        _checks.positive(num_epochs=num_epochs)
        files_lib.check_any(files)
        epochs = tf.data.Dataset.range(np.iinfo(np.int64).max if num_epochs is None else num_epochs)
        return epochs.flat_map(lambda epoch: self._epoch(list(files), epoch))

    def _epoch(self, files: list[str], epoch: tf.Tensor) -> tf.data.Dataset:
        # Stateless: the order depends on the seed only, not on `tf.random.set_seed`.
        seed = tf.stack([tf.constant(self._seed, tf.int64), epoch])
        order = tf.constant(files)
        if self._shuffle:
            order = tf.random.experimental.stateless_shuffle(order, seed)
        readers = min(self.num_readers, len(files))
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            self._open,
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


def from_byte(path: str | tf.Tensor, begin: int | tf.Tensor) -> tf.data.Dataset:
    """Returns the records of a TFRecord file from a byte offset on, the first byte of a record.

    `skip` would read the skipped records. It works only in a function of another dataset, such as
    that of `flat_map`: TensorFlow loses the offset when it copies the dataset itself.
    """
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=[path], compression_type="", buffer_size=_READER_BYTES, byte_offsets=[begin]
    )
    return tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))


def _opener(reader_class: Any, kwargs: Mapping[str, Any]) -> Callable[[tf.Tensor], tf.data.Dataset]:
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"reader_kwargs={kwargs!r} must be a dict; pass shuffle by name")
    if reader_class in (None, tf.compat.v1.TFRecordReader):
        reader_class = tf.data.TFRecordDataset
    if not (isinstance(reader_class, type) and issubclass(reader_class, tf.data.Dataset)):
        name = getattr(reader_class, "__name__", repr(reader_class))
        raise _checks.UserError(
            f"reader={name} of TensorFlow 1 works in a plain tf.Graph only. In eager code, pass a"
            " class of tf.data, such as reader=tf.data.TextLineDataset"
        )
    return functools.partial(reader_class, **kwargs)
