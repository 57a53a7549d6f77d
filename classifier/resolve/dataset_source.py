"""Resolves where a dataset is, from the options and the run; no TensorFlow."""

import dataclasses
import os
from typing import Any

from classifier.config import problems
from classifier.config.dataset_source import SourceOptions
from classifier.config.problems import named
from classifier.run_directory import RunDirectory
from datasets.location import Location
from slim import _json


@dataclasses.dataclass(frozen=True)
class RecordedSource:
    """The options of a run that say where its dataset is: a part of config.json."""

    dataset_name: _json.Name | None = None
    dataset_dir: str | None = None
    dataset_file: str | None = None
    labels_file: str | None = None
    file_pattern: str | None = None
    validation_fraction: float | None = None
    split_seed: int = 0
    folds: int | None = None
    fold: int | None = None


@dataclasses.dataclass(frozen=True)
class _RunConfig:
    """The contents of config.json that are used here."""

    options: RecordedSource = RecordedSource()


def recorded_source(run: RunDirectory | None) -> RecordedSource | None:
    """Returns the options of a run; None without its config.json."""
    config = run.parent_run().read_config(_RunConfig) if run else None
    return config.options if config else None


def location_of(
    name: str,
    directory: str | None,
    options: SourceOptions,
    multi_label: bool | None = None,
    recorded: RecordedSource | None = None,
) -> Location:
    """Returns where a dataset is.

    Args:
      name: of the dataset.
      directory: its directory, or None.
      options: the other options.
      multi_label: whether an image that is read in place may have several labels.
      recorded: the options of a run. If the dataset is that of the run, they are the defaults, so
        that its images are divided into the same splits.

    Raises:
      UserError: if an option divides the images of the run in another way.
    """
    if recorded is None or not _is_same(name, directory, options, recorded):
        recorded = RecordedSource()

    def chosen(option: str, value: Any, default: Any) -> Any:
        """Returns the value of an option, or that of the run if it is not set."""
        if not options.is_changed(option):
            return default
        if recorded.dataset_name is not None and value != default:
            raise problems.error(
                "{} contradicts the run of the model: {}. Images that it was trained on could be"
                " evaluated",
                named(option, value),
                default,
            )
        return value

    return Location(
        name,
        recorded.dataset_dir if directory is None else directory,
        options.dataset_file or recorded.dataset_file,
        file_pattern=chosen("file_pattern", options.file_pattern, recorded.file_pattern),
        labels_file=chosen("labels_file", options.labels_file, recorded.labels_file),
        validation_fraction=chosen(
            "validation_fraction", options.validation_fraction, recorded.validation_fraction
        ),
        split_seed=chosen("split_seed", options.split_seed, recorded.split_seed),
        folds=chosen("folds", options.folds, recorded.folds),
        fold=chosen("fold", options.fold, recorded.fold) or 0,
        multi_label=bool(multi_label),
    )


def _is_same(
    name: str, directory: str | None, options: SourceOptions, recorded: RecordedSource
) -> bool:
    def are_equal(path: str | None, other: str | None) -> bool:
        return path is None or (other is not None and _real(path) == _real(other))

    is_same_place = are_equal(directory, recorded.dataset_dir)
    return (
        name == recorded.dataset_name
        and is_same_place
        and are_equal(options.dataset_file, recorded.dataset_file)
    )


def _real(path: str) -> str:
    return os.path.realpath(path)
