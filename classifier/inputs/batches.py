"""Batches for training and evaluation.

Batch k of a training run is a pure function of (seed, k), whatever the threads do: see `shuffling`.
Each image's augmentation depends only on (seed, epoch, position in the epoch).
"""

from typing import Any

import tensorflow as tf

from classifier.inputs import bad_images, diagnosis, examples, large_images, shuffling
from classifier.inputs import data_service as service
from classifier.inputs.balanced import Index, training_records
from classifier.inputs.cache import Cache
from classifier.inputs.examples import Example, Preparation, PreprocessingFn
from classifier.inputs.labels import labels_of
from classifier.inputs.mixing import Mixing
from slim import _checks
from slim.data import dataset as dataset_lib

_PREFETCH_BATCHES = 2  # without autotuning

translate_errors = diagnosis.translate_errors

__all__ = ["evaluation_dataset", "training_dataset", "training_records", "translate_errors"]


@tf.autograph.experimental.do_not_convert  # Conversion takes a second, and nothing here needs it.
def training_dataset(
    dataset: dataset_lib.Dataset,
    *,
    preprocessing_fn: PreprocessingFn,
    image_size: tuple[int, int],
    batch_size: int,
    seed: int,
    start_index: int = 0,
    labels_offset: int = 0,
    num_classes: int | None = None,
    num_readers: int = 4,
    num_preprocessing_threads: int | None = None,
    shuffle_buffer_mb: int = 512,
    mixing: Mixing | None = None,
    skipped: bad_images.BadImages | None = None,
    cache: Cache | None = None,
    data_service: str | None = None,
    worker: tuple[int | tf.Tensor, int] = (0, 1),
    balanced: Index | None = None,
) -> tf.data.Dataset:
    """Returns endless training batches, which may span two epochs.

    Args:
      dataset: the split.
      preprocessing_fn: `fn(image, height, width, seed=int32 [2])` returns an image of that size;
        `image` is a `slim.data.encoded_images.EncodedImage`, which may be decoded in part.
      image_size: height and width of the result, in pixels.
      batch_size: number of examples of a batch, over all clones.
      seed: of the run.
      start_index: number of examples that the run has consumed so far, over all epochs: steps times
        `batch_size`.
      labels_offset: subtracted from the labels.
      num_classes: classes of the network; default: the dataset's minus `labels_offset`.
      num_readers: segments of shards read in parallel; affects only the speed.
      num_preprocessing_threads: examples prepared in parallel; None for automatic; affects only the
        speed.
      shuffle_buffer_mb: limit of the encoded records held for shuffling, in 10^6 bytes. The order
        depends on it.
      mixing: mixes the examples of each batch.
      skipped: collects the images that cannot be decoded, which then do not stop the iteration.
      cache: copies of the shards to read instead.
      data_service: addresses of the `tf.data` services whose workers create the batches in turn,
        separated by commas; see `data_service`.
      worker: index of this process and number of processes; each reads its part of every batch.
      balanced: index of the split, by `index_records`: draw every class equally often.

    Returns:
      dicts of `image` (float32 `[batch_size, height, width, channels]`), `label` (int64
      `[batch_size]`, or `[batch_size, classes]` with a 1 for each of several labels), and, to
      identify an example in messages, `shard`, `record`, `epoch` and
      `index` (all int64 `[batch_size]`); with `mixing` also its additions; with `skipped` also
      `weight` (float32 `[batch_size]`): 0 where another example replaces a bad one, else 1.

    Raises:
      UserError: if the dataset is empty or a number is out of range.
      RunError: if a shard is truncated, or without `skipped` if a large image exceeds a limit.
        Errors during iteration: see `translate_errors`.
    """
    num_classes = _checked(dataset, image_size, batch_size, labels_offset, num_classes)
    _checks.positive(num_preprocessing_threads=num_preprocessing_threads)
    if skipped is None:
        large_images.check(dataset)
    if cache is not None:
        dataset = cache.dataset
    index, count = worker
    own_size = batch_size // count
    chunk_size = examples.chunk_size(image_size, own_size)
    encoded = training_records(
        dataset,
        seed=seed,
        start_index=start_index,
        num_readers=num_readers,
        shuffle_buffer_mb=shuffle_buffer_mb,
        balanced=balanced,
        cache=cache,
        chunk_size=chunk_size,
    )
    if count > 1:
        encoded = _part_of_each_batch(encoded, batch_size // (chunk_size or 1), index, count)
    labels = labels_of(dataset, labels_offset, num_classes)
    prepare = Preparation(dataset, preprocessing_fn, image_size, labels, seed=seed, skipped=skipped)
    services = [None] if data_service is None else service.addresses(data_service)
    received = []
    for number, address in enumerate(services):
        records = encoded
        if len(services) > 1:
            length = own_size // (chunk_size or 1) * len(services)
            records = _part_of_each_batch(encoded, length, number, len(services))
        batches = prepare.batches(records, own_size, num_preprocessing_threads, drop_remainder=True)
        batches = batches.map(labels.check)
        batches = batches.map(_without_filename)
        if skipped is not None:
            batches = batches.map(bad_images.stand_in)
        if mixing is not None:
            numbers = tf.data.Dataset.range(
                start_index // batch_size + number, tf.int64.max, len(services)
            )
            batches = tf.data.Dataset.zip(numbers, batches).map(mixing)
        batches = _finish(batches, autotune=not chunk_size)
        if address is None:
            return batches
        batches = service.distribute(
            batches,
            address,
            records=sum(shuffling.shard_counts(dataset)),
            first=start_index + number * batch_size + index * own_size,
            step=len(services) * batch_size,
        )
        received.append(_finish(batches, autotune=not chunk_size))
    turns = tf.data.Dataset.range(len(services)).repeat()
    batches = tf.data.Dataset.choose_from_datasets(received, turns, stop_on_empty_dataset=True)
    return _finish(batches, autotune=not chunk_size)


@tf.autograph.experimental.do_not_convert
def evaluation_dataset(
    dataset: dataset_lib.Dataset,
    *,
    preprocessing_fn: PreprocessingFn,
    image_size: tuple[int, int],
    batch_size: int,
    labels_offset: int = 0,
    num_classes: int | None = None,
    num_readers: int = 4,
    num_preprocessing_threads: int | None = None,
    skipped: bad_images.BadImages | None = None,
    worker: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Returns batches with every example exactly once, in the order of the files.

    The last batch is padded with zeros to `batch_size`; `mask` is false for padding and for bad
    images.

    Args:
      dataset: the split.
      preprocessing_fn: `fn(image, height, width)` returns `[height, width, channels]`.
      image_size: height and width of the result, in pixels.
      batch_size: number of examples of a batch, over all clones and workers.
      labels_offset: subtracted from the labels.
      num_classes: classes of the network; default: the dataset's minus `labels_offset`.
      num_readers: segments of shards read in parallel.
      num_preprocessing_threads: examples prepared in parallel; None for automatic.
      skipped: collects the images that cannot be decoded, which then do not stop the iteration.
      worker: index of this process and number of processes, which divides `batch_size`; each has
        its part of every batch.

    Returns:
      dicts of `image` (float32 `[batch_size, height, width, channels]`), `label` (int64
      `[batch_size]`, or `[batch_size, classes]` with a 1 for each of several labels), `mask` (bool
      `[batch_size]`), `filename` (string `[batch_size]`, if the dataset has it), `shard` and
      `record` (int64 `[batch_size]`).

    Raises:
      UserError, RunError: as `training_dataset`.
    """
    num_classes = _checked(dataset, image_size, batch_size, labels_offset, num_classes)
    _checks.positive(num_preprocessing_threads=num_preprocessing_threads)
    if skipped is None:
        large_images.check(dataset)
    labels = labels_of(dataset, labels_offset, num_classes)
    prepare = Preparation(dataset, preprocessing_fn, image_size, labels, skipped=skipped)
    index, count = worker
    own_size = batch_size // count
    chunk_size = examples.chunk_size(image_size, own_size)
    encoded = shuffling.evaluation_records(dataset, num_readers=num_readers, chunk_size=chunk_size)
    if count > 1:
        encoded = _part_of_each_batch(encoded, batch_size // (chunk_size or 1), index, count)
    batches = prepare.batches(encoded, own_size, num_preprocessing_threads)
    batches = batches.map(labels.check)
    batches = batches.map(lambda batch: _pad(batch, own_size))
    number = -(-sum(shuffling.shard_counts(dataset)) // batch_size)
    if count > 1:  # of the last batch, there may be nothing for this process
        empty = {name: tf.zeros(e.shape, e.dtype) for name, e in batches.element_spec.items()}
        batches = batches.concatenate(tf.data.Dataset.from_tensors(empty).repeat()).take(number)
    batches = batches.apply(tf.data.experimental.assert_cardinality(number))
    return _finish(batches, autotune=not chunk_size)


def _checked(
    dataset: dataset_lib.Dataset,
    image_size: tuple[int, int],
    batch_size: int,
    labels_offset: int,
    num_classes: int | None,
) -> int:
    """Checks the common arguments and returns the number of classes."""
    height, width = image_size
    _checks.positive(batch_size=batch_size, height=height, width=width)
    _checks.non_negative(labels_offset=labels_offset)
    num_classes = dataset.num_classes - labels_offset if num_classes is None else num_classes
    _checks.positive(num_classes=num_classes)
    return num_classes


def _part_of_each_batch(
    records: tf.data.Dataset, length: int, index: int | tf.Tensor, count: int
) -> tf.data.Dataset:
    """Returns part `index` of `count` of every `length` elements, before decoding."""
    size = length // count
    numbered = records.enumerate()
    own = numbered.filter(lambda number, _: number % length // size == index)
    return own.map(lambda _, record: record)


def _without_filename(batch: Example) -> Example:
    # A training batch is copied to the devices, and a GPU cannot hold strings.
    return {key: value for key, value in batch.items() if key != "filename"}


def _pad(batch: Example, batch_size: int) -> Example:
    """Pads the last batch; adds `mask`, false for padding and where `weight` is 0."""
    rest = {key: value for key, value in batch.items() if key != "weight"}
    is_good = batch["weight"] > 0 if "weight" in batch else tf.ones_like(batch["record"], tf.bool)
    batch = rest | {"mask": is_good}
    missing = batch_size - tf.shape(batch["record"])[0]

    def fill(value: tf.Tensor) -> tf.Tensor:
        padding = [[0, missing]] + [[0, 0]] * (value.shape.rank - 1)
        filled = tf.pad(value, padding, constant_values=_zero(value))
        return tf.ensure_shape(filled, [batch_size, *value.shape[1:]])

    return {key: fill(value) for key, value in batch.items()}


def _zero(value: tf.Tensor) -> Any:
    return "" if value.dtype == tf.string else tf.zeros([], value.dtype)


def _finish(batches: tf.data.Dataset, *, autotune: bool = True) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = autotune
    options.experimental_optimization.map_and_batch_fusion = True  # copies examples in parallel
    # Every worker reads its part of each batch: sharding by file would break the order contract.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(tf.data.AUTOTUNE if autotune else _PREFETCH_BATCHES).with_options(
        options
    )
