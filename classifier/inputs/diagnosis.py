"""What went wrong with the data: always which file, shard and record, in one line."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator

import tensorflow as tf

from classifier.inputs import errors, shuffling
from slim import _checks
from slim.data import dataset as dataset_lib
from slim.data import image_header, records

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
    (b"<", "HTML or XML"),
)


@contextlib.contextmanager
def translate_errors(
    dataset: dataset_lib.Dataset, upcoming: Callable[[], tf.data.Dataset] | None = None
) -> Iterator[None]:
    """Gives errors of a pipeline over `dataset` the names of file, shard and record.

    Args:
      dataset: the split that the block reads.
      upcoming: gives the encoded records that the block was about to read, such as
        `training_records` from the last step's index. A bad image is looked for there first;
        without it, from the first shard on.

    Raises:
      UserError: for a mistake in what was asked, such as a label that the network has no class for.
      RunError: for damaged data. Other errors of the block pass as they are.
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
        # TensorFlow quotes a record that it cannot parse, and then cannot turn its own message into
        # a string.
        found = _bad_record(dataset, upcoming) if b"IteratorGetNext" in error.object else None
        return _checks.RunError(found) if found else None
    ours = errors.find_message(str(error.message))
    if ours:
        kind, message = ours
        return (_checks.UserError if kind == "mistake" else _checks.RunError)(message)
    if isinstance(error, tf.errors.DataLossError):
        return _checks.RunError(_damaged_shard(dataset, error))
    if isinstance(error, tf.errors.NotFoundError):
        gone = [name for name in dataset.shard_names if name in str(error.message)]
        return _checks.RunError(f"Shard {gone[0]} has disappeared") if gone else None
    if isinstance(error, tf.errors.InvalidArgumentError) and "IteratorGetNext" in str(error):
        found = _bad_record(dataset, upcoming)
        return _checks.RunError(found) if found else None
    return None


def _damaged_shard(dataset: dataset_lib.Dataset, error: tf.errors.DataLossError) -> str:
    """Finds the shard: first by the lengths of its records, then by their checksums."""
    for path in dataset.data_sources:
        try:
            records.count_records(path)
        except _checks.UserError as cut:
            return str(cut)
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
    """Finds the first record that cannot be decoded and says why."""
    upcoming = upcoming or (lambda: shuffling.evaluation_records(dataset))
    encoded = upcoming().take(dataset.num_samples)
    decoded = encoded.map(
        # The sizes are asked for so that the decoding is not optimized away.
        lambda record: [
            tf.size(item)
            for item in dataset.decoder.decode(record["serialized"], ["image", "label"])
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
    where = f"{dataset.shard_names[int(record['shard'])]}, record {int(record['record'])}"
    example = tf.train.Example()
    try:
        example.ParseFromString(record["serialized"].numpy())
    except Exception:  # protobuf's DecodeError, which has no public home here
        return f"{where} is no tf.train.Example: {records.REPAIR}"
    features = example.features.feature
    message = _message(error)
    missing = re.search(r"Feature: (\S+) .*required but could not be found", message)
    if missing:
        has = _checks.listed(sorted(features)) or "none"
        return f"{where} has no feature {missing.group(1)!r}; it has: {has}"
    shard = dataset.shard_names[int(record["shard"])]
    return str(_bad_image(example, shard, int(record["record"]), message))


@dataclasses.dataclass(frozen=True)
class BadImage:
    """A picture that cannot be decoded.

    Attributes:
      file: that it came from, or empty.
      shard: file name of the shard.
      record: its number in the shard.
      reason: what it looks like, and what the decoder says.
    """

    file: str
    shard: str
    record: int
    reason: str

    def __str__(self) -> str:
        named = f" {self.file!r}" if self.file else ""
        return f"Cannot decode image{named} ({self.shard}, record {self.record}): {self.reason}"


def describe_bad_image(dataset: dataset_lib.Dataset, shard: int, record: int) -> BadImage:
    """Returns what is wrong with the picture of a record.

    Args:
      dataset: the split.
      shard: index into its `data_sources`.
      record: number of the record in the shard.
    """
    serialized = records.read_record(dataset.data_sources[shard], record)
    message = "the part of it that was wanted is damaged"
    try:
        dataset.decoder.decode(tf.constant(serialized), ["image"])
    except tf.errors.InvalidArgumentError as error:
        message = _message(error)
    example = tf.train.Example.FromString(serialized)
    return _bad_image(example, dataset.shard_names[shard], record, message)


def _bad_image(example: tf.train.Example, shard: str, record: int, message: str) -> BadImage:
    features = example.features.feature
    name = features["image/filename"].bytes_list.value
    image = features["image/encoded"].bytes_list.value
    said = image_header.find_problem(message) or _first_line(message)
    return BadImage(
        file=name[0].decode(errors="replace") if name else "",
        shard=shard,
        record=record,
        reason=f"{_looks_like(image[0] if image else b'')}; {said}",
    )


def _first_line(message: str) -> str:
    return re.sub(r"\{\{.*?\}\} ?", "", message.split("\n")[0]).split(" [Op:")[0]


def _message(error: Exception) -> str:
    return str(getattr(error, "message", error))


def _looks_like(encoded: bytes) -> str:
    for signature, kind in _SIGNATURES:
        if encoded.startswith(signature):
            return f"{len(encoded)} bytes that begin as {kind} does"
    return f"{len(encoded)} bytes that begin with {encoded[:8]!r}"
