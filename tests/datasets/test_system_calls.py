"""Reading a tree of images costs about one system call per file before the first image is read."""

import collections
import os

import pytest

from datasets import (
    conversion_shards,
    dataset_factory,
    folder,
    image_list_conversion,
    imagenet,
    local_images,
)
from datasets.location import Location
from tests.datasets import image_folder, sample_files

CLASSES, IMAGES = 6, 50
FILES = CLASSES * IMAGES


class Counter:
    """Counts calls that ask for the state of a path, and readings of directories."""

    def __init__(self, monkeypatch):
        self.states = collections.Counter()
        self.directories = collections.Counter()
        for name in ("stat", "lstat", "access", "readlink"):
            monkeypatch.setattr(os, name, self.counting(getattr(os, name), self.states))
        monkeypatch.setattr(os, "listdir", self.counting(os.listdir, self.directories))
        self.scandir = os.scandir
        monkeypatch.setattr(os, "scandir", self.scan)

    def counting(self, function, counter):
        def counted(path, *args, **kwargs):
            counter[path_of(path)] += 1
            return function(path, *args, **kwargs)

        return counted

    def scan(self, path="."):
        self.directories[path_of(path)] += 1
        return Entries(self.scandir(path), self.states)


def path_of(path):
    return str(path) if isinstance(path, int) else os.fspath(path)


class Entries:
    """A directory's entries, whose system calls are counted."""

    def __init__(self, entries, states):
        self.entries, self.states = entries, states

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.entries.close()

    def __iter__(self):
        return (Entry(entry, self.states) for entry in self.entries)


class Entry(os.PathLike):
    """An entry; of one that is no link, only `stat` is a system call."""

    def __init__(self, entry, states):
        self.entry, self.states = entry, states
        self.name, self.path = entry.name, entry.path

    def __fspath__(self):
        return self.path

    def stat(self, **options):
        self.states[self.path] += 1
        return self.entry.stat(**options)

    def is_dir(self, **options):
        self.states[self.path] += self.entry.is_symlink()
        return self.entry.is_dir(**options)

    def is_file(self, **options):
        self.states[self.path] += self.entry.is_symlink()
        return self.entry.is_file(**options)

    def is_symlink(self):
        return self.entry.is_symlink()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    names = [f"n0000000{c}/{i:03d}.JPEG" for c in range(CLASSES) for i in range(IMAGES)]
    image_folder.write(str(root / "train"), dict.fromkeys(names, sample_files.jpeg(8, 8)))
    rows = (f"train/{name},{name.split('/')[0]}\n" for name in names)
    (root / "images.csv").write_text("path,label\n" + "".join(rows))
    return root


class Started(Exception):
    """The first image would be read."""


def open_splits(location):
    """Opens both splits as training does, up to the first image."""
    for split in ("train", "validation"):
        dataset_factory.metadata_at(location, split)
    dataset_factory.metadata_at(location, "train")


def directory(tree, out):
    open_splits(Location("folder", str(tree / "train")))


def several_labels(tree, out):
    open_splits(Location("folder", str(tree / "train"), multi_label=True))


def listed(tree, out):
    open_splits(Location("list", file=str(tree / "images.csv")))


def conversion_of_a_directory(tree, out):
    folder.convert(out, source_dir=str(tree / "train"))


def conversion_of_a_list(tree, out):
    image_list_conversion.convert(out, dataset_file=str(tree / "images.csv"))


def conversion_of_imagenet(tree, out):
    imagenet.convert(out, source_dir=str(tree))


@pytest.mark.parametrize(
    "start",
    [
        *(directory, several_labels, listed),
        *(conversion_of_a_directory, conversion_of_a_list, conversion_of_imagenet),
    ],
)
def test_one_call_per_file_and_one_walk_before_the_first_image(tree, tmp_path, monkeypatch, start):
    def stop(*args, **kwargs):
        raise Started

    monkeypatch.setattr(conversion_shards, "write", stop)
    local_images._read.cache_clear()
    calls = Counter(monkeypatch)
    try:
        start(tree, str(tmp_path / "out"))
    except Started:
        pass
    else:
        assert not start.__name__.startswith("conversion")
    of_files = {path: n for path, n in calls.states.items() if path.endswith(".JPEG")}
    assert len(of_files) == FILES
    assert max(of_files.values()) == 1
    of_source = {path: n for path, n in calls.states.items() if path.startswith(str(tree))}
    assert sum(of_source.values()) <= FILES + 12 * CLASSES + 20
    of_classes = {path: n for path, n in calls.directories.items() if "/n0" in path}
    assert len(of_classes) == (0 if "list" in start.__name__ else CLASSES)
    assert set(of_classes.values()) <= {1}
