"""Copies of a dataset's shards where they are read faster: in memory or on another disk.

Only the place of the bytes changes; the order and the batches stay.
"""

import hashlib
import itertools
import os
import re
import shutil
import weakref
from collections.abc import Callable, Sequence
from concurrent import futures

import tensorflow as tf

from slim import _checks, _ownership, _paths
from slim.data import dataset as dataset_lib

NONE, MEMORY = "none", "memory"
_COPIERS = 8
_ROOM = "ram://slim-cache-%d"  # TensorFlow's files in memory
_numbers = itertools.count()


class Cache:
    """The shards of a dataset, copied before the first of them is read; those in memory go with it.

    Args:
      dataset: the split.
      place: "none", "memory", or a folder, which is made and of which several datasets may have a
        part. What is there of the same size and time is not copied again.

    Attributes:
      paths: where to read the shards, in their order.

    Raises:
      UserError: if there is no room, or the folder cannot be written, lies in the dataset's
        directory or holds files that we did not create.
    """

    def __init__(self, dataset: dataset_lib.Dataset, place: str) -> None:
        sources = dataset.data_sources
        self.paths = tuple(sources)
        if place == NONE:
            return
        if place == MEMORY:
            folder = _ROOM % next(_numbers)
            _check_room(sum(map(os.path.getsize, sources)), _free_memory(), "in memory", place)
        else:
            folder = _folder_of(dataset, place)
        self.paths = tuple(
            f"{folder}/{number:05d}-{os.path.basename(source)}"
            for number, source in enumerate(sources)
        )
        pairs = list(zip(sources, self.paths, strict=True))
        if place == MEMORY:
            _in_parallel(tf.io.gfile.copy, pairs)
            # For a process with several runs.
            weakref.finalize(self, _remove, self.paths).atexit = False
            return
        pairs = [(source, copy) for source, copy in pairs if not _is_same(source, copy)]
        needed = sum(os.path.getsize(source) for source, _ in pairs)
        _check_room(needed, shutil.disk_usage(folder).free, f"in {folder}", place)
        try:
            _in_parallel(_copy, pairs)
        except OSError as error:
            raise _checks.UserError(f"cache={place!r} cannot be written: {error}") from None


def _folder_of(dataset: dataset_lib.Dataset, place: str) -> str:
    """Makes and returns the folder of a dataset's shards: one for each folder they come from."""
    source = os.path.dirname(os.path.abspath(dataset.data_sources[0]))
    name = f"{dataset.name}-{dataset.split_name}".replace(os.sep, "-").replace(":", "-")
    folder = os.path.join(place, f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}")
    _ownership.check_apart(cache=folder, dataset_dir=source)
    _ownership.claim(folder, "cache", name="cache", recognize=_has_copies)
    _paths.sweep_scratch(folder)
    return folder


def _has_copies(folder: str) -> bool:
    """Returns whether a folder without a mark holds nothing but the copies of earlier versions."""
    return all(re.match(r"\d{5}-", name) for name in os.listdir(folder))


def _check_room(needed: int, free: int | None, where: str, place: str) -> None:
    if free is not None and needed > free:
        raise _checks.UserError(
            f"cache={place!r} has no room {where}: {needed / 1e6:.1f} MB are needed,"
            f" {free / 1e6:.1f} MB are free"
        )


def _free_memory() -> int | None:
    """Returns the bytes that may be taken, or None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _is_same(source: str, copy: str) -> bool:
    if not os.path.exists(copy):
        return False
    facts = [os.stat(path) for path in (source, copy)]
    return len({(each.st_size, each.st_mtime_ns) for each in facts}) == 1


def _copy(source: str, copy: str) -> None:
    _paths.check_replaceable(copy)
    folder, name = os.path.split(copy)
    with _paths.scratch_directory(folder) as scratch:
        shutil.copy2(source, os.path.join(scratch, name))
        os.replace(os.path.join(scratch, name), copy)


def _remove(paths: Sequence[str]) -> None:
    for path in paths:
        tf.io.gfile.remove(path)


def _in_parallel(copy: Callable[[str, str], object], pairs: list[tuple[str, str]]) -> None:
    with futures.ThreadPoolExecutor(_COPIERS) as pool:
        for _ in pool.map(lambda pair: copy(*pair), pairs):
            pass
