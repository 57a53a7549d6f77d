"""Splits of a dataset: their files, whether these are intact, and their metadata.

No TensorFlow here: a wrong directory or split is reported before it is loaded.
"""

import dataclasses
import os
import random
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import dataset_info, label_names, shard_names
from datasets.items import Item
from slim import _checks, _files, _programs
from slim._decodings import TF_SLIM, Decoding
from slim._problems import Problem, named
from slim.data import records


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """A row of the table: what is known of a dataset before its directory is read.

    Attributes:
      name: value of `--dataset_name`.
      module: the module with `convert`.
      file_pattern: names of the shards; `%s` stands for the split.
      num_classes: number of classes if the directory has no dataset_info.json; None if only the
        directory can tell.
      num_channels: channels of the decoded images, 1 or 3, if there is no dataset_info.json.
      extra_items: further items of the records; see `tfrecords.image_decoder`.
      split_sizes: number of records in each split that TF-Slim's converter writes.
      options: keyword arguments of `convert` that the user may set.
      arguments: further keyword arguments of `convert`, such as the dataset's name in its family.
    """

    name: str
    module: str
    file_pattern: str
    num_classes: int | None = None
    num_channels: int = 3
    extra_items: tuple[str, ...] = ()
    split_sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    options: tuple[str, ...] = ()
    arguments: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class SplitMetadata:
    """What `resolve` and the reader need to know about a split.

    Attributes:
      name: name of the dataset.
      split_name: name of the split.
      data_sources: paths of the shards, in order.
      shard_counts: number of records in each shard.
      num_samples: number of records in all shards.
      usual_samples: number of records that TF-Slim's converter writes; None if the number of this
        split is recorded, or it is not known.
      num_classes: number of classes.
      labels_to_names: label -> class name; empty if the directory has no names.
      num_channels: channels of the decoded images, 1 or 3.
      extra_items: further items of the records; see `tfrecords.image_decoder`.
      per_class: number of records in each class, by label; empty if not recorded.
      decoding: of the source files, whose result the records have; see `slim._decodings`.
      multi_label: whether an image has any number of labels; it counts in each of its classes.
      shard_bytes: bytes of the source files of each shard; empty if not recorded.
      items: the images, if they are read in place; then the shards are parts of this sequence.
    """

    name: str
    split_name: str
    data_sources: tuple[str, ...]
    shard_counts: tuple[int, ...]
    num_samples: int
    num_classes: int
    labels_to_names: Mapping[int, str]
    num_channels: int = 3
    extra_items: tuple[str, ...] = ()
    per_class: tuple[int, ...] = ()
    decoding: Decoding = TF_SLIM
    multi_label: bool = False
    shard_bytes: tuple[int, ...] = ()
    usual_samples: int | None = None
    items: Sequence[Item] = dataclasses.field(default=(), repr=False, compare=False)


def read_metadata(
    spec: DatasetSpec,
    split_name: str,
    dataset_dir: str,
    file_pattern: str | None = None,
    labels_file: str | None = None,
) -> SplitMetadata:
    """Finds and checks the files of a split and collects its metadata.

    Args:
      spec: the dataset.
      split_name: such as "train".
      dataset_dir: the directory with the shards.
      file_pattern: file names, where they differ from the dataset's own; `%s` stands for the split.
      labels_file: file of class names, for a directory without dataset_info.json; default:
        labels.txt or label_map.pbtxt.

    Raises:
      UserError: if the directory holds another dataset; if the directory, the split or a shard is
        missing; or if a shard is empty or its size is not the recorded one.
      RunError: if a shard whose records are not recorded is truncated or compressed.
    """
    _check_directory(spec, dataset_dir)
    info = dataset_info.read(dataset_dir)
    if info and info.name != spec.name:
        raise _checks.UserError(
            Problem(
                "{} holds the dataset {!r}, not {!r}. Use {} or another directory",
                named("dataset_dir", repr(dataset_dir)),
                info.name,
                spec.name,
                named("dataset_name", repr(info.name)),
            )
        )
    pattern = file_pattern or spec.file_pattern
    files = shard_names.matching(pattern, split_name, dataset_dir)
    split = info.splits.get(split_name) if info and not file_pattern else None
    if split is not None:
        files = [shard.file for shard in split.shards]
    elif not files:
        raise _no_files(info, pattern, split_name, dataset_dir)
    _check_shards(files, dataset_dir)
    recorded = {
        shard.file: shard for s in (info.splits.values() if info else ()) for shard in s.shards
    }
    _check_sizes(files, recorded, dataset_dir)
    sources = tuple(os.path.join(dataset_dir, file) for file in files)
    counts = _counts([recorded.get(file) for file in files], sources)
    num_samples = sum(counts)
    if not num_samples:
        raise _checks.UserError(f"Split {split_name!r} in {dataset_dir} has no records")
    num_classes, labels_to_names = _classes(spec, info, dataset_dir, labels_file)
    return SplitMetadata(
        name=spec.name,
        split_name=split_name,
        data_sources=sources,
        shard_counts=counts,
        num_samples=num_samples,
        num_channels=info.num_channels if info else spec.num_channels,
        extra_items=spec.extra_items,
        num_classes=num_classes,
        labels_to_names=labels_to_names,
        per_class=split.per_class if split is not None else (),
        decoding=info.decoding if info and split is not None else TF_SLIM,
        multi_label=info is not None and info.multi_label,
        shard_bytes=_source_bytes(split),
        usual_samples=None if info or file_pattern else spec.split_sizes.get(split_name),
    )


def _source_bytes(split: dataset_info.SplitInfo | None) -> tuple[int, ...]:
    sizes = tuple(shard.source_bytes for shard in split.shards) if split else ()
    return sizes if all(sizes) else ()


def has_shards(spec: DatasetSpec, dataset_dir: str) -> bool:
    """Returns whether a directory has dataset_info.json or a TFRecord file of the dataset."""
    if not os.path.isdir(dataset_dir):
        return False
    is_described = os.path.exists(dataset_info.path_in(dataset_dir))
    return is_described or bool(shard_names.splits_in(spec.file_pattern, dataset_dir))


def split_names(spec: DatasetSpec, dataset_dir: str, file_pattern: str | None = None) -> list[str]:
    """Returns the names of the splits in a directory; their shards may be incomplete.

    Raises:
      UserError: if the directory does not exist, or its dataset_info.json is damaged.
    """
    _check_directory(spec, dataset_dir)
    info = dataset_info.read(dataset_dir)
    if info and not file_pattern:
        return list(info.splits)
    return shard_names.splits_in(file_pattern or spec.file_pattern, dataset_dir)


def stratified_split(
    labels: Sequence[Any], num_held_out: int, seed: int
) -> tuple[list[int], list[int]]:
    """Splits examples so that the same fraction of every class is held out.

    Counts are rounded by the largest-remainder method, so each class is within one example of its
    exact fraction; the seed decides between equal remainders.

    Args:
      labels: the class of each example, or the sorted tuple of its classes, which then counts as a
        class of its own.
      num_held_out: number of examples to hold out, from 0 to the number of examples.
      seed: the same seed returns the same split in every version of Python.

    Returns:
      the indices kept and the indices held out, each in ascending order.

    Raises:
      UserError: if `num_held_out` is out of range.
    """
    _checks.in_range(0, len(labels), num_held_out=num_held_out)
    rng = random.Random(seed)
    # Only Random.random() is guaranteed to be stable across Python versions; shuffle() is not.
    keys = [rng.random() for _ in labels]
    by_class: dict[Any, list[int]] = {}
    for index in sorted(range(len(labels)), key=keys.__getitem__):
        by_class.setdefault(labels[index], []).append(index)
    exact = {
        c: len(members) * num_held_out / max(len(labels), 1) for c, members in by_class.items()
    }
    counts = {c: int(count) for c, count in exact.items()}
    ties = {c: rng.random() for c in sorted(exact)}
    by_remainder = sorted(exact, key=lambda c: (counts[c] - exact[c], ties[c]))
    for c in by_remainder[: num_held_out - sum(counts.values())]:
        counts[c] += 1
    held_out = {index for c, members in by_class.items() for index in members[: counts[c]]}
    return [i for i in range(len(labels)) if i not in held_out], sorted(held_out)


def stratified_fold(
    labels: Sequence[int], folds: int, fold: int, seed: int
) -> tuple[list[int], list[int]]:
    """Returns one of several splits for cross-validation; each example is held out in one of them.

    The sizes of the folds, and of each class in them, differ by one example at most.

    Args:
      labels: the class of each example.
      folds: number of folds.
      fold: the fold to hold out, from 0.
      seed: the same seed returns the same folds in every version of Python.

    Returns:
      the indices kept and the indices held out, each in ascending order.

    Raises:
      UserError: if there are fewer than two folds, or no such fold.
    """
    _checks.in_range(2, max(2, len(labels)), folds=folds)
    _checks.in_range(0, folds - 1, fold=fold)
    rng = random.Random(seed)
    keys = [rng.random() for _ in labels]  # see `stratified_split`
    # Consecutive examples are of the same class, so that they are in different folds.
    order = sorted(range(len(labels)), key=lambda index: (labels[index], keys[index]))
    held_out = set(order[fold::folds])
    return [i for i in range(len(labels)) if i not in held_out], sorted(held_out)


def _check_directory(spec: DatasetSpec, dataset_dir: str) -> None:
    if not os.path.exists(dataset_dir):
        raise _checks.UserError(
            Problem(
                "{} does not exist. Create it with: {}",
                named("dataset_dir", repr(dataset_dir)),
                _programs.command("slim-data", dataset_name=spec.name, dataset_dir=dataset_dir),
            )
        )
    if not os.path.isdir(dataset_dir):
        raise _checks.UserError(
            Problem("{} is a file; a directory is needed", named("dataset_dir", repr(dataset_dir)))
        )


def _no_files(
    info: dataset_info.DatasetInfo | None, pattern: str, split_name: str, dataset_dir: str
) -> _checks.UserError:
    known = list(info.splits) if info else shard_names.splits_in(pattern, dataset_dir)
    if known and split_name not in known:
        return _checks.UserError(
            f"Split {split_name!r} not in {dataset_dir}; found: {_checks.listed(known)}"
            f"{_checks.suggest(split_name, known)}"
        )
    entries = _checks.listed(sorted(os.listdir(dataset_dir)), most=10) or "nothing"
    return _checks.UserError(
        Problem(
            "No files match {} in {}; the directory holds: {}{}",
            pattern.replace("%s", split_name),
            dataset_dir,
            entries,
            _pattern_hint(split_name, dataset_dir),
        )
    )


def _pattern_hint(split_name: str, dataset_dir: str) -> Problem | str:
    """Returns the option with which the directory's TFRecord files are read, if it has any."""
    pattern = shard_names.suggest_pattern(dataset_dir, split_name)
    if pattern is None:
        return ""
    option = named("file_pattern", repr(pattern))
    if shard_names.matching(pattern, split_name, dataset_dir):
        return Problem(". To read its TFRecord files, pass {}", option)
    others = _checks.listed(shard_names.splits_in(pattern, dataset_dir), most=5)
    return Problem(". With {}, its splits are: {}", option, others)


def _check_shards(files: Sequence[str], dataset_dir: str) -> None:
    """Raises one error for all missing shards, all non-regular files, or all empty shards."""
    missing = shard_names.missing(files, dataset_dir)
    if missing:
        raise _checks.UserError(
            f"{_checks.listed(missing, most=5)} missing in {dataset_dir}. Copy the shard into it,"
            " or convert the dataset again"
        )
    kinds = {
        file: _files.kind_of(os.path.join(dataset_dir, file))
        for file in files
        if not os.path.isfile(os.path.join(dataset_dir, file))
    }
    if kinds:
        shards = _checks.listed((f"{file} is {kind}" for file, kind in kinds.items()), most=5)
        raise _checks.UserError(
            f"A shard in {dataset_dir} is not a regular file: {shards}."
            f" {records.REPAIR.capitalize()}"
        )
    empty = [file for file in files if os.path.getsize(os.path.join(dataset_dir, file)) == 0]
    if empty:
        raise _checks.UserError(
            f"{_checks.listed(empty, most=5)} in {dataset_dir} is empty (0 bytes): {records.REPAIR}"
        )


def _check_sizes(
    files: Sequence[str], recorded: Mapping[str, dataset_info.ShardInfo], dataset_dir: str
) -> None:
    for file in files:
        size = os.path.getsize(os.path.join(dataset_dir, file))
        if file in recorded and size != recorded[file].bytes:
            raise _checks.UserError(
                f"{file} in {dataset_dir} has {size} bytes, but {dataset_info.FILE_NAME} has"
                f" {recorded[file].bytes} ({recorded[file].num_samples} records): {records.REPAIR}"
            )


def _counts(
    recorded: Sequence[dataset_info.ShardInfo | None], sources: Sequence[str]
) -> tuple[int, ...]:
    """Returns the number of records of each shard, counted where it is not recorded."""
    counts = [shard.num_samples if shard else None for shard in recorded]
    if None in counts:  # the pipelines find the same records, and the result is cached
        counts = [len(places) - 1 for places in records.find_all_records(sources, counts)]
    return tuple(count or 0 for count in counts)


def _classes(
    spec: DatasetSpec,
    info: dataset_info.DatasetInfo | None,
    dataset_dir: str,
    labels_file: str | None,
) -> tuple[int, Mapping[int, str]]:
    if info:
        if labels_file is not None:
            raise _checks.UserError(
                Problem(
                    "{} has no effect: {} has the class names",
                    named("labels_file"),
                    dataset_info.path_in(dataset_dir),
                )
            )
        return len(info.classes), info.labels_to_names
    names = label_names.read(labels_file) if labels_file else label_names.of_directory(dataset_dir)
    num_classes = max(names) + 1 if names else spec.num_classes
    if num_classes is None:
        others = [os.path.join(dataset_dir, name) for name in label_names.files_in(dataset_dir)]
        raise _checks.UserError(
            Problem(
                "The number of classes in {} is unknown. Pass {}, or add {} or {} to it",
                dataset_dir,
                named("labels_file", *map(repr, others[:1])),
                dataset_info.LABELS_FILE_NAME,
                label_names.LABEL_MAP_NAME,
            )
        )
    return num_classes, names
