"""Converts lists of images to a dataset: shards, labels.txt, dataset_info.json.

Workers read and prepare the images; this process writes them, in order. All files are written in
the directory `conversion.partial` and moved out when complete, so a directory holds a complete
dataset or none. Shards, and pieces of them, that were finished before a kill are not written again.
"""

import contextlib
import csv
import dataclasses
import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import Any

from datasets import conversion_shards, dataset_info, download, duplicates, images, tfrecords
from datasets.conversion_journal import JOURNAL, LOCK, Journal, Outcome
from datasets.conversion_plan import Plan
from datasets.items import Item, Split
from slim import _checks, _files, _ownership, _paths, signals
from slim._decodings import STORED, UPRIGHT

__all__ = [
    "DOWNLOADS",
    "ON_BAD_IMAGE",
    "WORK",
    "Item",
    "Plan",
    "Split",
    "fetch",
    "fresh_directory",
    "inputs_of",
    "run",
    "work_directory",
]

WORK = "conversion.partial"
DOWNLOADS = "downloads"
ON_BAD_IMAGE = ("error", "skip")
_THREADS = 16  # for the versions of files, on network disks
_MAX_LISTED = 50  # bad files in the error message
_BAD_FILES_COLUMNS = ("path", "reason")
_VERSION = 1  # of the content of records


@contextlib.contextmanager
def work_directory(dataset_dir: str, source_dir: str | None = None) -> Iterator[str]:
    """Creates and locks the work directory `conversion.partial` in the dataset's directory.

    If the block fails, the work directory is kept for the next attempt.

    Args:
      dataset_dir: the dataset's directory; created if it does not exist.
      source_dir: directory of the input files; must not overlap `dataset_dir`.

    Raises:
      UserError: if the directory cannot be written, holds files that slim did not create, overlaps
        the source, or another conversion is running in it.
    """
    _ownership.check_apart(dataset_dir=dataset_dir, source_dir=source_dir)
    tfrecords.prepare_directory(dataset_dir)
    work = os.path.join(dataset_dir, WORK)
    _ownership.work_directory(work, "conversion")
    try:
        opened = _files.open_lock(os.path.join(work, LOCK))
    except OSError as error:
        raise _checks.UserError(
            f"{os.path.join(work, LOCK)} cannot be used as a lock: {error.strerror}. Move it away"
        ) from None
    with opened as lock:
        if not _paths.try_lock(lock):
            raise _checks.UserError(
                f"Another conversion is running in {dataset_dir}. Wait until it ends"
            )
        _paths.sweep_scratch(work)
        try:
            yield work
        finally:
            if os.path.isdir(work) and set(os.listdir(work)) <= {LOCK, JOURNAL, _ownership.MARK}:
                _ownership.remove(work, "conversion")  # no finished shard
                _ownership.release(dataset_dir)


def fetch(
    dataset_name: str,
    files: Sequence[download.RemoteFile],
    dataset_dir: str,
    source_dir: str | None,
) -> dict[str, str]:
    """Returns name -> path of the files: those in `source_dir`, or else downloaded ones."""
    directory = os.path.join(dataset_dir, DOWNLOADS)
    if source_dir is None:
        names = (name for file in files for name in download.names_of(file))
        _ownership.work_directory(directory, "downloads", names)
    return download.Downloader().fetch(
        files, directory, dataset_name=dataset_name, source_dir=source_dir
    )


def fresh_directory(work: str, name: str) -> str:
    """Creates an empty subdirectory of the work directory and returns its path."""
    path = os.path.join(work, name)
    if os.path.lexists(path):
        shutil.rmtree(path)  # raises an error for a link, and follows none
    os.mkdir(path)
    return path


def run(
    plan: Plan,
    dataset_dir: str,
    work: str,
    *,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
    num_workers: int | None = None,
) -> dataset_info.DatasetInfo:
    """Writes the dataset.

    Args:
      plan: the dataset.
      dataset_dir: output directory.
      work: path from `work_directory`; removed at the end.
      on_bad_image: "error" writes no dataset if an image is bad, "skip" skips bad images. Both list
        all of them in bad_files.csv.
      max_pixels: maximum number of pixels in an image.
      num_workers: number of processes that prepare images; default: one per core, none if there are
        few images.

    Raises:
      UserError: if a split has no images; or, unless bad images are skipped, if an image is bad or
        a class has no images.
      RunError: if a file cannot be written, or a worker has died.
    """
    _checks.one_of("on_bad_image", on_bad_image, ON_BAD_IMAGE)
    _checks.positive(max_pixels=max_pixels)
    for name, split in plan.splits.items():
        if not split.items:
            raise _checks.UserError(f"Split {name!r} has no images in {plan.source}")
    rules = images.Rules(max_pixels, plan.upright, plan.jpeg_only, compared=True)
    _check_targets(plan, dataset_dir)
    journal = Journal(work, _fingerprint(plan, rules), len(plan.classes), plan.multi_label)
    with signals.noted(lambda: _interrupted_message(journal.num_items(), dataset_dir)):
        outcomes = conversion_shards.write(plan, work, journal, rules, on_bad_image, num_workers)
    bad = sorted(entry for parts in outcomes.values() for part in parts for entry in part.bad)
    per_class = {
        name: [sum(counts) for counts in zip(*(part.per_class for part in parts), strict=True)]
        for name, parts in outcomes.items()
    }
    _write_bad_files(bad, dataset_dir)
    problems = _problems(plan, bad, per_class, dataset_dir, on_bad_image)
    if problems:
        _ownership.remove(work, "conversion")
        raise _checks.UserError("\n".join(problems))
    splits = {}
    for name, parts in outcomes.items():
        shards = tuple(_move_shards(parts, plan.splits[name], work, dataset_dir))
        num_samples = sum(shard.num_samples for shard in shards)
        splits[name] = dataset_info.SplitInfo(num_samples, tuple(per_class[name]), shards)
    options = {"max_pixels": max_pixels, **({"on_bad_image": on_bad_image} if bad else {})}
    info = _write_info(plan, splits, len(bad), options, dataset_dir)
    repeated = duplicates.warnings(_fingerprinted(plan, outcomes), plan.classes)
    info = dataclasses.replace(info, warnings=tuple(repeated))
    _ownership.remove(work, "conversion")
    _ownership.remove(os.path.join(dataset_dir, DOWNLOADS), "downloads")
    return info


def _write_info(
    plan: Plan,
    splits: Mapping[str, dataset_info.SplitInfo],
    num_bad_files: int,
    options: Mapping[str, Any],
    dataset_dir: str,
) -> dataset_info.DatasetInfo:
    info = dataset_info.DatasetInfo(
        name=plan.name,
        classes=tuple(plan.classes),
        num_channels=plan.num_channels,
        splits=splits,
        source=plan.source,
        source_files=plan.source_files,
        attribution=plan.attribution,
        num_bad_files=num_bad_files,
        options={**plan.options, **options},
        decoding=UPRIGHT if plan.upright else STORED,
        multi_label=plan.multi_label,
    )
    dataset_info.write_label_file(info.labels_to_names, dataset_dir)
    dataset_info.write(info, dataset_dir)
    return info


def _check_targets(plan: Plan, dataset_dir: str) -> None:
    """Checks, before the work, that no link or directory has the name of an output file."""
    outputs = (dataset_info.BAD_FILES_NAME, dataset_info.LABELS_FILE_NAME, dataset_info.FILE_NAME)
    shards = (name for split in plan.splits.values() for name in split.shard_names())
    _ownership.check_entries(dataset_dir, files=(*outputs, *shards), directories=())


def _interrupted_message(num_images: int, dataset_dir: str) -> str:
    if not num_images:
        return "No image was converted; run the same command again"
    images = "1 converted image is" if num_images == 1 else f"{num_images} converted images are"
    return f"{images} kept in {dataset_dir}; the same command resumes after that"


def _move_shards(
    parts: Sequence[Outcome], split: Split, work: str, dataset_dir: str
) -> Iterator[dataset_info.ShardInfo]:
    """Moves the shards out of the work directory, except those left empty by bad images."""
    shards = [part.shard for part in parts if part.shard and part.shard.num_samples]
    for shard, name in zip(shards, split.shard_names(len(shards)), strict=True):
        target = os.path.join(dataset_dir, name)
        _paths.check_replaceable(target)
        os.replace(os.path.join(work, shard.file), target)
        yield dataclasses.replace(shard, file=name)


def inputs_of(paths: Iterable[str]) -> list[str]:
    """Returns path, size and modification time of each file, to detect changes."""
    paths = list(paths)
    with futures.ThreadPoolExecutor(_THREADS) as pool:
        versions = pool.map(_size_and_time, paths, chunksize=1)
        return [f"{path} {version}" for path, version in zip(paths, versions, strict=True)]


def _fingerprinted(plan: Plan, outcomes: Mapping[str, Sequence[Outcome]]) -> list[duplicates.Image]:
    """Returns all images, with the fingerprints of those that are not bad."""
    size = duplicates.SIZE
    return [
        duplicates.Image(name, item.label, item.filename or item.source.name, value)
        for name, parts in outcomes.items()
        for outcome, items in zip(parts, plan.splits[name].parts(), strict=True)
        for all_values in [bytes.fromhex(outcome.fingerprints)]
        for number, item in enumerate(items)
        for value in [all_values[number * size : (number + 1) * size]]
    ]


def _size_and_time(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:  # such as a broken link, which is reported as a bad file
        return None
    return status.st_size, status.st_mtime_ns


def _fingerprint(plan: Plan, rules: images.Rules) -> str:
    digest = hashlib.sha256()
    parts = (
        _VERSION,
        plan.name,
        plan.classes,
        plan.formats,
        plan.options,
        plan.inputs,
        rules,
        plan.sha256,
    )
    for part in parts:
        digest.update(repr(part).encode("utf-8", "surrogateescape"))
    for name, split in plan.splits.items():
        digest.update(repr((name, split.shard_names())).encode())
        for item in split.items:
            digest.update(repr(item).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


# ---- reports -------------------------------------------------------------------------------------


def _write_bad_files(bad: Sequence[tuple[str, str]], dataset_dir: str) -> None:
    path = os.path.join(dataset_dir, dataset_info.BAD_FILES_NAME)
    if bad:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([_BAD_FILES_COLUMNS, *bad])
        # Bytes of a path that are not UTF-8 are written unchanged.
        _paths.write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))
    elif _ownership.starts_with(path, ",".join(_BAD_FILES_COLUMNS).encode() + b"\n"):
        os.remove(path)  # from an earlier attempt


def _problems(
    plan: Plan,
    bad: Sequence[tuple[str, str]],
    per_class: Mapping[str, Sequence[int]],
    dataset_dir: str,
    on_bad_image: str,
) -> list[str]:
    """Returns the lines of an error if the dataset cannot be completed, else an empty list."""
    problems = []
    if on_bad_image == "error":
        if bad:
            total = sum(len(split.items) for split in plan.splits.values())
            csv_path = os.path.join(dataset_dir, dataset_info.BAD_FILES_NAME)
            problems.append(
                f"{len(bad)} of {total} files cannot be used, listed in {csv_path}; nothing else"
                " was written. Repair or remove them, or skip them with on_bad_image='skip'"
            )
            problems += [f"{path}: {reason}" for path, reason in bad[:_MAX_LISTED]]
            if len(bad) > _MAX_LISTED:
                problems.append(f"... and {len(bad) - _MAX_LISTED} more in {csv_path}")
        if empty_classes := _empty_classes(plan, per_class):
            problems.append(
                f"{len(empty_classes)} of {len(plan.classes)} classes have 0 readable images:"
                f" {_checks.listed(map(repr, empty_classes), most=5)}"
            )
    empty = [name for name, counts in per_class.items() if not sum(counts)]
    return problems + [f"Split {name!r} has 0 readable images" for name in empty]


def _empty_classes(plan: Plan, per_class: Mapping[str, Sequence[int]]) -> list[str]:
    counts = [sum(each) for each in zip(*per_class.values(), strict=True)]
    start = 1 if plan.background else 0
    return [plan.classes[label] for label in range(start, len(counts)) if not counts[label]]
