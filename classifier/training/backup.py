"""A run that begins anew in a directory that has one: what is there is set aside, not removed."""

import contextlib
import fnmatch
import os
from collections.abc import Iterable, Iterator

from classifier.config.training import TrainConfig
from slim import _checks, _ownership, _paths
from slim.run_lock import TrainDirLock

FOLDER = "set_aside"
# What runs write, and evaluations of them; all else in the directory is the user's.
_OF_A_RUN = (
    *("checkpoint", "model.ckpt-*", "best", "config.json", "model_info.json", "metrics.jsonl"),
    *("events.out.tfevents.*", "eval", "images", "plugins", "curves.png", "bad_files.csv"),
    "nan_restores.json",
)
# What is in a run's directories; two have names that others use too.
_DIRECTORIES = {"best": "*", "eval": "*", "images": "step-*.png", "plugins": "profile"}


@contextlib.contextmanager
def during(config: TrainConfig) -> Iterator[None]:
    """Sets the run in `train_dir` aside for the block, which begins a new one.

    If the block fails before the new run has a checkpoint, the old one comes back to its place, and
    what the new one wrote, if anything, goes to the folder.

    Args:
      config: the options of the run that is to begin anew.

    Raises:
      UserError: as `move`.
    """
    directory, folder = config.run.train_dir, move(config)
    if folder is None:
        yield
        return
    print(f"set aside the run of {directory}: {folder} (without restart, the next start goes on)")
    try:
        yield
    except BaseException:
        if not fnmatch.filter(os.listdir(directory), "model.ckpt-*.index"):
            _move_back(directory, folder)
            print(f"the run that was set aside is in {directory} again", flush=True)
        raise


def move(config: TrainConfig) -> str | None:
    """Moves what a run has left in `train_dir` to a folder inside of it.

    Args:
      config: the options of the run that is to begin anew.

    Returns:
      The folder, or None if there was nothing to move.

    Raises:
      UserError: if a trainer is at work there, or the new run reads what would be moved.
    """
    directory = config.run.train_dir
    names = _of_a_run(directory)
    if not names:
        return None
    _check_unused(config, [os.path.join(directory, name) for name in names])
    with TrainDirLock(directory):
        above = os.path.join(directory, FOLDER)
        _ownership.check_entries(directory, files=(), directories=(FOLDER,))
        os.makedirs(above, exist_ok=True)
        number = 1 + max((int(name) for name in os.listdir(above) if name.isdecimal()), default=0)
        folder = os.path.join(above, str(number))
        os.mkdir(folder)
        _rename(names, directory, folder)
    return folder


def _move_back(directory: str, folder: str) -> None:
    with TrainDirLock(directory):
        old, new = os.listdir(folder), _of_a_run(directory)
        attempt = os.path.join(folder, "attempt")
        os.mkdir(attempt)
        _rename(new, directory, attempt)
        _rename(old, folder, directory)
        _rename(new, attempt, folder)
        os.rmdir(attempt)
        with contextlib.suppress(OSError):  # they hold something
            os.rmdir(folder)
            os.rmdir(os.path.dirname(folder))


def _rename(names: Iterable[str], source: str, destination: str) -> None:
    for name in names:
        os.rename(os.path.join(source, name), os.path.join(destination, name))


def _of_a_run(directory: str) -> list[str]:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    return [
        name
        for name in names
        if any(fnmatch.fnmatchcase(name, each) for each in _OF_A_RUN)
        and _is_of_a_run(os.path.join(directory, name))
    ]


def _is_of_a_run(path: str) -> bool:
    """Returns whether a path holds what runs write: no links, and no images of the user's."""
    pattern = _DIRECTORIES.get(os.path.basename(path))
    if pattern is None:
        return _ownership.is_regular(path)
    return _ownership.is_real_directory(path) and all(
        fnmatch.fnmatchcase(name, pattern) or name.startswith(_paths.SCRATCH)
        for name in os.listdir(path)
    )


def _check_unused(config: TrainConfig, moved: list[str]) -> None:
    read = {
        "checkpoint_path": config.finetune.checkpoint_path,
        "dataset_dir": config.data.dataset_dir,
        "class_weights": config.loss.class_weights,
    }
    for name, path in read.items():
        real = os.path.realpath(path or os.devnull)
        holds_run = name == "checkpoint_path" and real == os.path.realpath(config.run.train_dir)
        inside = [each for each in moved if _holds(os.path.realpath(each), real)]
        if holds_run or inside:
            raise _checks.UserError(
                f"restart would move what {name}={path!r} names: give another train_dir"
            )


def _holds(moved: str, path: str) -> bool:
    """Returns whether a path lies in what is moved, or is the prefix of a checkpoint of it."""
    return f"{path}/".startswith(f"{moved}/") or moved.startswith(f"{path}.")
