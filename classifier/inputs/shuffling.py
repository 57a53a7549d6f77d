"""The order of records: the order contract of training, and the file order of evaluation.

The order is a pure function of (seed, position). Shards, large ones divided into segments, are
permuted by (seed, epoch); consecutive segments form windows of bounded size; the encoded records of
a window are permuted by (seed, epoch, window). So resuming is arithmetic: epochs and windows are
skipped by their counts, and no skipped record is decoded. The number of threads affects only the
speed.
"""

import dataclasses
import itertools
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from classifier.inputs import errors, large_images, single_records
from classifier.inputs.cache import Cache
from classifier.inputs.pieces import Pieces
from slim import _checks
from slim.data import dataset as dataset_lib
from slim.data import record_datasets, records

# Folded into the seed, so that order, augmentation and mixing use different random numbers.
ORDER_STREAM = 0
AUGMENTATION_STREAM = 1
MIXING_STREAM = 2

_FOREVER = np.iinfo(np.int64).max
_EVALUATION_SEGMENT_BYTES = 16 << 20
# Records per call; the call costs more than its work.
_CHUNK = 64


@dataclasses.dataclass(frozen=True)
class Segments:
    """Ranges of records in shards; one array entry per segment.

    Attributes:
      shard: index into the dataset's `data_sources`.
      first: index of the segment's first record in its shard.
      count: its number of records.
      begin: its first byte in the shard.
      bytes: its approximate size.
      is_last: whether it is the last one of its shard.
    """

    shard: np.ndarray
    first: np.ndarray
    count: np.ndarray
    begin: np.ndarray
    bytes: np.ndarray
    is_last: np.ndarray


def shard_counts(dataset: dataset_lib.Dataset) -> list[int]:
    """Returns the records of each shard, counted where they are not recorded.

    Raises:
      UserError: if a shard whose records are not recorded is empty, or there are no records.
      RunError: if a record of a shard reaches beyond its file.
    """
    return [count for count, _ in _find_records(dataset)]


def first_positions(dataset: dataset_lib.Dataset) -> list[int]:
    """Returns the position in the split of each shard's first record."""
    return [0, *itertools.accumulate(shard_counts(dataset)[:-1])]


def _find_records(dataset: dataset_lib.Dataset) -> list[tuple[int, Sequence[int]]]:
    """Returns each shard's recorded number of records, and the offsets of those that it has.

    Records that are not in TFRecord files have their indices instead of offsets.
    """
    counts = dataset.shard_counts
    if dataset.record_source is not None:
        return [(count, range(count + 1)) for count in counts]
    all_places = records.find_all_records(dataset.data_sources, counts)
    shards = [
        (len(places) - 1 if count is None else count, places)
        for count, places in zip(counts, all_places, strict=True)
    ]
    if not sum(number for number, _ in shards):
        raise _checks.UserError(
            f"Split {dataset.split_name!r} of dataset {dataset.name!r} has no records"
        )
    return shards


def cut_into_segments(dataset: dataset_lib.Dataset, max_bytes: int) -> Segments:
    """Divides shards that are larger than `max_bytes` into segments."""
    rows = []
    for shard, (count, places) in enumerate(_find_records(dataset)):
        # Images read in place and their TFRecords have the same order, by the size of the images.
        sizes = dataset.shard_bytes
        size = sizes[shard] if sizes else os.path.getsize(dataset.data_sources[shard])
        pieces = max(1, min(count, -(-size // max(max_bytes, 1))))
        edges = [count * piece // pieces for piece in range(pieces + 1)]
        for first, end in itertools.pairwise(edges):
            begin = places[min(first, len(places) - 1)]
            share = size * (end - first) // max(count, 1)
            rows.append((shard, first, end - first, begin, share, end == count))
    columns = zip(*rows, strict=True)
    return Segments(*(np.array(column, np.int64) for column in columns))


def cut_into_pieces(dataset: dataset_lib.Dataset, segments: Segments) -> Pieces | None:
    """Returns the segments in pieces around large images above a limit; None if there are none."""
    images = large_images.find(dataset)
    if not images:
        return None
    columns = (segments.shard, segments.first, segments.count, segments.begin, segments.is_last)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return Pieces(rows, [places for _, places in _find_records(dataset)], images)


def training_records(
    dataset: dataset_lib.Dataset,
    *,
    seed: int,
    start_index: int = 0,
    num_readers: int = 4,
    shuffle_buffer_mb: int = 512,
    cache: Cache | None = None,
    chunk_size: int | None = None,
) -> tf.data.Dataset:
    """Returns the endless sequence of encoded records in training order.

    Args:
      dataset: the split.
      seed: of the run.
      start_index: number of records to skip, over all epochs.
      num_readers: segments read in parallel.
      shuffle_buffer_mb: limit of the encoded records held for shuffling, in 10^6 bytes. The order
        depends on it.
      cache: copies of the shards to read instead.
      chunk_size: number of records per element, which is faster than single records.

    Returns:
      dicts of scalars, or with `chunk_size` of vectors: `serialized` (string), `shard` (index into
      `data_sources`), `record` (its number in the shard), `epoch` and `index` (its place in the
      epoch), all int64.

    Raises:
      UserError: if the dataset is empty or a number is out of range.
    """
    _checks.non_negative(start_index=start_index)
    _checks.positive(
        num_readers=num_readers, shuffle_buffer_mb=shuffle_buffer_mb, chunk_size=chunk_size
    )
    # Two windows are held at a time, one in use and one being loaded, and a window ends with the
    # segment that exceeds its target: 2 * (1/3 + 1/12) of the buffer, which leaves space for the
    # segments being read.
    window_bytes = max(1, shuffle_buffer_mb * 1_000_000 // 3)
    segments = cut_into_segments(dataset, window_bytes // 4)
    pieces = cut_into_pieces(dataset, segments)
    first_epoch, offset = divmod(start_index, int(segments.count.sum()))
    order_seed = fold(seed_pair(seed), ORDER_STREAM)

    def windows_of(epoch: tf.Tensor) -> tf.data.Dataset:
        skipped = tf.where(epoch == first_epoch, tf.constant(offset, tf.int64), 0)
        return _windows(segments, window_bytes, fold(order_seed, epoch), epoch, skipped)

    def load(window: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        own = window.pop("segments")
        if dataset.record_source is not None:
            window |= places(segments, own)
        else:
            read = tf.data.Dataset.from_tensor_slices(own).map(
                lambda segment: _read_segment(dataset, segments, segment, pieces, cache),
                num_parallel_calls=num_readers,
                deterministic=True,
            )
            window |= read.unbatch().batch(window["count"]).get_single_element()
        order = permutation(window.pop("seed"), window["count"])[window["skip"] :]
        return {**window, "order": order}

    epochs = tf.data.Dataset.range(first_epoch, _FOREVER)
    elements = epochs.flat_map(windows_of).map(load).prefetch(1)
    if dataset.record_source is None:
        elements = elements.flat_map(lambda window: _emit(window, _CHUNK))
    else:
        size = single_records.chunk_size(dataset)
        elements = elements.flat_map(lambda window: _emit(window, size))
        elements = single_records.read(dataset, elements, num_readers)
    return (
        elements.unbatch()
        if chunk_size is None
        else elements.rebatch(chunk_size, drop_remainder=True)
    )


def evaluation_records(
    dataset: dataset_lib.Dataset, *, num_readers: int = 4, chunk_size: int | None = None
) -> tf.data.Dataset:
    """Returns every encoded record once, in file order.

    Arguments, elements and errors are those of `training_records`, without `epoch` and `index`; the
    last chunk may be smaller.
    """
    _checks.positive(num_readers=num_readers, chunk_size=chunk_size)
    segments = cut_into_segments(dataset, _EVALUATION_SEGMENT_BYTES)
    if dataset.record_source is not None:
        numbers = places(segments, tf.range(len(segments.shard)))
        rows = tf.data.Dataset.from_tensor_slices(numbers).batch(single_records.chunk_size(dataset))
        elements = single_records.read(dataset, rows, num_readers)
    else:
        pieces = cut_into_pieces(dataset, segments)
        elements = tf.data.Dataset.range(len(segments.shard)).map(
            lambda segment: _read_segment(dataset, segments, segment, pieces),
            num_parallel_calls=num_readers,
            deterministic=True,
        )
    return elements.unbatch() if chunk_size is None else elements.rebatch(chunk_size)


def seed_pair(seed: int) -> tf.Tensor:
    """Converts an integer seed to the int32 `[2]` of stateless random ops."""
    low, high = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    return tf.constant(np.array([low, high], np.uint32).view(np.int32))


def fold(seed: tf.Tensor, data: int | tf.Tensor) -> tf.Tensor:
    """Derives a seed from a seed and a number."""
    return tf.random.fold_in(seed, tf.cast(data, tf.int64))


def permutation(seed: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Returns a permutation of the numbers below `size` that depends only on the seed."""
    keys = tf.random.stateless_uniform([size], seed, None, None, tf.int64, alg="philox")
    return tf.cast(tf.argsort(keys), tf.int64)


def places(segments: Segments, chosen: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the indices of `shard` and `record` of all records of some segments, int64."""
    first, count = tf.gather(segments.first, chosen), tf.gather(segments.count, chosen)
    return {
        "shard": tf.repeat(tf.gather(segments.shard, chosen), count),
        "record": tf.ragged.range(first, first + count).flat_values,
    }


def _windows(
    segments: Segments, window_bytes: int, seed: tf.Tensor, epoch: tf.Tensor, skipped: tf.Tensor
) -> tf.data.Dataset:
    """Returns the windows of one epoch that follow its first `skipped` records."""
    order = permutation(fold(seed, 0), len(segments.shard))
    counts = tf.gather(segments.count, order)
    sizes = tf.gather(segments.bytes, order)
    window_of, members = tf.unique(tf.cumsum(sizes, exclusive=True) // window_bytes)
    window_counts = tf.math.unsorted_segment_sum(counts, members, tf.size(window_of))
    starts = tf.cumsum(window_counts, exclusive=True)
    window_seed = fold(seed, 1)

    def describe(window: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "epoch": epoch,
            "segments": tf.boolean_mask(order, members == tf.cast(window, tf.int32)),
            "count": window_counts[window],
            "start": starts[window],
            "skip": tf.maximum(skipped - starts[window], 0),
            "seed": fold(window_seed, window),
        }

    left = tf.cast(tf.reduce_sum(tf.cast(starts + window_counts <= skipped, tf.int32)), tf.int64)
    return tf.data.Dataset.range(left, tf.size(window_of, tf.int64)).map(describe)


def _read_segment(
    dataset: dataset_lib.Dataset,
    segments: Segments,
    segment: tf.Tensor,
    pieces: Pieces | None,
    cache: Cache | None = None,
) -> dict[str, tf.Tensor]:
    """Reads a segment; raises if its shard has fewer or more records than recorded."""
    shard = tf.gather(segments.shard, segment)
    first = tf.gather(segments.first, segment)
    count = tf.gather(segments.count, segment)
    # At the end of a shard, one record more is requested, to detect surplus records.
    requested = count + tf.gather(segments.is_last, segment)
    path = tf.gather(tf.constant(cache.paths if cache else dataset.data_sources), shard)
    if pieces is None:
        begin = tf.gather(segments.begin, segment)
        read = record_datasets.from_byte(path, begin).take(requested)
    else:
        read = pieces.read(path, segment)
    # An empty string is appended, since a dataset without elements has no single element.
    serialized = read.concatenate(tf.data.Dataset.from_tensors("")).batch(requested + 1)
    serialized = serialized.get_single_element()[:-1]
    num_records = tf.size(serialized, tf.int64)
    errors.raise_if(
        num_records != count,
        lambda: [
            errors.DAMAGED,
            "Shard ",
            tf.gather(tf.constant(dataset.shard_names), shard),
            " has ",
            tf.where(num_records > count, "more than ", "only "),
            tf.strings.as_string(tf.where(num_records > count, first + count, first + num_records)),
            " records where ",
            tf.strings.as_string(tf.gather(tf.constant(_totals(segments)), shard)),
            f" are recorded: {records.REPAIR}",
        ],
    )
    return {
        "serialized": serialized,
        "shard": tf.fill([num_records], shard),
        "record": first + tf.range(num_records),
    }


def _totals(segments: Segments) -> np.ndarray:
    return np.bincount(segments.shard, segments.count).astype(np.int64)


def _emit(window: dict[str, tf.Tensor], chunk: int) -> tf.data.Dataset:
    """Returns the records of a window in its order, in chunks, without copying all of them."""
    first, count = window["start"] + window["skip"], tf.size(window["order"], tf.int64)
    kept = [name for name in ("serialized", "shard", "record") if name in window]

    def examples(begin: tf.Tensor) -> dict[str, tf.Tensor]:
        positions = window["order"][begin : begin + chunk]
        places = first + begin + tf.range(tf.size(positions, tf.int64))
        return {
            **{name: tf.gather(window[name], positions) for name in kept},
            "epoch": tf.fill(tf.shape(places), window["epoch"]),
            "index": places,
        }

    return tf.data.Dataset.range(0, count, chunk).map(examples)
