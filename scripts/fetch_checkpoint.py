"""Downloads a published checkpoint and prints its path.

    fetch_checkpoint.py ARCHIVE DIRECTORY [SOURCE_DIR]

ARCHIVE is a file listed in docs/checkpoints.md, such as inception_v1_2016_08_28.tar.gz. It is read
from SOURCE_DIR or downloaded, and extracted to DIRECTORY. An extracted checkpoint is reused.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from classifier.cli import stopping

_PROGRAM = os.path.basename(__file__)


def find_checkpoint(directory: str) -> str | None:
    """Returns the checkpoint in a directory: a prefix, or a V1 file."""
    for parent, _, names in sorted(os.walk(directory)):
        for name in sorted(names):
            if name.endswith((".ckpt", ".ckpt.index")):
                return os.path.join(parent, name.removesuffix(".index"))
    return None


def _has_only_checkpoints(directory: str) -> bool:
    """Returns whether an unmarked directory contains only files of this script."""
    from datasets import download
    from nets import published

    suffixes = ("", download.PARTIAL, download.REJECTED)
    names = [name for each in published.checkpoints() for name in (each.stem, each.file)]
    return set(os.listdir(directory)) <= {name + suffix for name in names for suffix in suffixes}


def fetch(name: str, directory: str, source_dir: str | None) -> str:
    """Returns the path of a checkpoint, which is downloaded if it does not exist."""
    from datasets import archives, download
    from nets import published
    from slim import _checks, _ownership, _paths

    known = {each.file: each for each in published.checkpoints()}
    _checks.one_of("archive", name, known)
    path = os.path.join(directory, known[name].stem)
    if not os.path.isdir(path):
        file = download.RemoteFile(name, (known[name].url,))
        report = lambda line: print(line, file=sys.stderr)  # noqa: E731
        _ownership.claim(directory, "downloads", name="directory", recognize=_has_only_checkpoints)
        _paths.sweep_scratch(directory)
        paths = download.Downloader(report=report).fetch(
            [file], directory, dataset_name=known[name].network, source_dir=source_dir
        )
        with _paths.scratch_directory(directory) as scratch:
            extracted = os.path.join(scratch, "checkpoint")
            limits = archives.Limits(members=100, bytes=4_000_000_000)
            archives.extract(paths[name], extracted, limits)
            os.rename(extracted, path)
    checkpoint = find_checkpoint(path)
    if checkpoint is None:
        raise _checks.RunError(f"{path} contains no .ckpt")
    return checkpoint


def main(argv: list[str]) -> int:
    """Runs the script; returns its exit code."""
    with stopping.before_work(_PROGRAM):  # the imports take a while
        from classifier.cli import front_door
        from slim import _checks

        def work() -> None:
            if "--help" in argv or "-h" in argv:
                print((__doc__ or "").strip())
                return
            if len(argv) not in (2, 3):
                raise _checks.UserError(f"Expected 2 or 3 arguments, got {len(argv)}. See --help")
            name, folder, *source_dir = map(os.path.expanduser, argv)
            print(fetch(name, folder, source_dir[0] if source_dir else None))

        return front_door.enter(_PROGRAM, lambda: work)


if __name__ == "__main__":
    sys.exit(stopping.last(main(sys.argv[1:])))
