"""The command `average`: the mean of several checkpoints of a network (Izmailov et al., "Averaging
Weights Leads to Wider Optima and Better Generalization", 2018)."""

import dataclasses
import os
from collections.abc import Iterator, Sequence

import numpy as np

from classifier.checkpoints import commands
from classifier.checkpoints.sources import OpenedCheckpoint, open_checkpoint, open_prefix
from classifier.config import problems
from classifier.config.checkpoints import AverageConfig
from classifier.config.problems import named
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from slim import _checks, checkpoints

_STEP = "global_step"
_MAX_LISTED = 5


def average(config: AverageConfig) -> None:
    """Writes a checkpoint with the mean of each floating-point variable.

    Other variables, among them the global step, are those of the checkpoint with the highest step.
    The model_info.json of the checkpoints is written next to the new one, without the calibration,
    which belongs to other weights.

    Args:
      config: options of `average`.

    Raises:
      UserError: if there are fewer than two checkpoints, their variables or models differ, or the
        output exists or is in one of their directories.
      RunError: if a file cannot be read or written; no partial output remains.
    """
    commands.check_new_checkpoint(config.output)
    opened = _open(config)
    newest = max(opened, key=lambda each: int(each.get(_STEP)) if _STEP in each.variables() else -1)
    run = RunDirectory.of_checkpoint(config.output)
    for each in opened:
        if os.path.realpath(each.run.path) == os.path.realpath(run.path):
            raise problems.error(
                "{} is in the directory of {}, whose run would resume from it. Use another"
                " directory",
                named("output", repr(config.output)),
                each.prefix,
            )
    if differences := [line for each in opened for line in _differences(newest, each)]:
        raise _checks.UserError(
            f"The checkpoints cannot be averaged: {_checks.listed(differences, _MAX_LISTED)}"
        )
    info = _info(newest.info, run)
    values = {name: _mean(name, newest, opened) for name in newest.variables()}
    if info is not None:
        os.makedirs(run.path, exist_ok=True)
        run.write_model_info(info)
    checkpoints.save(config.output, values)
    for each in opened:
        print(each.prefix)
    print(f"Wrote the average of {len(opened)} checkpoints to {config.output}")


def _open(config: AverageConfig) -> list[OpenedCheckpoint]:
    paths = config.checkpoint_path
    if len(paths) > 1:
        return [open_checkpoint(path) for path in paths]
    prefixes = checkpoints.find_all(paths[0]) if os.path.isdir(paths[0]) else []
    if len(prefixes) < 2:
        raise problems.error(
            "{} is not a directory with at least two checkpoints. Pass one, or several checkpoints"
            " separated by commas",
            named("checkpoint_path", repr(paths[0])),
        )
    return [open_prefix(prefix) for prefix in prefixes[-config.last :]]


def _differences(one: OpenedCheckpoint, other: OpenedCheckpoint) -> Iterator[str]:
    """Yields how the model and the variables of two checkpoints differ."""
    ours, theirs = one.variables(), other.variables()
    if _without_calibration(one.info) != _without_calibration(other.info):
        yield f"model_info.json differs for {one.prefix} and {other.prefix}"
    for name in sorted({*ours, *theirs}):
        if name not in ours or name not in theirs:
            has, lacks = (one, other) if name in ours else (other, one)
            yield f"{name} is in {has.prefix} and not in {lacks.prefix}"
        elif ours[name] != theirs[name]:
            (shape, dtype), (other_shape, other_dtype) = ours[name], theirs[name]
            yield (
                f"{name} is {dtype.name} {list(shape)} in {one.prefix} and {other_dtype.name}"
                f" {list(other_shape)} in {other.prefix}"
            )


def _info(info: ModelInfo | None, run: RunDirectory) -> ModelInfo | None:
    """Returns the model info to write into a directory.

    Raises:
      UserError: if the directory has the model info of another model.
    """
    info, existing = _without_calibration(info), run.read_model_info()
    if existing is None or existing == info:
        return info if existing is None else None
    raise _checks.UserError(
        f"{run.model_info_path} describes another model. Use another directory for the output"
    )


def _without_calibration(info: ModelInfo | None) -> ModelInfo | None:
    return info and dataclasses.replace(info, calibration=None)


def _mean(name: str, newest: OpenedCheckpoint, opened: Sequence[OpenedCheckpoint]) -> np.ndarray:
    value, dtype = newest.get(name), newest.variables()[name].dtype
    if not dtype.is_floating:
        return value
    total = np.zeros(value.shape, np.float64)
    for each in opened:
        total += each.get(name).astype(np.float64)
    return (total / len(opened)).astype(value.dtype)
