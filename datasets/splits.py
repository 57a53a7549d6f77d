"""Splits of a dataset: which files they are, whether those are whole, and the facts about them.

No TensorFlow here: a wrong folder or split is answered before it is loaded.
"""

import dataclasses
import fnmatch
import os
import random
import re
from collections.abc import Mapping, Sequence

from datasets import dataset_info
from slim import _checks, _files
from slim.data import records

_SHARD_NUMBER = re.compile(r"(\d+)-of-(\d+)")


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """What is known of a dataset before its directory is read.

    Attributes:
      name: as in `--dataset_name`.
      module: the module with `get_split` and, if it can be made here, `convert`.
      file_pattern: the shards' names; `%s` stands for the split.
      num_classes: classes where the directory does not say; None if only the directory knows.
      split_sizes: records of each split as the original scripts wrote them.
      options: what `convert` takes besides the directory, as the user chooses.
      arguments: what `convert` is given besides, to tell it which dataset of its family is meant.
    """

    name: str
    module: str
    file_pattern: str
    num_classes: int | None = None
    split_sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    options: tuple[str, ...] = ()
    arguments: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class SplitFacts:
    """What `resolve` and the reader need to know of a split.

    Attributes:
      name: the dataset.
      split_name: the split.
      data_sources: paths of the shards, in order.
      shard_counts: records of each shard; None where not recorded.
      num_samples: records of all shards.
      num_classes: classes in the labels.
      labels_to_names: label -> class name; empty if the directory does not say.
      num_channels: 1 or 3 where recorded, else None.
      per_class: records of each class, by label, where recorded; else empty.
    """

    name: str
    split_name: str
    data_sources: tuple[str, ...]
    shard_counts: tuple[int | None, ...]
    num_samples: int
    num_classes: int
    labels_to_names: Mapping[int, str]
    num_channels: int | None = None
    per_class: tuple[int, ...] = ()


def read_facts(
    spec: DatasetSpec, split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> SplitFacts:
    """Finds the files of a split, checks them and gathers the facts.

    Args:
      spec: the dataset.
      split_name: such as "train".
      dataset_dir: the directory with the shards.
      file_pattern: other names than the dataset's own; `%s` stands for the split.

    Raises:
      UserError: if the directory holds another dataset, or it, the split or a shard is missing,
        empty or of another size than recorded.
    """
    _check_directory(spec, dataset_dir)
    info = dataset_info.read(dataset_dir)
    if info and info.name != spec.name:
        raise _checks.UserError(
            f"dataset_dir={dataset_dir!r} holds the dataset {info.name!r}, not {spec.name!r}:"
            f" choose dataset_name={info.name!r} or another directory"
        )
    pattern = file_pattern or spec.file_pattern
    files = _matching(pattern, split_name, dataset_dir)
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
    counts = tuple(recorded[file].num_samples if file in recorded else None for file in files)
    num_samples = sum(count or 0 for count in counts)
    if None in counts:
        counts, num_samples = _uncounted(spec, split_name, sources, counts, file_pattern)
    if not num_samples:
        raise _checks.UserError(f"Split {split_name!r} in {dataset_dir} has no records")
    num_classes, labels_to_names = _classes(spec, info, dataset_dir)
    return SplitFacts(
        name=spec.name,
        split_name=split_name,
        data_sources=sources,
        shard_counts=counts,
        num_samples=num_samples,
        num_channels=info.num_channels if info else None,
        num_classes=num_classes,
        labels_to_names=labels_to_names,
        per_class=split.per_class if split is not None else (),
    )


def stratified_split(
    labels: Sequence[int], num_held_out: int, seed: int
) -> tuple[list[int], list[int]]:
    """Divides examples so that every class is held out in the same proportion.

    Seats are given by largest remainder, so the classes' shares differ from the ideal by less than
    one example; the seed decides between equal remainders.

    Args:
      labels: the class of each example.
      num_held_out: how many to hold out; between 0 and the number of examples.
      seed: the same seed gives the same division, whatever the version of Python.

    Returns:
      the indices kept and the indices held out, each in rising order.

    Raises:
      UserError: if `num_held_out` is out of range.
    """
    _checks.in_range(0, len(labels), num_held_out=num_held_out)
    rng = random.Random(seed)
    # Only Random.random() is promised to stay the same between versions; shuffle() is not.
    keys = [rng.random() for _ in labels]
    by_class: dict[int, list[int]] = {}
    for index in sorted(range(len(labels)), key=keys.__getitem__):
        by_class.setdefault(labels[index], []).append(index)
    ideal = {
        c: len(members) * num_held_out / max(len(labels), 1) for c, members in by_class.items()
    }
    seats = {c: int(share) for c, share in ideal.items()}
    ties = {c: rng.random() for c in sorted(ideal)}
    by_remainder = sorted(ideal, key=lambda c: (seats[c] - ideal[c], ties[c]))
    for c in by_remainder[: num_held_out - sum(seats.values())]:
        seats[c] += 1
    held_out = {index for c, members in by_class.items() for index in members[: seats[c]]}
    return [i for i in range(len(labels)) if i not in held_out], sorted(held_out)


def missing_shards(files: Sequence[str], dataset_dir: str) -> list[str]:
    """Returns the shards that are not in the directory, of these and of those numbered with them.

    Args:
      files: names of shards, such as train-00001-of-00005.
      dataset_dir: the directory.
    """
    present = set(os.listdir(dataset_dir))
    missing = {file for file in files if file not in present}
    series = {}
    for match in filter(None, map(_SHARD_NUMBER.search, files)):
        start, end = match.span(1)
        series[match.string[:start], match.string[end:]] = end - start, int(match.group(2))
    for (before, after), (width, total) in series.items():
        names = (f"{before}{number:0{width}d}{after}" for number in range(min(total, 100_000)))
        missing.update(name for name in names if name not in present)
    return sorted(missing)


def _check_directory(spec: DatasetSpec, dataset_dir: str) -> None:
    if not os.path.exists(dataset_dir):
        raise _checks.UserError(
            f"dataset_dir={dataset_dir!r} does not exist; make it with: python"
            f" download_and_convert_data.py --dataset_name={spec.name} --dataset_dir={dataset_dir}"
        )
    if not os.path.isdir(dataset_dir):
        raise _checks.UserError(f"dataset_dir={dataset_dir!r} is a file; a directory is needed")


def _matching(pattern: str, split_name: str, dataset_dir: str) -> list[str]:
    # os.listdir and not glob: brackets or stars in the directory's own name must not count.
    wanted = pattern.replace("%s", split_name)
    return sorted(name for name in os.listdir(dataset_dir) if fnmatch.fnmatchcase(name, wanted))


def _no_files(
    info: dataset_info.DatasetInfo | None, pattern: str, split_name: str, dataset_dir: str
) -> _checks.UserError:
    known = list(info.splits) if info else _splits_on_disk(pattern, dataset_dir)
    if known and split_name not in known:
        hint = _checks.suggest(split_name, known)
        found = _checks.listed(known)
        return _checks.UserError(f"Split {split_name!r} not in {dataset_dir}; found: {found}{hint}")
    held = _checks.listed(sorted(os.listdir(dataset_dir)), most=10) or "nothing"
    wanted = pattern.replace("%s", split_name)
    return _checks.UserError(
        f"No files match {wanted} in {dataset_dir}; the directory holds: {held}"
    )


def _splits_on_disk(pattern: str, dataset_dir: str) -> list[str]:
    before, percent, after = pattern.partition("%s")
    if not percent:
        return []
    parts = (fnmatch.translate(before), fnmatch.translate(after))
    before, after = (re.sub(r"^\(\?s:(.*)\)\\[zZ]$", r"\1", part, flags=re.S) for part in parts)
    shape = re.compile(f"(?s:{before}([^-_.]+){after})")
    found = (shape.fullmatch(name) for name in os.listdir(dataset_dir))
    return sorted({match.group(1) for match in found if match})


def _check_shards(files: Sequence[str], dataset_dir: str) -> None:
    """Refuses missing and empty shards and what is no file, all of a kind named at once."""
    missing = missing_shards(files, dataset_dir)
    if missing:
        raise _checks.UserError(
            f"{_checks.listed(missing, most=5)} missing in {dataset_dir}:"
            " copy the shard, or convert the dataset again"
        )
    kinds = {
        file: _files.kind_of(os.path.join(dataset_dir, file))
        for file in files
        if not os.path.isfile(os.path.join(dataset_dir, file))
    }
    if kinds:
        named = _checks.listed((f"{file} is {kind}" for file, kind in kinds.items()), most=5)
        raise _checks.UserError(
            f"A shard in {dataset_dir} is no regular file: {named}. {records.REPAIR.capitalize()}"
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
                f"{file} in {dataset_dir} has {size} bytes, but {dataset_info.FILE_NAME} says"
                f" {recorded[file].bytes} ({recorded[file].num_samples} records): {records.REPAIR}"
            )


def _uncounted(
    spec: DatasetSpec,
    split_name: str,
    sources: tuple[str, ...],
    counts: tuple[int | None, ...],
    file_pattern: str | None,
) -> tuple[tuple[int | None, ...], int]:
    """Uses the original's constant for the dataset's own files; counts records of any others."""
    known = spec.split_sizes.get(split_name)
    if known is not None and not file_pattern:
        return counts, known
    exact = [records.count_records(path) for path in sources]
    return tuple(exact), sum(exact)


def _classes(
    spec: DatasetSpec, info: dataset_info.DatasetInfo | None, dataset_dir: str
) -> tuple[int, Mapping[int, str]]:
    if info:
        return len(info.classes), info.labels_to_names
    names = (
        dataset_info.read_label_file(dataset_dir) if dataset_info.has_labels(dataset_dir) else {}
    )
    num_classes = spec.num_classes or (max(names) + 1 if names else None)
    if num_classes is None:
        raise _checks.UserError(
            f"{dataset_dir} says nowhere how many classes it has: it needs"
            f" {dataset_info.FILE_NAME} or {dataset_info.LABELS_FILE_NAME}"
        )
    return num_classes, names
