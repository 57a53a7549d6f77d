"""Backup of the run in `train_dir` when a new one starts there with `--restart`."""

import contextlib
import fnmatch
import os
from collections.abc import Iterable, Iterator

from classifier.config import problems
from classifier.config.problems import named
from classifier.config.training import TrainConfig
from slim import _ownership, _paths
from slim.run_lock import TrainDirLock

DIRECTORY = "set_aside"
# What runs write, and evaluations of them; everything else in the directory is the user's.
_RUN_FILES = (
    *("checkpoint", "model.ckpt-*", "best", "config.json", "model_info.json", "metrics.jsonl"),
    *("events.out.tfevents.*", "eval", "images", "plugins", "curves.png", "bad_files.csv"),
    *("nan_restores.json", "frozen_features.npz"),
)
# Contents of a run's directories. Users may have their own `images` and `plugins`.
_RUN_DIRECTORIES = {"best": "*", "eval": "*", "images": "step-*.png", "plugins": "profile"}


@contextlib.contextmanager
def during(config: TrainConfig) -> Iterator[None]:
    """Moves the run in `train_dir` to a backup, then executes the block, which starts a new run.

    If the block fails before the new run has a checkpoint, the old run is moved back and the files
    of the new one are moved to the backup directory.

    Args:
      config: options of the new run.

    Raises:
      UserError: see `move`.
    """
    train_dir, backup_dir = config.run.train_dir, move(config)
    if backup_dir is None:
        yield
        return
    drop = named("restart").as_flags
    print(f"previous run: moved to {backup_dir} (to resume the new run, drop {drop})")
    try:
        yield
    except BaseException:
        if not fnmatch.filter(os.listdir(train_dir), "model.ckpt-*.index"):
            _move_back(train_dir, backup_dir)
            print(f"previous run: moved back to {train_dir}", flush=True)
        raise


def move(config: TrainConfig) -> str | None:
    """Moves the files of the run in `train_dir` to a numbered directory inside of it.

    Args:
      config: options of the new run.

    Returns:
      The backup directory, or None if there was nothing to move.

    Raises:
      UserError: if a trainer is running there, or the new run reads what would be moved.
    """
    train_dir = config.run.train_dir
    names = _run_files(train_dir)
    if not names:
        return None
    _check_unused(config, [os.path.join(train_dir, name) for name in names])
    with TrainDirLock(train_dir):
        parent = os.path.join(train_dir, DIRECTORY)
        _ownership.check_entries(train_dir, files=(), directories=(DIRECTORY,))
        os.makedirs(parent, exist_ok=True)
        number = 1 + max((int(name) for name in os.listdir(parent) if name.isdecimal()), default=0)
        backup_dir = os.path.join(parent, str(number))
        os.mkdir(backup_dir)
        _rename(names, train_dir, backup_dir)
    return backup_dir


def _move_back(train_dir: str, backup_dir: str) -> None:
    with TrainDirLock(train_dir):
        old, new = os.listdir(backup_dir), _run_files(train_dir)
        attempt = os.path.join(backup_dir, "attempt")
        os.mkdir(attempt)
        _rename(new, train_dir, attempt)
        _rename(old, backup_dir, train_dir)
        _rename(new, attempt, backup_dir)
        os.rmdir(attempt)
        with contextlib.suppress(OSError):  # not empty
            os.rmdir(backup_dir)
            os.rmdir(os.path.dirname(backup_dir))


def _rename(names: Iterable[str], source: str, destination: str) -> None:
    for name in names:
        os.rename(os.path.join(source, name), os.path.join(destination, name))


def _run_files(train_dir: str) -> list[str]:
    try:
        names = sorted(os.listdir(train_dir))
    except FileNotFoundError:
        return []
    return [
        name
        for name in names
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in _RUN_FILES)
        and _was_written_by_run(os.path.join(train_dir, name))
    ]


def _was_written_by_run(path: str) -> bool:
    """Returns whether a path is neither a link nor a directory with files of the user."""
    pattern = _RUN_DIRECTORIES.get(os.path.basename(path))
    if pattern is None:
        return _ownership.is_regular(path)
    return _ownership.is_real_directory(path) and all(
        fnmatch.fnmatchcase(name, pattern) or name.startswith(_paths.SCRATCH)
        for name in os.listdir(path)
    )


def _check_unused(config: TrainConfig, moved: list[str]) -> None:
    inputs = {
        "checkpoint_path": config.finetune.checkpoint_path,
        "dataset_dir": config.data.dataset_dir,
        "class_weights": config.loss.class_weights,
    }
    for name, path in inputs.items():
        real = os.path.realpath(path or os.devnull)
        is_run = name == "checkpoint_path" and real == os.path.realpath(config.run.train_dir)
        if is_run or any(_contains(os.path.realpath(each), real) for each in moved):
            raise problems.error(
                "{} would move the files that {} refers to. Use another {}",
                named("restart"),
                named(name, repr(path)),
                named("train_dir"),
            )


def _contains(moved: str, path: str) -> bool:
    """Returns whether a path is in a moved directory or is the prefix of a moved checkpoint."""
    return f"{path}/".startswith(f"{moved}/") or moved.startswith(f"{path}.")
