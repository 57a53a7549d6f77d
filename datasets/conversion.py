"""From a list of pictures to a dataset: shards, labels.txt, dataset_info.json.

Workers read and prepare the pictures; this process writes them, in order. All is written in a
folder `conversion.partial` and moved out when it is whole, so a directory holds a dataset or none.
A shard that was finished before a kill is not made again.
"""

import contextlib
import csv
import dataclasses
import hashlib
import io
import itertools
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from datasets import dataset_info, download, images, progress, tfrecords, workers
from datasets.conversion_journal import JOURNAL, LOCK, Journal, Outcome
from datasets.workers import Item
from slim import _checks, _files, _ownership, _paths, signals

T = TypeVar("T")

WORK = "conversion.partial"
DOWNLOADS = "downloads"
ON_BAD_IMAGE = ("error", "skip")
_MOST_TOLD = 50  # bad files
_BAD_FILES_COLUMNS = ("path", "reason")
_VERSION = 1  # of what a record holds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """A split.

    Attributes:
      items: its pictures in the order of the records.
      shard_name: of a shard, such as "train-{shard:05d}-of-{count:05d}".
      num_shards: how many; fewer if there are fewer pictures.
    """

    items: Sequence[Item]
    shard_name: str
    num_shards: int = 1

    def shard_names(self, count: int | None = None) -> list[str]:
        """Returns the names of the shards if there are `count`; default: as many as are planned."""
        if count is None:
            count = max(1, min(self.num_shards, len(self.items)))
        return [self.shard_name.format(shard=number, count=count) for number in range(count)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be made.

    Attributes:
      name: the dataset.
      classes: names; the position is the label.
      num_channels: 1 or 3.
      splits: by name.
      inputs: the files that it is made from: a changed one is seen by its size and time.
      formats: how the records call "jpeg" and "png".
      source: an address or a folder.
      source_files: of a folder, what `folder_files.summary` says.
      attribution: whose work it is.
      options: what the user chose that decides what is in the records.
      background: whether class 0 stands for no class at all and is not missed.
      upright: whether EXIF turns pictures; not where boxes or results of others go by the pixels.
      jpeg_only: whether all pictures become JPEG.
      sha256: the feature that takes the checksum of the encoded picture; empty for none.
      features: makes the further features of a record of its item's `extra`.
    """

    name: str
    classes: Sequence[str]
    num_channels: int
    splits: Mapping[str, Split]
    inputs: Sequence[str]
    formats: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"jpeg": "jpeg", "png": "png"}
    )
    source: str = ""
    source_files: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    attribution: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    background: bool = False
    upright: bool = True
    jpeg_only: bool = False
    sha256: str = ""
    features: Callable[..., Mapping[str, tfrecords.Value]] = dict


@contextlib.contextmanager
def work_directory(dataset_dir: str, source_dir: str | None = None) -> Iterator[str]:
    """Creates `conversion.partial` in the dataset's directory and keeps other conversions out.

    It stays if the block fails, for the next attempt.

    Args:
      dataset_dir: the dataset's directory; created if needed.
      source_dir: a folder whose files are converted; has to lie apart from it.

    Raises:
      UserError: if the directory cannot be written, holds files that we did not create, overlaps
        the source, or another conversion is at work in it.
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
            raise _checks.UserError(f"Another conversion is at work in {dataset_dir}; wait for it")
        _paths.sweep_scratch(work)
        try:
            yield work
        finally:
            if os.path.isdir(work) and set(os.listdir(work)) <= {LOCK, JOURNAL, _ownership.MARK}:
                _ownership.remove(work, "conversion")  # no shard was finished
                _ownership.release(dataset_dir)


def fetch(
    dataset_name: str,
    files: Sequence[download.RemoteFile],
    dataset_dir: str,
    source_dir: str | None,
) -> dict[str, str]:
    """Returns name -> path of the files, from `source_dir` or else downloaded; see `download`."""
    directory = os.path.join(dataset_dir, DOWNLOADS)
    if source_dir is None:
        names = (name for file in files for name in download.names_of(file))
        _ownership.work_directory(directory, "downloads", names)
    return download.Downloader().fetch(
        files, directory, dataset_name=dataset_name, source_dir=source_dir
    )


def fresh_folder(work: str, name: str) -> str:
    """Returns an empty folder below the work directory."""
    path = os.path.join(work, name)
    if os.path.lexists(path):
        shutil.rmtree(path)  # refuses a link, and follows none
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
    """Makes the dataset.

    Args:
      plan: what to make.
      dataset_dir: where.
      work: from `work_directory`; removed at the end.
      on_bad_image: "error" makes nothing if a picture is bad, "skip" leaves those out. Both list
        all of them in bad_files.csv.
      max_pixels: the most pixels of a picture.
      num_workers: processes that prepare pictures; default: one a core, none for a few pictures.

    Raises:
      UserError: if a split has no picture, or pictures are bad or a class has none, and that is an
        error.
      RunError: if a file cannot be written, or a worker has died.
    """
    _checks.one_of("on_bad_image", on_bad_image, ON_BAD_IMAGE)
    _checks.positive(max_pixels=max_pixels)
    for name, split in plan.splits.items():
        if not split.items:
            raise _checks.UserError(f"Split {name!r} has no images in {plan.source}")
    rules = images.Rules(max_pixels, plan.upright, plan.jpeg_only)
    _check_targets(plan, dataset_dir)
    journal = Journal(work, _fingerprint(plan, rules))
    with signals.noted(lambda: _what_remains(len(journal.done), dataset_dir)):
        outcomes = _convert(plan, work, journal, rules, on_bad_image, num_workers)
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
    info = dataset_info.DatasetInfo(
        name=plan.name,
        classes=tuple(plan.classes),
        num_channels=plan.num_channels,
        splits={
            name: dataset_info.SplitInfo(
                sum(per_class[name]),
                tuple(per_class[name]),
                tuple(_moved(parts, plan.splits[name], work, dataset_dir)),
            )
            for name, parts in outcomes.items()
        },
        source=plan.source,
        source_files=plan.source_files,
        attribution=plan.attribution,
        num_bad_files=len(bad),
        options={
            **plan.options,
            "max_pixels": max_pixels,
            **({"on_bad_image": on_bad_image} if bad else {}),
        },
    )
    dataset_info.write_label_file(info.labels_to_names, dataset_dir)
    dataset_info.write(info, dataset_dir)
    _ownership.remove(work, "conversion")
    _ownership.remove(os.path.join(dataset_dir, DOWNLOADS), "downloads")
    return info


def _check_targets(plan: Plan, dataset_dir: str) -> None:
    """Checks, before the work, that nothing but regular files has the names to be written."""
    written = (dataset_info.BAD_FILES_NAME, dataset_info.LABELS_FILE_NAME, dataset_info.FILE_NAME)
    shards = (name for split in plan.splits.values() for name in split.shard_names())
    _ownership.check_entries(dataset_dir, files=(*written, *shards), directories=())


def _what_remains(num_shards: int, dataset_dir: str) -> str:
    if not num_shards:
        return "No shard was finished; run the same command again"
    finished = "1 finished shard is" if num_shards == 1 else f"{num_shards} finished shards are"
    return f"{finished} kept in {dataset_dir}; the same command resumes after that"


def _moved(
    parts: Sequence[Outcome], split: Split, work: str, dataset_dir: str
) -> Iterator[dataset_info.ShardInfo]:
    """Moves the shards out of the work directory, without those that bad pictures left empty."""
    shards = [part.shard for part in parts if part.shard and part.shard.num_samples]
    for shard, name in zip(shards, split.shard_names(len(shards)), strict=True):
        target = os.path.join(dataset_dir, name)
        _paths.check_replaceable(target)
        os.replace(os.path.join(work, shard.file), target)
        yield dataclasses.replace(shard, file=name)


def shuffled(items: Sequence[T], seed: int) -> list[T]:
    """Returns the items in a random order, for a seed the same in every version of Python."""
    rng = random.Random(seed)
    keys = [rng.random() for _ in items]  # only random() is promised to stay the same
    return [items[index] for index in sorted(range(len(items)), key=keys.__getitem__)]


def inputs_of(paths: Iterable[str]) -> list[str]:
    """Returns what tells whether files have changed: path, size and time of each."""
    return [f"{path} {_size_and_time(path)}" for path in paths]


# ---- shards --------------------------------------------------------------------------------------


def _convert(
    plan: Plan,
    work: str,
    journal: Journal,
    rules: images.Rules,
    on_bad_image: str,
    num_workers: int | None,
) -> dict[str, list[Outcome]]:
    """Writes the shards that the journal does not have; returns what became of all, in order."""
    shards = [
        (name, file, part)
        for name, split in plan.splits.items()
        for file, part in zip(split.shard_names(), _parts(split), strict=True)
    ]
    outcomes: dict[str, list[Outcome]] = {name: [] for name in plan.splits}
    todo = [items for _, file, items in shards if file not in journal.done]
    total = sum(len(items) for _, _, items in shards)
    missing = sum(map(len, todo))
    has_bad = any(outcome.bad for outcome in journal.done.values())
    with (
        workers.prepared(list(itertools.chain(*todo)), rules, num_workers) as results,
        progress.bar(total, "img", plan.name, initial=total - missing) as bar,
    ):
        for name, file, items in shards:
            outcome = journal.done.get(file)
            if outcome is None:
                writes = not (has_bad and on_bad_image == "error")
                outcome = _write_shard(plan, os.path.join(work, file), items, results, bar, writes)
                has_bad = has_bad or bool(outcome.bad)
                if outcome.shard:
                    journal.add(file, outcome)
            outcomes[name].append(outcome)
    return outcomes


def _parts(split: Split) -> Iterator[Sequence[Item]]:
    total, count = len(split.items), len(split.shard_names())
    for number in range(count):
        yield split.items[total * number // count : total * (number + 1) // count]


def _write_shard(
    plan: Plan,
    path: str,
    items: Sequence[Item],
    results: Iterator[workers.Result],
    bar: Any,
    writes: bool,
) -> Outcome:
    per_class = [0] * len(plan.classes)
    bad: list[tuple[str, str]] = []

    def records() -> Iterator[tfrecords.ImageRecord]:
        for item in items:
            result = next(results)
            bar.update()
            if isinstance(result, str):
                bad.append((item.source.name, result))
                continue
            per_class[item.label] += 1
            format = plan.formats[result.format]
            extra = dict(plan.features(*item.extra))
            if plan.sha256:
                extra[plan.sha256] = hashlib.sha256(result.encoded).hexdigest()
            yield tfrecords.ImageRecord(
                result.encoded, format, *result[2:], item.label, item.filename, extra
            )

    if not writes:
        for _ in records():
            pass
        return Outcome(None, per_class, bad)
    return Outcome(tfrecords.write_shard(path, records()), per_class, bad)


def _size_and_time(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:  # such as a link to nothing, which is told as a bad file
        return None
    return found.st_size, found.st_mtime_ns


def _fingerprint(plan: Plan, rules: images.Rules) -> str:
    digest = hashlib.sha256()
    facts = (
        _VERSION,
        plan.name,
        plan.classes,
        plan.formats,
        plan.options,
        plan.inputs,
        rules,
        plan.sha256,
    )
    for fact in facts:
        digest.update(repr(fact).encode("utf-8", "surrogateescape"))
    for name, split in plan.splits.items():
        digest.update(repr((name, split.shard_names())).encode())
        for item in split.items:
            digest.update(repr(item).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


# ---- what is told --------------------------------------------------------------------------------


def _write_bad_files(bad: Sequence[tuple[str, str]], dataset_dir: str) -> None:
    path = os.path.join(dataset_dir, dataset_info.BAD_FILES_NAME)
    if bad:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([_BAD_FILES_COLUMNS, *bad])
        # A path may hold bytes that are no UTF-8; they go into the file as they are.
        _paths.write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))
    elif _ownership.starts_with(path, ",".join(_BAD_FILES_COLUMNS).encode() + b"\n"):
        os.remove(path)  # of an earlier attempt


def _problems(
    plan: Plan,
    bad: Sequence[tuple[str, str]],
    per_class: Mapping[str, Sequence[int]],
    dataset_dir: str,
    on_bad_image: str,
) -> list[str]:
    """Returns why there can be no dataset, a line each."""
    problems = []
    if on_bad_image == "error":
        if bad:
            total = sum(map(sum, per_class.values())) + len(bad)
            csv_path = os.path.join(dataset_dir, dataset_info.BAD_FILES_NAME)
            problems.append(
                f"{len(bad)} of {total} files cannot be used, all are in {csv_path}; nothing else"
                " was written. Repair or remove them, or leave them out with on_bad_image='skip'"
            )
            problems += [f"{path}: {reason}" for path, reason in bad[:_MOST_TOLD]]
            if len(bad) > _MOST_TOLD:
                problems.append(f"... and {len(bad) - _MOST_TOLD} more in {csv_path}")
        problems += [
            f"Class {name!r} has 0 readable images" for name in _empty_classes(plan, per_class)
        ]
    empty = [name for name, counts in per_class.items() if not sum(counts)]
    return problems + [f"Split {name!r} has 0 readable images" for name in empty]


def _empty_classes(plan: Plan, per_class: Mapping[str, Sequence[int]]) -> list[str]:
    counts = [sum(each) for each in zip(*per_class.values(), strict=True)]
    start = 1 if plan.background else 0
    return [plan.classes[label] for label in range(start, len(counts)) if not counts[label]]
