"""Copies of a dataset's shards in memory or on a faster disk; order and batches are the same."""

import hashlib
import itertools
import os
import re
import shutil
import weakref
from collections.abc import Callable, Sequence
from concurrent import futures

import tensorflow as tf

from classifier.config import problems
from classifier.config.problems import named
from classifier.inputs import record_copies
from slim import _memory, _ownership, _paths
from slim.data import dataset as dataset_lib

NONE, MEMORY = "none", "memory"
_COPIERS = 8
_MEMORY_URL = "ram://slim-cache-%d"  # TensorFlow's files in memory
_numbers = itertools.count()


class Cache:
    """The shards of a dataset, copied before the first one is read; copies in memory are freed with
    this object.

    Args:
      dataset: the split.
      place: "none", "memory", or a directory, which is created and may be shared by several
        datasets. Files of the same size and time are not copied again. Images that are
        read in place are kept as records.

    Attributes:
      paths: of the copies, in the order of the shards.
      dataset: the split; if its images are read in place, its records from the cache.

    Raises:
      UserError: if there is not enough space, or the directory is not writable, is in the dataset's
        directory or holds files that we did not create.
    """

    def __init__(self, dataset: dataset_lib.Dataset, place: str) -> None:
        sources = dataset.data_sources
        self.paths = tuple(sources)
        self.dataset = dataset
        if place == NONE:
            return
        if dataset.record_source is not None:
            self._keep_records(dataset, place)
            return
        if place == MEMORY:
            directory = _MEMORY_URL % next(_numbers)
            _check_space(
                sum(map(os.path.getsize, sources)), _memory.available_bytes(), "in memory", place
            )
        else:
            directory = _directory_of(dataset, place)
        self.paths = tuple(
            f"{directory}/{number:05d}-{os.path.basename(source)}"
            for number, source in enumerate(sources)
        )
        pairs = list(zip(sources, self.paths, strict=True))
        if place == MEMORY:
            _in_parallel(tf.io.gfile.copy, pairs)
            # A process may have several runs.
            weakref.finalize(self, _remove, self.paths).atexit = False
            return
        pairs = [(source, copy) for source, copy in pairs if not _is_same(source, copy)]
        needed = sum(os.path.getsize(source) for source, _ in pairs)
        _check_space(needed, shutil.disk_usage(directory).free, f"in {directory}", place)
        try:
            _in_parallel(_copy, pairs)
        except OSError as error:
            raise problems.error(
                "{} is not writable: {}", named("cache", repr(place)), error
            ) from None

    def _keep_records(self, dataset: dataset_lib.Dataset, place: str) -> None:
        """Keeps the records of images that are read in place."""
        source = dataset.record_source
        if place == MEMORY:
            _check_space(sum(dataset.shard_bytes), _memory.available_bytes(), "in memory", place)
            self.dataset = dataset.replace(record_source=record_copies.MemoryRecords(source))
            return
        directory = _directory_of(dataset, place)
        self.paths = record_copies.paths(dataset, directory)
        needed = sum(
            size
            for size, path in zip(dataset.shard_bytes, self.paths, strict=True)
            if not os.path.exists(path)
        )
        _check_space(needed, shutil.disk_usage(directory).free, f"in {directory}", place)
        try:
            record_copies.write(dataset, directory)
        except (OSError, tf.errors.OpError) as error:
            raise problems.error(
                "{} is not writable: {}", named("cache", repr(place)), error
            ) from None
        self.dataset = dataset.replace(data_sources=self.paths, record_source=None)


def _directory_of(dataset: dataset_lib.Dataset, place: str) -> str:
    """Creates and returns the directory of a dataset's copies: one per source directory."""
    source = os.path.abspath(dataset.data_sources[0])
    if not os.path.isdir(source):
        source = os.path.dirname(source)
    name = f"{dataset.name}-{dataset.split_name}".replace(os.sep, "-").replace(":", "-")
    directory = os.path.join(place, f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}")
    _ownership.check_apart(cache=directory, dataset_dir=source)
    _ownership.claim(directory, "cache", name="cache", recognize=_has_copies)
    _paths.sweep_scratch(directory)
    return directory


def _has_copies(directory: str) -> bool:
    """Returns whether a directory without a mark holds only copies of earlier versions."""
    return all(re.match(r"\d{5}-", name) for name in os.listdir(directory))


def _check_space(needed: int, free: int | None, where: str, place: str) -> None:
    if free is not None and needed > free:
        raise problems.error(
            "{} does not fit {}: {:.1f} MB needed, {:.1f} MB free",
            named("cache", repr(place)),
            where,
            needed / 1e6,
            free / 1e6,
        )


def _is_same(source: str, copy: str) -> bool:
    if not os.path.exists(copy):
        return False
    stats = [os.stat(path) for path in (source, copy)]
    return len({(each.st_size, each.st_mtime_ns) for each in stats}) == 1


def _copy(source: str, copy: str) -> None:
    _paths.check_replaceable(copy)
    directory, name = os.path.split(copy)
    with _paths.scratch_directory(directory) as scratch:
        shutil.copy2(source, os.path.join(scratch, name))
        os.replace(os.path.join(scratch, name), copy)


def _remove(paths: Sequence[str]) -> None:
    for path in paths:
        tf.io.gfile.remove(path)


def _in_parallel(copy: Callable[[str, str], object], pairs: list[tuple[str, str]]) -> None:
    with futures.ThreadPoolExecutor(_COPIERS) as pool:
        for _ in pool.map(lambda pair: copy(*pair), pairs):
            pass
