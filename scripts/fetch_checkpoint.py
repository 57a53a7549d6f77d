"""Gets a published checkpoint and prints its path.

    fetch_checkpoint.py ARCHIVE FOLDER [SOURCE_DIR]

ARCHIVE is a file of the table in docs/checkpoints.md, such as inception_v1_2016_08_28.tar.gz. It is
taken from SOURCE_DIR if given, else downloaded, and unpacked to FOLDER unless that was done before.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from classifier.cli import stopping

_PROGRAM = os.path.basename(__file__)


def unpacked(folder: str) -> str | None:
    """Returns the checkpoint in a folder: a prefix, or a V1 file."""
    for parent, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith((".ckpt", ".ckpt.index")):
                return os.path.join(parent, name.removesuffix(".index"))
    return None


def _holds_checkpoints(folder: str) -> bool:
    """Returns whether a folder without a mark holds nothing but what this script writes."""
    from datasets import download
    from nets import published

    endings = ("", download.PARTIAL, download.REJECTED)
    names = [name for each in published.checkpoints() for name in (each.stem, each.file)]
    return set(os.listdir(folder)) <= {name + ending for name in names for ending in endings}


def fetch(name: str, folder: str, source_dir: str | None) -> str:
    """Returns the path of the checkpoint, after getting it if need be."""
    from datasets import archives, download
    from nets import published
    from slim import _checks, _ownership, _paths

    known = {each.file: each for each in published.checkpoints()}
    _checks.one_of("archive", name, known)
    place = os.path.join(folder, known[name].stem)
    if not os.path.isdir(place):
        file = download.RemoteFile(name, (known[name].url,))
        report = lambda line: print(line, file=sys.stderr)  # noqa: E731
        _ownership.claim(folder, "downloads", name="folder", recognize=_holds_checkpoints)
        _paths.sweep_scratch(folder)
        paths = download.Downloader(report=report).fetch(
            [file], folder, dataset_name=known[name].network, source_dir=source_dir
        )
        with _paths.scratch_directory(folder) as scratch:
            fresh = os.path.join(scratch, "checkpoint")
            limits = archives.Limits(members=100, bytes=4_000_000_000)
            archives.extract(paths[name], fresh, limits)
            os.rename(fresh, place)
    found = unpacked(place)
    if found is None:
        raise _checks.RunError(f"{place} holds no .ckpt")
    return found


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
                raise _checks.UserError(f"{len(argv)} arguments; --help shows which are expected")
            name, folder, *source_dir = map(os.path.expanduser, argv)
            print(fetch(name, folder, source_dir[0] if source_dir else None))

        return front_door.enter(_PROGRAM, lambda: work)


if __name__ == "__main__":
    sys.exit(stopping.last(main(sys.argv[1:])))
