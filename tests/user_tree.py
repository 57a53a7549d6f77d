"""A user's files: a directory tree with all that may lie in one, and a record of every byte of it.

`make` creates `home`, the tree, and `treasure`, which links of the tree lead to.
"""

import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import stat
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from classifier.config.formats import FORMATS
from datasets import dataset_factory
from tests import source_tree

FORMS = ("files", "directories", "links", "fifos")
_ENDINGS = "json|jsonl|csv|txt|lock|png|md|pb|ckpt|part|log"
_FILE_NAME = re.compile(rf'"(\.?[\w-]+(?:\.[\w-]+)*\.(?:{_ENDINGS}))"')
# Names that the source composes, or that have no ending.
_OTHERS = (
    *("checkpoint", "best", "eval", "images", "plugins", "set_aside", "samples", "downloads"),
    *("model.ckpt-2", "model.ckpt-10", "model.ckpt-10.index", "model.ckpt-10.meta", "data"),
    *("model.ckpt-10.data-00000-of-00001", "model.ckpt-10.index.unreadable", "lock", "backup"),
    *("events.out.tfevents.1.host", "run", "export", "pretrained", "photos", "saved_model"),
    *(".saving-abcdefgh", "conversion.partial", "probe.incomplete", "mnist.tgz.part"),
    *("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz.part", "extracted", "0.png"),
    *("train-images-idx3-ubyte.gz.rejected", "cifar-10-binary.tar.gz.part", "saved_model.pb"),
    *("flower_photos.tgz", "flower_photos.tgz.part", "inception_v1_2016_08_28.part"),
    *("inception_v1_2016_08_28", "inception_v1_2016_08_28.tar.gz.part", "assets", "variables"),
    *(
        ".slim",
        "digits-train",
        "digits_train-00000-of-00002.tfrecord.incomplete",
        "model",
        "export.json",
    ),
)
_LATIN_1 = os.fsdecode(b"caf\xe9.png")
# What a directory of ours has inside.
_INSIDE = (
    *("mine.txt", "lock", "journal.jsonl", "best.json", "model.ckpt-10.index", "0.png"),
    *("train-images-idx3-ubyte.gz.part", "flower_photos.tgz", "1/saved_model.pb"),
)


@functools.cache
def names_like_ours() -> tuple[str, ...]:
    """Returns names of files and directories that this project writes or reads anywhere.

    Those in the source are found there, so that a new one is used here too.
    """
    names = {*_OTHERS, *_in_source()}
    for spec in dataset_factory.DATASETS.values():
        for split in spec.split_sizes or {"train": 1, "validation": 1}:
            stem = (spec.file_pattern % split).replace("*", "00000-of-00002")
            names |= {stem, f"{stem}.incomplete"}
    for each in FORMATS.values():
        names.add(os.path.basename(each.file.format(model="lenet", version=2)))
        names.add(os.path.basename(each.file.format(model="lenet", version=2)) + ".part")
    return tuple(sorted(names))


def _in_source() -> set[str]:
    texts = (path.read_text("utf-8") for path in source_tree.files())
    return {match[1] for text in texts for match in _FILE_NAME.finditer(text)}


def make(
    root: pathlib.Path, run: pathlib.Path, data: pathlib.Path, others: Iterable[str] = ()
) -> None:
    """Creates the tree.

    Args:
      root: a directory, which is created; it gets `home` and `treasure`.
      run: a run directory, copied to `home/run`.
      data: a converted dataset, copied to `home/data`.
      others: further names like ours.
    """
    home, treasure = root / "home", root / "treasure"
    _write(treasure / "kept" / "model.ckpt-9.index", b"a checkpoint of another")
    _write(treasure / "kept" / "model.ckpt-9.data-00000-of-00001", b"its values")
    _write(treasure / "gold.txt", b"gold\n")
    _write_plain(home / "plain", treasure)
    for form in FORMS:
        for name in {*names_like_ours(), *others}:
            _write_named(home / "ours" / form / name, form, treasure)
    shutil.copytree(run, home / "run")
    shutil.copytree(data, home / "data")
    for place in (home / "run", home / "data"):
        _write(place / "notes.txt", b"mine\n")
        _write(place / ".saving-money" / "plan.txt", b"mine too\n")
        (place / "gold").symlink_to(treasure / "gold.txt")
    for number, image in enumerate(sorted((data / "samples").iterdir())):
        _write(home / "photos" / "ab"[number % 2] / image.name, image.read_bytes())
    nine = (data / "samples" / "9_nine.png").read_bytes()
    _write(home / "photos" / "a" / _LATIN_1, nine)
    _write(home / "photos" / "b" / "two words\nand a line.png", nine)
    names = (line.partition(":")[2] for line in (data / "labels.txt").read_text().splitlines())
    _write(home / "weights.json", json.dumps(dict.fromkeys(names, 2.0)).encode())
    (home / "linked_run").symlink_to(home / "run")


def _write(path: pathlib.Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_named(path: pathlib.Path, form: str, treasure: pathlib.Path) -> None:
    if form == "directories":
        for name in _INSIDE:
            _write(path / name, path.name.encode())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "files":
        path.write_bytes(b"mine: " + path.name.encode())
    elif form == "fifos":
        os.mkfifo(path)
    else:
        # A link to what lies under its name: a directory where we have one, else a file.
        path.symlink_to(treasure / ("gold.txt" if "." in path.name else "kept"))


def _write_plain(place: pathlib.Path, treasure: pathlib.Path) -> None:
    """Writes one of each kind of file, with names that are hard to handle."""
    _write(place / "letter.txt", b"Dear diary\n")
    _write(place / "tool.sh", b"#!/bin/sh\nexit 0\n")
    (place / "tool.sh").chmod(0o755)
    _write(place / "read_only.txt", b"as it is\n")
    (place / "read_only.txt").chmod(0o444)
    _write(place / "two words\nand a line", b"blank\n")
    _write(place / _LATIN_1, b"Latin-1\n")
    _write(place.joinpath(*["deep"] * 40) / "end", b"down here\n")
    _write(place / "damaged.json", b'{"accuracy": ')
    (place / "empty").mkdir()
    (place / "same.txt").hardlink_to(place / "letter.txt")
    (place / "inside").symlink_to("letter.txt")
    (place / "outside.txt").symlink_to(treasure / "gold.txt")
    (place / "outside").symlink_to(treasure / "kept", target_is_directory=True)
    (place / "dangling").symlink_to(treasure / "not_there")
    os.mkfifo(place / "fifo")
    descriptor = os.open(place, os.O_RDONLY)
    try:  # the path itself may be longer than a socket's may be
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{descriptor}/socket")
    finally:
        os.close(descriptor)


class Entry(NamedTuple):
    """What there is to know of an entry of a directory."""

    kind: str
    mode: str
    inode: int
    modified: int
    content: str


def snapshot(root: pathlib.Path) -> dict[str, Entry]:
    """Returns the entries below a directory by their paths; links are not followed."""
    entries = {}
    for parent, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = os.path.join(parent, name)
            entries[os.path.relpath(path, root)] = _entry(path)
    return entries


def _entry(path: str) -> Entry:
    status = os.lstat(path)
    kind = stat.filemode(status.st_mode)[0]
    content = ""
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    # The time of a directory changes with each scratch directory that came and went.
    modified = 0 if kind == "d" else status.st_mtime_ns
    return Entry(kind, oct(stat.S_IMODE(status.st_mode)), status.st_ino, modified, content)


def differences(
    before: dict[str, Entry],
    after: dict[str, Entry],
    allowed: Iterable[str] = (),
    allowed_names: Iterable[str] = (),
) -> list[str]:
    """Returns a line for each entry that was added, removed or changed.

    Args:
      before: a snapshot.
      after: a later one.
      allowed: patterns of the paths that may differ, with all below them.
      allowed_names: patterns of the names that may be added anywhere, with all below them.
    """
    lines = []
    for path in sorted({*before, *after}):
        parents = [path, *map(str, pathlib.PurePath(path).parents)]
        new_names = [os.path.basename(each) for each in parents if each not in before]
        if _matches(parents, allowed) or _matches(new_names, allowed_names):
            continue
        if path not in after:
            lines.append(f"removed: {path!r}")
        elif path not in before:
            lines.append(f"added: {path!r} ({after[path].kind})")
        else:
            pairs = zip(Entry._fields, before[path], after[path], strict=True)
            changes = [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]
            lines += [f"changed: {path!r}: {', '.join(changes)}"] * bool(changes)
    return lines


def _matches(paths: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for path in paths for pattern in patterns)
