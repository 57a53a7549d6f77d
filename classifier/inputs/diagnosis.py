"""Errors in the data, reported in one line with file, shard and record."""

import contextlib
import re
from collections.abc import Callable, Iterator

import tensorflow as tf

from classifier.inputs import bad_images, errors, large_images, shuffling
from classifier.inputs.labels import label_item
from slim import _checks, _image_limits
from slim._problems import Problem, named
from slim.data import dataset as dataset_lib
from slim.data import feature_checks, image_header, records, tfexample_decoder

_LABEL = "image/class/label"


@contextlib.contextmanager
def translate_errors(
    dataset: dataset_lib.Dataset, upcoming: Callable[[], tf.data.Dataset] | None = None
) -> Iterator[None]:
    """Translates errors of a pipeline over `dataset` to lines with file, shard and record.

    Args:
      dataset: the split that the block reads.
      upcoming: returns the encoded records that the block was about to read, such as
        `training_records` from the last step's index, in which to search for a bad image;
        default: all records, from the first shard.

    Raises:
      UserError: for a mistake of the user, such as a label without a class in the network.
      RunError: for damaged data. Other errors are not translated.
    """
    try:
        yield
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        explained = explain(error, dataset, upcoming)
        if explained is None:
            raise
        raise explained from error


def explain(
    error: tf.errors.OpError | UnicodeDecodeError,
    dataset: dataset_lib.Dataset,
    upcoming: Callable[[], tf.data.Dataset] | None = None,
) -> _checks.UserError | _checks.RunError | None:
    """Returns the error to raise instead, or None if it does not come from the data."""
    if isinstance(error, UnicodeDecodeError):
        # TensorFlow quotes a record that it cannot parse, and cannot convert its own message to a
        # string.
        message = _bad_record(dataset, upcoming) if b"IteratorGetNext" in error.object else None
        return _checks.RunError(message) if message else None
    ours = errors.find_message(str(error.message))
    if ours:
        kind, message = ours
        return (_checks.UserError if kind == "mistake" else _checks.RunError)(message)
    if isinstance(error, tf.errors.DataLossError):
        return _checks.RunError(_damaged_shard(dataset, error))
    if isinstance(error, tf.errors.NotFoundError):
        missing = [name for name in dataset.shard_names if name in str(error.message)]
        return _checks.RunError(f"Shard {missing[0]} was removed") if missing else None
    if isinstance(error, tf.errors.InvalidArgumentError) and "IteratorGetNext" in str(error):
        message = _bad_record(dataset, upcoming)
        return _checks.RunError(message) if message else None
    return None


def _damaged_shard(dataset: dataset_lib.Dataset, error: tf.errors.DataLossError) -> str:
    """Finds the damaged shard, first by the lengths of its records, then by their checksums."""
    for path in dataset.data_sources if dataset.record_source is None else ():
        try:
            records.count_records(path)
        except _checks.UserError as truncated:
            return str(truncated)
    for path, name in zip(dataset.data_sources, dataset.shard_names, strict=True):
        number = 0
        try:
            for _ in tf.data.TFRecordDataset(path):
                number += 1
        except tf.errors.DataLossError as bad:
            offset = re.search(r"record at (\d+)", str(bad.message))
            place = f" (byte {offset.group(1)})" if offset else ""
            return f"Shard {name} is damaged at record {number}{place}: {records.REPAIR}"
    return f"A shard of {dataset.name}/{dataset.split_name} is damaged: {error.message}"


def _bad_record(
    dataset: dataset_lib.Dataset, upcoming: Callable[[], tf.data.Dataset] | None
) -> str | None:
    """Describes the first record that cannot be decoded."""
    upcoming = upcoming or (lambda: shuffling.evaluation_records(dataset))
    encoded = upcoming().take(dataset.num_samples)
    others = {"filename"} & {*dataset.decoder.list_items()}
    items = ["image", label_item(dataset), *others]
    decoded = encoded.map(
        # Sizes, so that decoding is not optimized away.
        lambda record: [
            tf.size(item) for item in dataset.decoder.decode(record["serialized"], items)
        ],
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    good = 0
    try:
        for _ in decoded:
            good += 1
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
        record = next(iter(encoded.skip(good)))
        return _describe(dataset, record, error)
    return None


def _describe(dataset: dataset_lib.Dataset, record: dict[str, tf.Tensor], error: Exception) -> str:
    shard, number = int(record["shard"]), int(record["record"])
    for large in large_images.find_in_shard(dataset, shard):
        if large.record == number:
            return str(large_images.describe(large, dataset.shard_names[shard]))
    where = f"{dataset.shard_names[shard]}, record {number}"
    example = tf.train.Example()
    try:
        example.ParseFromString(record["serialized"].numpy())
    except Exception:  # protobuf's DecodeError, which TensorFlow does not export
        return f"{where} is not a tf.train.Example: {records.REPAIR}"
    if dataset.record_source is not None:
        problem = dataset.record_source.problem(shard, number)
        if problem is not None:
            return str(_unusable(example, dataset.shard_names[shard], number, problem))
    problem = _feature_problem(dataset, example)
    if problem is not None:
        name = bad_images.file_name(example)
        return Problem("{}{} {}", where, f" ({name!r})" if name else "", problem)
    return str(_bad_image(example, dataset.shard_names[shard], number, _message(error)))


def _feature_problem(dataset: dataset_lib.Dataset, example: tf.train.Example) -> str | None:
    """Returns what is wrong with the features of a record, or None."""
    if not isinstance(dataset.decoder, tfexample_decoder.TFExampleDecoder):
        return None
    problem = feature_checks.find_problem(example, dataset.decoder.keys_to_features)
    has_several = len(example.features.feature[_LABEL].int64_list.value) > 1
    if problem is None or repr(_LABEL) not in problem or not has_several:
        return problem
    return Problem(
        "{}. To train on several labels per image, pass {}", problem, named("multi_label")
    )


def describe_bad_image(
    dataset: dataset_lib.Dataset, shard: int, record: int
) -> bad_images.BadImage:
    """Describes the bad image of a record.

    Args:
      dataset: the split.
      shard: index into its `data_sources`.
      record: index of the record in the shard.
    """
    for large in large_images.find_in_shard(dataset, shard):
        if large.record == record:
            return large_images.describe(large, dataset.shard_names[shard])
    source = dataset.record_source
    if source is None:
        serialized = records.read_record(dataset.data_sources[shard], record)
    else:
        serialized = source.read(shard, record)
    example = tf.train.Example.FromString(serialized)
    problem = source.problem(shard, record) if source else None
    if problem is not None:
        return _unusable(example, dataset.shard_names[shard], record, problem)
    handler = large_images.handler_of(dataset)
    message = handler and _image_limits.problem(_encoded(example), handler.max_pixels)
    if message is None:
        message = "the requested part is damaged"
        try:
            dataset.decoder.decode(tf.constant(serialized), ["image"])
        except tf.errors.InvalidArgumentError as error:
            message = _message(error)
    return _bad_image(example, dataset.shard_names[shard], record, message)


def _bad_image(
    example: tf.train.Example, shard: str, record: int, message: str
) -> bad_images.BadImage:
    encoded = _encoded(example)
    problem = image_header.find_problem(message) or _first_line(message)
    return bad_images.describe(example, encoded[:16], len(encoded), shard, record, problem)


def _unusable(
    example: tf.train.Example, shard: str, record: int, problem: str
) -> bad_images.BadImage:
    """Returns the description of an image that was read in place and is not in its record."""
    return bad_images.BadImage(bad_images.file_name(example), shard, record, f"it {problem}")


def _encoded(example: tf.train.Example) -> bytes:
    image = example.features.feature["image/encoded"].bytes_list.value
    return image[0] if image else b""


def _first_line(message: str) -> str:
    return re.sub(r"\{\{.*?\}\} ?", "", message.split("\n")[0]).split(" [Op:")[0]


def _message(error: Exception) -> str:
    return str(getattr(error, "message", error))
