"""Published checkpoints by name: downloads and unpacks them, and lists them; no TensorFlow."""

import fcntl
import hashlib
import os
import re
import sys
from collections.abc import Iterator

from classifier.config.checkpoints import FetchConfig, ListConfig
from datasets import archives, download
from nets import published
from slim import _checks, _files, _ownership, _paths, _problems

_LIMITS = archives.Limits(members=100, bytes=4_000_000_000)
_SHA256 = re.compile("[0-9a-f]{64}")
_HASH_ENDING = ".sha256"


def cache_directory() -> str:
    """Returns the directory of downloaded checkpoints.

    It is `checkpoints` in the directory in the variable SLIM_CACHE_DIR, else in `slim` in the
    platform's cache directory.
    """
    directory = os.environ.get("SLIM_CACHE_DIR")
    if not directory:
        if sys.platform == "darwin":
            parent = "~/Library/Caches"
        elif os.name == "nt":
            parent = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
        else:
            parent = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        directory = os.path.join(parent, "slim")
    return os.path.join(os.path.abspath(os.path.expanduser(directory)), "checkpoints")


def local_path(checkpoint_path: str) -> str:
    """Returns a path unchanged, and for the name of a published checkpoint the path of its copy.

    A missing copy is downloaded. An existing path has priority over a name.

    Raises:
      UserError, RunError: as `fetch`.
    """
    if published.named(checkpoint_path) is None:
        return checkpoint_path
    if published.of_name(checkpoint_path) is None:
        print(
            f"checkpoint {checkpoint_path}: the existing path is used, not the published checkpoint"
            " of this name",
            flush=True,
        )
        return checkpoint_path
    return fetch(FetchConfig(name=checkpoint_path))


def fetch(config: FetchConfig) -> str:
    """Returns the path of a published checkpoint: the prefix, or a V1 file.

    It is downloaded and unpacked unless an earlier call has done so.

    Args:
      config: the options of `fetch`.

    Raises:
      UserError: if the name is not known, or the directory holds files that slim did not create.
      RunError: if the archive cannot be downloaded, is damaged or contains no checkpoint, or its
        checksum is wrong.
    """
    archive = published.named(config.name)
    if archive is None:
        known = [*published.names(), *(row.file for row in published.checkpoints())]
        _checks.one_of("name", config.name, known)
    assert archive is not None  # `one_of` has raised
    directory = cache_directory() if config.directory is None else config.directory
    unpacked = os.path.join(directory, archive.stem)
    if not os.path.isdir(unpacked):
        _download(archive, config, directory, unpacked)
    checkpoint = _checkpoint_in(unpacked)
    if checkpoint is None:
        raise _checks.RunError(f"{unpacked} contains no .ckpt")
    return checkpoint


def _download(
    archive: published.PublishedCheckpoint, config: FetchConfig, directory: str, unpacked: str
) -> None:
    """Downloads an archive to the directory and unpacks it there."""
    _ownership.claim(directory, "downloads", name="directory", recognize=_holds_only_archives)
    _paths.sweep_scratch(directory)
    # A process that waited for another one's download finds it unpacked.
    with _files.open_lock(os.path.join(directory, f"{archive.stem}.lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(unpacked):
            return
        path = _archive(archive, config, directory)
        with _paths.scratch_directory(directory) as scratch:
            fresh = os.path.join(scratch, "checkpoint")
            archives.extract(path, fresh, _LIMITS)
            os.rename(fresh, unpacked)


def _archive(archive: published.PublishedCheckpoint, config: FetchConfig, directory: str) -> str:
    """Returns the path of the archive: in the directory, or in `source_dir`.

    A checksum that the table lacks is recorded next to the first download; later ones must have it.
    An archive in `source_dir` is the user's: another checksum is a warning.
    """
    if config.source_dir is not None:
        file = download.RemoteFile(archive.file, archive.urls)
        paths = download.Downloader().fetch(
            [file], directory, dataset_name=archive.stem, source_dir=config.source_dir
        )
        sha256 = _sha256(paths[archive.file])
        if archive.sha256 not in (None, sha256):
            print(f"warning: sha256 of {paths[archive.file]} is {sha256}, published was"
                  f" {archive.sha256}", file=sys.stderr)  # fmt: skip
        return paths[archive.file]
    record = os.path.join(directory, archive.file + _HASH_ENDING)
    sha256 = archive.sha256 or _recorded(record)
    downloader = download.Downloader(report=lambda line: print(line, file=sys.stderr))
    try:
        paths = downloader.fetch(
            [download.RemoteFile(archive.file, archive.urls, sha256=sha256)],
            directory,
            dataset_name=archive.stem,
        )
    except _checks.RunError as error:
        raise _checks.RunError(
            f"{archive.stem} is not in {directory}, and cannot be downloaded."
            f" {_problems.as_flags(error)}: `slim-checkpoints fetch {archive.stem}"
            " --source_dir=DIRECTORY`"
        ) from error
    path = paths[archive.file]
    if sha256 is None:
        sha256 = _sha256(path)
        _paths.write_atomically(record, f"{sha256}  {archive.file}\n".encode())
        print(f"sha256 {sha256} of {archive.file} recorded: later downloads must equal this one",
              file=sys.stderr)  # fmt: skip
    return path


def _sha256(path: str) -> str:
    with _files.open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recorded(path: str) -> str | None:
    try:
        text = _files.read_bounded(path, 1000).decode("ascii", "replace").split(" ")[0]
    except FileNotFoundError:
        return None
    if not _SHA256.fullmatch(text):
        raise _checks.UserError(
            f"{path} does not start with a SHA-256. Remove it to record another"
        )
    return text


def list(config: ListConfig) -> str:
    """Returns the table of the published checkpoints, and which are in the cache."""
    return "\n".join(_lines(config))


def _lines(config: ListConfig) -> Iterator[str]:
    directory = cache_directory()
    rows = published.checkpoints()
    if config.network is not None:
        rows = tuple(published.of_network(config.network))
    yield f"{'name':<36} {'network':<32} size offset kind  top-1 cached"
    for row in dict.fromkeys(rows):
        cached = "yes" if os.path.isdir(os.path.join(directory, row.stem)) else "no"
        network = row.built_network or f"{row.network} x {row.depth_multiplier:g}"
        top_1 = "" if row.top_1 is None else f"{row.top_1:.1f}"
        yield (
            f"{row.stem:<36} {network:<32} {row.image_size:<4} {row.labels_offset:<6}"
            f" {row.kind:<5} {top_1:<5} {cached}"
        )
    yield f"cache: {directory}"


def _checkpoint_in(directory: str) -> str | None:
    for parent, _, names in sorted(os.walk(directory)):
        for name in sorted(names):
            if name.endswith((".ckpt", ".ckpt.index")):
                return os.path.join(parent, name.removesuffix(".index"))
    return None


def _holds_only_archives(directory: str) -> bool:
    """Returns whether a directory without a mark holds only what an earlier version wrote."""
    suffixes = ("", download.PARTIAL, download.REJECTED)
    names = [name for each in published.checkpoints() for name in (each.stem, each.file)]
    return set(os.listdir(directory)) <= {name + suffix for name in names for suffix in suffixes}
