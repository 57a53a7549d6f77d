"""The order of records in which all classes are equally frequent.

Draw k is a pure function of (seed, k). Classes are drawn in rounds: each class once per round, in
an order specific to the round. A class's records are drawn in passes: each record once per pass, in
an order specific to the pass. So small classes repeat their images more often, and resuming at any
draw is arithmetic.
"""

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from classifier.inputs import large_images, shuffling, single_records
from classifier.inputs.cache import Cache
from slim import _checks
from slim.data import dataset as dataset_lib
from slim.data import records as record_files
from slim.data.large_images import LargeImage

# Bytes of a TFRecord before a record (length and checksum) and after it (checksum).
_BEFORE, _AFTER = 12, 4
_DRAWS_PER_PART = 2048


@dataclasses.dataclass(frozen=True)
class Index:
    """Location and class of each record; one array entry per record.

    Attributes:
      shard: index into the dataset's `data_sources`.
      record: its index in the shard.
      offset: its first byte in the shard.
      length: its number of bytes.
      label: its class, before `labels_offset`.
    """

    shard: np.ndarray
    record: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    label: np.ndarray


@tf.autograph.experimental.do_not_convert  # see `batches.training_dataset`
def training_records(
    dataset: dataset_lib.Dataset,
    *,
    seed: int,
    start_index: int = 0,
    num_readers: int = 4,
    shuffle_buffer_mb: int = 512,
    cache: Cache | None = None,
    chunk_size: int | None = None,
    balanced: Index | None = None,
) -> tf.data.Dataset:
    """Returns `shuffling.training_records`, or, with an index of the split, records of all classes
    equally often; an epoch then has as many records as the split.

    Arguments, result and errors are those of `shuffling.training_records`; `shuffle_buffer_mb` has
    no effect on balanced records, which are shuffled over the whole split.
    """
    if balanced is None:
        return shuffling.training_records(
            dataset,
            seed=seed,
            start_index=start_index,
            num_readers=num_readers,
            shuffle_buffer_mb=shuffle_buffer_mb,
            cache=cache,
            chunk_size=chunk_size,
        )
    _checks.non_negative(start_index=start_index)
    _checks.positive(num_readers=num_readers, chunk_size=chunk_size)
    index = balanced
    paths = cache.paths if cache else dataset.data_sources
    if dataset.record_source is not None:
        chosen = _places(index, seed, start_index).batch(single_records.chunk_size(dataset))
        records = single_records.read(dataset, chosen, num_readers).unbatch()
        return records if chunk_size is None else records.batch(chunk_size, drop_remainder=True)
    if not index.length.any():  # of images that were read in place before they were cached
        index = dataclasses.replace(index, **_places_in_files(dataset))
    signature = {
        name: tf.TensorSpec([None], tf.int64)
        for name in ("shard", "record", "offset", "length", "footer", "epoch", "index")
    }
    images = large_images.find(dataset)
    sizes = np.array([os.path.getsize(path) for path in dataset.data_sources], np.int64)

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for numbers, draws in _draws(index, seed, start_index):
            shard, offset, length = index.shard[draws], index.offset[draws], index.length[draws]
            yield {
                "shard": shard,
                "record": index.record[draws],
                "offset": offset,
                "length": length,
                "footer": sizes[shard] - offset - length,
                "epoch": numbers // len(index.label),
                "index": numbers % len(index.label),
            }

    def read(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        path = tf.gather(tf.constant(paths), row["shard"])
        one = tf.data.FixedLengthRecordDataset(
            path, row["length"], header_bytes=row["offset"], footer_bytes=row["footer"]
        )
        serialized = _unless_large(images, row, one.get_single_element)
        kept = {name: row[name] for name in ("shard", "record", "epoch", "index")}
        return {"serialized": serialized, **kept}

    drawn = tf.data.Dataset.from_generator(rows, output_signature=signature)
    records = drawn.unbatch().map(read, num_parallel_calls=num_readers, deterministic=True)
    return records if chunk_size is None else records.batch(chunk_size, drop_remainder=True)


def _places(index: Index, seed: int, start_index: int) -> tf.data.Dataset:
    """Returns the drawn records, without their places in files."""
    signature = {
        name: tf.TensorSpec([None], tf.int64) for name in ("shard", "record", "epoch", "index")
    }

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for numbers, draws in _draws(index, seed, start_index):
            yield {
                "shard": index.shard[draws],
                "record": index.record[draws],
                "epoch": numbers // len(index.label),
                "index": numbers % len(index.label),
            }

    return tf.data.Dataset.from_generator(rows, output_signature=signature).unbatch()


def index_records(dataset: dataset_lib.Dataset) -> Index:
    """Reads a split once, which also verifies its checksums, and returns its index.

    Raises:
      UserError: if there are no records.
      RunError: if a shard ends within one.
    """
    if dataset.record_source is not None:
        counts = list(dataset.shard_counts)
        labels = dataset.record_source.labels
        nowhere = np.zeros(len(labels), np.int64)
        shard = np.repeat(np.arange(len(counts)), counts)
        record = np.concatenate([np.arange(count) for count in counts])
        return Index(shard, record, nowhere, nowhere, labels)
    labels = shuffling.evaluation_records(dataset).map(
        lambda record: tf.cast(
            dataset.decoder.decode(record["serialized"], ["label"])[0], tf.int64
        ),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    label = np.concatenate(list(labels.batch(4096).as_numpy_iterator()))
    return Index(label=label, **_places_in_files(dataset))


def _places_in_files(dataset: dataset_lib.Dataset) -> dict[str, np.ndarray]:
    """Returns all values of an index but the labels."""
    all_places = record_files.find_all_records(dataset.data_sources, dataset.shard_counts)
    frames = np.concatenate([np.diff(places) for places in all_places])
    counts = [len(places) - 1 for places in all_places]
    offsets = np.concatenate([np.array(places[:-1], np.int64) for places in all_places])
    return {
        "shard": np.repeat(np.arange(len(counts)), counts),
        "record": np.concatenate([np.arange(count) for count in counts]),
        "offset": offsets + _BEFORE,
        "length": frames - _BEFORE - _AFTER,
    }


def _unless_large(
    images: Mapping[tuple[int, int], LargeImage],
    row: dict[str, tf.Tensor],
    read: Callable[[], tf.Tensor],
) -> tf.Tensor:
    """Returns the record that `read` reads, or the stand-in for a large image above a limit."""
    if not images:
        return read()
    place = tf.stack([row["shard"], row["record"]])
    is_place = tf.reduce_all(tf.equal(tf.constant(list(images), tf.int64), place), axis=1)
    stand_ins = tf.constant([image.example.SerializeToString() for image in images.values()])
    return tf.cond(
        tf.reduce_any(is_place),
        lambda: tf.gather(stand_ins, tf.argmax(tf.cast(is_place, tf.int32))),
        read,
    )


def _draws(index: Index, seed: int, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the numbers of the draws from `start` and their entries of the index, in parts."""
    members = _members(index.label)
    classes = len(members)

    @functools.lru_cache(maxsize=2 * classes)
    def of_pass(number: int, which: int) -> np.ndarray:
        return members[which][_permutation(len(members[which]), seed, 1, which, number)]

    @functools.lru_cache(maxsize=1)
    def of_round(number: int) -> np.ndarray:
        return _permutation(classes, seed, 0, number)

    def draw(number: int) -> int:
        round_number, place = divmod(number, classes)
        which = int(of_round(round_number)[place])
        pass_number, place = divmod(round_number, len(members[which]))
        return of_pass(pass_number, which)[place]

    for first in itertools.count(start, _DRAWS_PER_PART):
        numbers = np.arange(first, first + _DRAWS_PER_PART, dtype=np.int64)
        yield numbers, np.array([draw(number) for number in numbers.tolist()])


def _members(label: np.ndarray) -> list[np.ndarray]:
    """Returns the entries of the index of each class, in their order, by one sort."""
    order = np.argsort(label, kind="stable")
    _, firsts = np.unique(label[order], return_index=True)
    return np.split(order, firsts[1:])


def _permutation(size: int, *key: int) -> np.ndarray:
    """Returns a permutation that depends only on the key, with any version of NumPy, which
    guarantees RandomState's sequence."""
    words = [word for number in key for word in (number & 0xFFFFFFFF, (number >> 32) & 0xFFFFFFFF)]
    return np.random.RandomState(words).permutation(size)
