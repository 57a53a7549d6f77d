"""Downloads and unpacks published checkpoints; no TensorFlow."""

import os
import sys

from classifier.config.checkpoints import FetchConfig
from datasets import archives, download
from nets import published
from slim import _checks, _ownership, _paths

_LIMITS = archives.Limits(members=100, bytes=4_000_000_000)


def fetch(config: FetchConfig) -> str:
    """Returns the path of a published checkpoint: the prefix, or a V1 file.

    It is downloaded and unpacked unless an earlier call has done so.

    Args:
      config: the options of `fetch`.

    Raises:
      UserError: if the name is not known, or the directory holds files that slim did not create.
      RunError: if the archive cannot be downloaded, is damaged or contains no checkpoint.
    """
    known = {each.file: each for each in published.checkpoints()}
    archive = known[_checks.one_of("archive", config.name, known)]
    unpacked = os.path.join(config.directory, archive.stem)
    if not os.path.isdir(unpacked):
        _download(archive, config, unpacked)
    checkpoint = _checkpoint_in(unpacked)
    if checkpoint is None:
        raise _checks.RunError(f"{unpacked} contains no .ckpt")
    return checkpoint


def _download(archive: published.PublishedCheckpoint, config: FetchConfig, unpacked: str) -> None:
    """Downloads an archive to the directory and unpacks it there."""
    _ownership.claim(
        config.directory, "downloads", name="directory", recognize=_holds_only_archives
    )
    _paths.sweep_scratch(config.directory)
    downloader = download.Downloader(report=lambda line: print(line, file=sys.stderr))
    paths = downloader.fetch(
        [download.RemoteFile(archive.file, (archive.url,))],
        config.directory,
        dataset_name=archive.network,
        source_dir=config.source_dir,
    )
    with _paths.scratch_directory(config.directory) as scratch:
        fresh = os.path.join(scratch, "checkpoint")
        archives.extract(paths[archive.file], fresh, _LIMITS)
        os.rename(fresh, unpacked)


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
