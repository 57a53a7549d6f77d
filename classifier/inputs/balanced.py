"""Which record comes when if every class is to come as often as the others.

Draw k is a pure function of (seed, k): the classes come in rounds, each class once a round in an
order of the round's own; a class's records come in passes, each record once a pass in an order of
the pass's own. So classes with few images repeat them more often, and resuming is arithmetic.
"""

import dataclasses
import functools
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from classifier.inputs import shuffling
from classifier.inputs.cache import Cache
from slim import _checks
from slim.data import dataset as dataset_lib

# A record in a TFRecord file stands between its length with a checksum and a checksum.
_BEFORE, _AFTER = 12, 4
_ROUNDS_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class Index:
    """Where each record is, and its class; one array entry for each record.

    Attributes:
      shard: index into the dataset's `data_sources`.
      record: its number in the shard.
      offset: its first byte in the shard.
      length: its bytes.
      label: its class, as the record has it.
    """

    shard: np.ndarray
    record: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    label: np.ndarray


def training_records(
    dataset: dataset_lib.Dataset,
    *,
    seed: int,
    start_index: int = 0,
    num_readers: int = 4,
    shuffle_buffer_mb: int = 512,
    cache: Cache | None = None,
    at_once: int | None = None,
    balanced: Index | None = None,
) -> tf.data.Dataset:
    """Returns `shuffling.training_records`, or, with an index of the split, records of every class
    as often as of the others; an epoch then is as many records as the split has.

    Args, results and errors are those of `shuffling.training_records`; `shuffle_buffer_mb` does
    nothing for balanced records, whose order is one of the whole split.
    """
    if balanced is None:
        return shuffling.training_records(
            dataset,
            seed=seed,
            start_index=start_index,
            num_readers=num_readers,
            shuffle_buffer_mb=shuffle_buffer_mb,
            cache=cache,
            at_once=at_once,
        )
    _checks.non_negative(start_index=start_index)
    _checks.positive(num_readers=num_readers, at_once=at_once)
    index = balanced
    paths = cache.paths if cache else dataset.data_sources
    signature = {
        name: tf.TensorSpec([None], tf.int64)
        for name in ("shard", "record", "offset", "length", "left", "epoch", "index")
    }
    sizes = np.array([os.path.getsize(path) for path in dataset.data_sources], np.int64)

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for numbers, draws in _draws(index, seed, start_index):
            shard, offset, length = index.shard[draws], index.offset[draws], index.length[draws]
            yield {
                "shard": shard,
                "record": index.record[draws],
                "offset": offset,
                "length": length,
                "left": sizes[shard] - offset - length,
                "epoch": numbers // len(index.label),
                "index": numbers % len(index.label),
            }

    def read(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        path = tf.gather(tf.constant(paths), row["shard"])
        one = tf.data.FixedLengthRecordDataset(
            path, row["length"], header_bytes=row["offset"], footer_bytes=row["left"]
        )
        kept = {name: row[name] for name in ("shard", "record", "epoch", "index")}
        return {"serialized": one.get_single_element(), **kept}

    drawn = tf.data.Dataset.from_generator(rows, output_signature=signature)
    found = drawn.unbatch().map(read, num_parallel_calls=num_readers, deterministic=True)
    return found if at_once is None else found.batch(at_once, drop_remainder=True)


def index_records(dataset: dataset_lib.Dataset) -> Index:
    """Returns the index of a split; reads it once, which also checks its checksums.

    Raises:
      UserError: if there are no records, or a shard ends within one.
    """
    shuffling.shard_counts(dataset)
    columns: list[tuple[np.ndarray, ...]] = []
    for shard, path in enumerate(dataset.data_sources):
        found = tf.data.TFRecordDataset(path).map(
            lambda serialized: (
                tf.cast(dataset.decoder.decode(serialized, ["label"])[0], tf.int64),
                tf.cast(tf.strings.length(serialized), tf.int64),
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        parts = list(found.batch(4096).as_numpy_iterator())
        labels, lengths = (
            np.concatenate([part[i] for part in parts] or [np.zeros(0, np.int64)]) for i in (0, 1)
        )
        frames = _BEFORE + lengths + _AFTER
        offsets = np.cumsum(frames) - frames + _BEFORE
        numbers = np.arange(len(labels), dtype=np.int64)
        columns.append((np.full_like(numbers, shard), numbers, offsets, lengths, labels))
    return Index(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _draws(index: Index, seed: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the numbers of draws from `start` on, and the entry of the index that each takes."""
    members = [np.flatnonzero(index.label == label) for label in np.unique(index.label)]
    classes = len(members)

    @functools.lru_cache(maxsize=2 * classes)
    def of_pass(number: int, which: int) -> np.ndarray:
        return members[which][_permutation(len(members[which]), seed, 1, which, number)]

    first_round, skipped = divmod(start, classes)
    while True:
        draws = np.array(
            [
                of_pass(number // len(members[which]), which)[number % len(members[which])]
                for number in range(first_round, first_round + _ROUNDS_AT_ONCE)
                for which in _permutation(classes, seed, 0, number)
            ]
        )
        numbers = first_round * classes + np.arange(len(draws), dtype=np.int64)
        yield numbers[skipped:], draws[skipped:]
        first_round, skipped = first_round + _ROUNDS_AT_ONCE, 0


def _permutation(size: int, *key: int) -> np.ndarray:
    """Returns the numbers below `size` in an order that depends on the key alone, for good: NumPy
    promises that RandomState's numbers never change."""
    words = [word for number in key for word in (number & 0xFFFFFFFF, (number >> 32) & 0xFFFFFFFF)]
    return np.random.RandomState(words).permutation(size)
