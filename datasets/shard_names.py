"""Names of TFRecord files: which ones are the shards of a split. No TensorFlow."""

import collections
import fnmatch
import glob
import os
import re
from collections.abc import Sequence

_SHARD_NUMBER = re.compile(r"(\d+)-of-(\d+)")
_RECORD_FILE = re.compile(r"\.tf_?records?|\.records?\b|\d-of-\d", re.I)
# A name of a split between other characters than letters.
_SPLIT = re.compile(
    r"(?<![a-z])(?:train(?:ing)?|val(?:id(?:ation)?)?|test(?:ing)?|eval|dev)(?![a-z])", re.I
)
_WORD = re.compile(r"[^-_.]+")  # as `splits_in` finds names of splits
_NUMBER = re.compile(r"(?:^|(?<=[-_.]))\d+(?:-of-\d+)?")


def matching(pattern: str, split_name: str, dataset_dir: str) -> list[str]:
    """Returns the sorted names that match a pattern, in which `%s` stands for the split."""
    # Not glob: brackets or stars in the directory's own name must not act as wildcards.
    shards = pattern.replace("%s", split_name)
    return sorted(name for name in os.listdir(dataset_dir) if fnmatch.fnmatchcase(name, shards))


def splits_in(pattern: str, dataset_dir: str) -> list[str]:
    """Returns the sorted names of splits for which a directory has files that match a pattern."""
    before, percent, after = pattern.partition("%s")
    if not percent:
        return []
    parts = (fnmatch.translate(before), fnmatch.translate(after))
    before, after = (re.sub(r"^\(\?s:(.*)\)\\[zZ]$", r"\1", part, flags=re.S) for part in parts)
    shard_name = re.compile(f"(?s:{before}([^-_.]+){after})")
    matches = (shard_name.fullmatch(name) for name in os.listdir(dataset_dir))
    return sorted({match.group(1) for match in matches if match})


def missing(files: Sequence[str], dataset_dir: str) -> list[str]:
    """Returns the shards that the directory lacks, of these files and of their numbered series.

    Args:
      files: names of shards, such as train-00001-of-00005.
      dataset_dir: the directory.
    """
    present = set(os.listdir(dataset_dir))
    absent = {file for file in files if file not in present}
    series = {}
    for match in filter(None, map(_SHARD_NUMBER.search, files)):
        start, end = match.span(1)
        series[match.string[:start], match.string[end:]] = end - start, int(match.group(2))
    for (before, after), (width, total) in series.items():
        names = (f"{before}{number:0{width}d}{after}" for number in range(min(total, 100_000)))
        absent.update(name for name in names if name not in present)
    return sorted(absent)


def record_files(dataset_dir: str) -> list[str]:
    """Returns the sorted names of the files that are called like TFRecord files."""
    with os.scandir(dataset_dir) as entries:
        return sorted(each.name for each in entries if _is_record_file(each))


def has_only_records(path: str) -> bool:
    """Returns whether a path is a directory with files called like TFRecord files, and without
    subdirectories."""
    if not os.path.isdir(path):
        return False
    with os.scandir(path) as entries:
        listed = list(entries)
    return any(map(_is_record_file, listed)) and not any(os.path.isdir(e.path) for e in listed)


def suggest_pattern(dataset_dir: str, split_name: str) -> str | None:
    """Returns a pattern of the directory's TFRecord files, or None if it has none.

    Args:
      dataset_dir: the directory.
      split_name: preferably with files of this split.
    """
    patterns = collections.Counter(
        _pattern_of(name, split_name) for name in record_files(dataset_dir)
    )
    return max(
        patterns,
        key=lambda each: (bool(matching(each, split_name, dataset_dir)), patterns[each]),
        default=None,
    )


def _is_record_file(entry: os.DirEntry[str]) -> bool:
    return _RECORD_FILE.search(entry.name) is not None and os.path.isfile(entry.path)


def _pattern_of(name: str, split_name: str) -> str:
    own = re.search(rf"(?<![A-Za-z0-9]){re.escape(split_name)}(?![A-Za-z])", name)
    split = own or _SPLIT.search(name) or _WORD.search(name)
    start, end = split.span() if split else (0, 0)
    before, after = (
        "*".join(map(glob.escape, _NUMBER.split(part))) for part in (name[:start], name[end:])
    )
    return f"{before}%s{after}"
