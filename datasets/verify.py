"""Reads every record of a dataset, decodes every image, and reports the problems."""

import collections
import concurrent.futures
import dataclasses
import fnmatch
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, MutableMapping, Sequence

import numpy as np
import PIL.Image
import tensorflow as tf

from datasets import (
    dataset_factory,
    dataset_info,
    duplicates,
    label_names,
    progress,
    shard_names,
    splits,
)
from slim import _checks, _cores, _files, _image_limits
from slim._problems import Problem, named
from slim.data import feature_checks, image_header, large_images, record_datasets, records

Features = MutableMapping[str, tf.train.Feature]

_MAX_LISTED = 50
_IMAGE, _LABEL, _FILENAME = "image/encoded", "image/class/label", "image/filename"
_KEYS = (_LABEL, _FILENAME, "image/format")
_ONE_IMAGE = {_IMAGE: tf.io.FixedLenFeature([], tf.string)}
_ONE_LABEL = {_LABEL: tf.io.FixedLenFeature([], tf.int64)}
_LABELS = {_LABEL: tf.io.VarLenFeature(tf.int64)}


@dataclasses.dataclass
class Shard:
    """The content and problems of a shard.

    Attributes:
      file: file name.
      num_records: number of readable records.
      bytes: size of the file.
      labels: label -> number of records.
      formats: image format -> number of records.
      sides: smallest and largest (height, width).
      problems: one line per problem.
      images: labels, file name and fingerprint of each image; the split is the file.
    """

    file: str
    num_records: int = 0
    bytes: int = 0
    labels: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    formats: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    sides: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    images: list[duplicates.Image] = dataclasses.field(default_factory=list)


def run(
    dataset_dir: str,
    report: Callable[[str], object] = print,
    max_pixels: int = _image_limits.MAX_PIXELS,
) -> None:
    """Verifies a dataset that was converted here or by TF-Slim's scripts.

    Args:
      dataset_dir: directory of the dataset.
      report: called with each line of the summary and each problem.
      max_pixels: maximum number of pixels in an image.

    Raises:
      UserError: if there is no dataset in the directory.
      RunError: if there are problems, after they were reported.
    """
    if not os.path.isdir(dataset_dir):
        raise _checks.UserError(
            Problem("{} is not a directory", named("dataset_dir", repr(dataset_dir)))
        )
    info = dataset_info.read(dataset_dir)
    files = _shard_files(info, dataset_dir)
    num_classes = len(info.classes) if info else _num_classes(files, dataset_dir)
    multi_label = info is not None and info.multi_label
    paths = [os.path.join(dataset_dir, file) for file in files]
    total = sum(split.num_samples for split in info.splits.values()) if info else None
    with (
        progress.bar(total, "img", "verify") as bar,
        concurrent.futures.ThreadPoolExecutor(_cores.usable_cores()) as pool,
    ):
        shards = dict(
            zip(
                files,
                pool.map(
                    lambda path: read_shard(
                        path, num_classes, bar.update, max_pixels, multi_label=multi_label
                    ),
                    paths,
                ),
                strict=True,
            )
        )
    problems = [problem for shard in shards.values() for problem in shard.problems]
    problems += [
        f"{file} is missing"
        for file in shard_names.missing(files, dataset_dir)
        if file not in shards
    ]
    problems += _inconsistencies(info, shards, dataset_dir) if info else []
    for line in _summary(info, shards):
        report(line)
    for line in duplicates.warnings(_images(info, shards), info.classes if info else ()):
        report(f"  warning: {line}")
    if problems:
        for problem in problems[:_MAX_LISTED]:
            report(f"  {problem}")
        raise _checks.RunError(f"{dataset_dir} has {len(problems)} problem(s)")
    report(f"{dataset_dir} is valid")


def read_shard(
    path: str,
    num_classes: int | None,
    on_record: Callable[[], object] = lambda: None,
    max_pixels: int = _image_limits.MAX_PIXELS,
    *,
    multi_label: bool = False,
) -> Shard:
    """Reads every record of a file.

    Args:
      path: a TFRecord file.
      num_classes: upper bound of the labels; None if unknown.
      on_record: called after each record.
      max_pixels: maximum number of pixels in an image.
      multi_label: whether an image may have any number of labels.
    """
    shard = Shard(os.path.basename(path))
    expected = None
    try:
        shard.bytes = os.path.getsize(path)
        offsets = records.find_records(path)
        expected = len(offsets) - 1
    except FileNotFoundError:
        shard.problems.append(f"{shard.file} is missing")
        return shard
    except _checks.UserError as error:
        shard.problems.append(str(error))
        if not os.path.isfile(path):
            return shard
        # Not beyond the end: TensorFlow's reader crashes on a huge length with a valid checksum.
        offsets = records.find_whole_records(path)
    try:
        for record in _records(path, offsets, max_pixels):
            problem = _read_record(record, shard, num_classes, max_pixels, multi_label)
            if problem:
                shard.problems.append(f"{shard.file} record {shard.num_records}{problem}")
            shard.num_records += 1
            on_record()
    except tf.errors.OpError:  # not DataLossError, for a wrong length with a valid checksum
        if expected is not None:
            shard.problems.append(
                f"{shard.file} record {shard.num_records}: wrong checksum; the"
                f" {expected - shard.num_records} records from there on are not readable"
            )
    return shard


def _records(
    path: str, offsets: Sequence[int], max_pixels: int
) -> Iterator[bytes | large_images.LargeImage]:
    """Yields the records of a file in order; large images above a limit are not read."""
    rejected = list(
        large_images.find_rejected(
            path, offsets, lambda image: _image_limits.problem(image, max_pixels), keys=_KEYS
        )
    )
    ends = [*(image.record for image in rejected), len(offsets) - 1]
    starts = [0, *(end + 1 for end in ends[:-1])]
    counts = [end - start for start, end in zip(starts, ends, strict=True)]
    begins = [offsets[start] for start in starts]
    ranges = tf.data.Dataset.from_tensor_slices(np.array([begins, counts], np.int64).T)
    read = iter(
        ranges.flat_map(lambda each: record_datasets.from_byte(path, each[0]).take(each[1]))
    )
    for count, image in zip(counts, [*rejected, None], strict=True):
        yield from (serialized.numpy() for serialized in itertools.islice(read, count))
        if image is not None:
            yield image


def _read_record(
    record: bytes | large_images.LargeImage,
    shard: Shard,
    num_classes: int | None,
    max_pixels: int,
    multi_label: bool,
) -> str | None:
    """Adds a record to the shard's statistics; returns the file name and what is wrong, or None."""
    if isinstance(record, large_images.LargeImage):
        example = record.example
        has_label = _LABEL in example.features.feature  # it may be too long to be read
        problem = _read_label(example, shard, num_classes, multi_label) if has_label else None
        problem = problem or f"the image {record.problem}"
    else:
        try:
            example = tf.train.Example.FromString(record)
        except Exception as error:  # its type depends on protobuf's implementation
            return f": not a tf.train.Example ({type(error).__name__})"
        problem = (
            feature_checks.find_problem(example, _ONE_IMAGE)
            or _read_label(example, shard, num_classes, multi_label)
            or _read_image(example.features.feature, shard, max_pixels)
        )
    names = example.features.feature[_FILENAME].bytes_list.value
    name = f" ({names[0].decode(errors='replace')!r})" if names else ""
    return f"{name}: {problem}" if problem else None


def _read_label(
    example: tf.train.Example, shard: Shard, num_classes: int | None, multi_label: bool
) -> str | None:
    problem = feature_checks.find_problem(example, _LABELS if multi_label else _ONE_LABEL)
    if problem is not None:
        return problem
    features = example.features.feature
    labels = list(features[_LABEL].int64_list.value)
    shard.labels.update(set(labels))
    shard.formats.update(
        value.decode(errors="replace") for value in features["image/format"].bytes_list.value
    )
    for label in labels:
        if label < 0 and num_classes is None:
            return f"label {label} is negative"
        if num_classes is not None and not 0 <= label < num_classes:
            return f"label {label} is outside 0..{num_classes - 1}"
    return None


def _read_image(features: Features, shard: Shard, max_pixels: int) -> str | None:
    encoded = features["image/encoded"].bytes_list.value[0]
    problem = _image_limits.problem(encoded, max_pixels)
    if problem is not None:
        return f"the image {problem}"
    try:
        # Also checked in the graph, which reads a header as the decoder does.
        contents = image_header.bounded(tf.constant(encoded), max_pixels)
        image = tf.io.decode_image(contents, expand_animations=False)
    except tf.errors.OpError:
        return f"the image cannot be decoded (it starts with {encoded[:8]!r})"
    height, width = (int(side) for side in image.shape[:2])
    pixels = image.numpy()
    decoded = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    names = [
        value.decode(errors="replace") for value in features["image/filename"].bytes_list.value
    ]
    name = next(filter(None, names), f"{shard.file} record {shard.num_records}")
    labels = tuple(features["image/class/label"].int64_list.value)
    shard.images.append(duplicates.Image("", labels, name, duplicates.fingerprint(decoded)))
    shard.sides = [min([*shard.sides, (height, width)]), max([*shard.sides, (height, width)])]
    for key, side in (("image/height", height), ("image/width", width)):
        recorded = list(features[key].int64_list.value)
        if recorded and recorded != [side]:
            return f"{key} is {recorded[0]}, the image has {side}"
    return None


def _shard_files(info: dataset_info.DatasetInfo | None, dataset_dir: str) -> list[str]:
    if info:
        return [shard.file for split in info.splits.values() for shard in split.shards]
    files = [
        name
        for name in sorted(os.listdir(dataset_dir))
        if any(_is_shard_of(spec, name) for spec in dataset_factory.DATASETS.values())
        and os.path.isfile(os.path.join(dataset_dir, name))
    ]
    files = files or shard_names.record_files(dataset_dir)
    if not files:
        raise _checks.UserError(
            f"No dataset in {dataset_dir}: neither {dataset_info.FILE_NAME} nor record files. The"
            f" directory holds: {_checks.listed(sorted(os.listdir(dataset_dir)), 10) or 'nothing'}"
        )
    return files


def _is_shard_of(spec: splits.DatasetSpec, name: str) -> bool:
    return any(
        fnmatch.fnmatchcase(name, spec.file_pattern.replace("%s", split))
        for split in spec.split_sizes or ("train", "validation", "test")
    )


def _num_classes(files: list[str], dataset_dir: str) -> int | None:
    """Returns the number of classes from the file of class names or the table of datasets."""
    names = label_names.of_directory(dataset_dir)
    if names:
        return max(names) + 1
    known = {
        spec.num_classes
        for spec in dataset_factory.DATASETS.values()
        if any(_is_shard_of(spec, file) for file in files)
    }
    return known.pop() if len(known) == 1 else None


def _inconsistencies(
    info: dataset_info.DatasetInfo, shards: dict[str, Shard], dataset_dir: str
) -> list[str]:
    """Returns the differences between the files and dataset_info.json."""
    problems = []
    for name, split in info.splits.items():
        labels: collections.Counter = collections.Counter()
        for shard in split.shards:
            actual = shards[shard.file]
            labels += actual.labels
            if actual.num_records != shard.num_samples:
                problems.append(
                    f"{shard.file} has {actual.num_records} readable records,"
                    f" {dataset_info.FILE_NAME} has {shard.num_samples}"
                )
            elif _sha256(os.path.join(dataset_dir, shard.file)) != shard.sha256:
                problems.append(
                    f"{shard.file} has another sha256 than recorded in {dataset_info.FILE_NAME}"
                )
        counts = [labels[label] for label in range(len(info.classes))]
        if counts != list(split.per_class):
            problems.append(f"split {name!r} has other class counts than {dataset_info.FILE_NAME}")
    return problems


def _sha256(path: str) -> str:
    with _files.open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _images(
    info: dataset_info.DatasetInfo | None, shards: dict[str, Shard]
) -> list[duplicates.Image]:
    """Returns the images of all shards, with their splits; without `info`, all have the same."""
    names = (
        {s.file: name for name, split in info.splits.items() for s in split.shards} if info else {}
    )
    return [
        image._replace(split=names.get(file, ""))
        for file in shards
        for image in shards[file].images
    ]


def _summary(info: dataset_info.DatasetInfo | None, shards: dict[str, Shard]) -> Iterator[str]:
    groups = (
        {name: [s.file for s in split.shards] for name, split in info.splits.items()}
        if info
        else {"all files": list(shards)}
    )
    for name, files in groups.items():
        part = [shards[file] for file in files]
        count = sum(shard.num_records for shard in part)
        labels = {label for shard in part for label in shard.labels}
        formats = sum((shard.formats for shard in part), collections.Counter())
        sides = [side for shard in part for side in shard.sides]
        size = sum(shard.bytes for shard in part) / 1e6
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(formats.items()))
        yield (
            f"{name}: {count} records in {len(part)} file(s), {size:.1f} MB;"
            f" {len(labels)} distinct labels; formats: {kinds or 'unknown'}"
        )
        if sides:
            low, high = min(sides), max(sides)
            yield f"  from {low[0]} x {low[1]} to {high[0]} x {high[1]} pixels (height x width)"
