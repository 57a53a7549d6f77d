"""Converts or verifies a dataset, for `download_and_convert_data.py`.

TensorFlow is loaded only when the work starts.
"""

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import (
    conversion_report,
    dataset_factory,
    dataset_info,
    image_tree,
    local_images,
    splits,
)
from datasets.location import Location
from slim import _checks, _ownership
from slim._problems import Problem, named

_PATHS = ("source_dir", "dataset_file", "labels_file")  # stored as absolute paths

Converter = Callable[..., dataset_info.DatasetInfo]


def run(
    dataset_name: str,
    dataset_dir: str,
    report: Callable[[str], object] = print,
    **options: Any,
) -> None:
    """Converts a dataset, or verifies one if `dataset_name` is "verify"."""
    if dataset_name not in dataset_factory.ACTIONS:
        convert(dataset_name, dataset_dir, report, **options)
        return
    used = check_options(dataset_name, dataset_dir, **options)
    action = importlib.import_module(dataset_factory.ACTIONS[dataset_name], __package__)
    action.run(dataset_dir, report, **used)


def check_options(dataset_name: str, dataset_dir: str, **options: Any) -> dict[str, Any]:
    """Returns the options that are not None; arguments as of `run`.

    Raises:
      UserError: if the dataset or the action has no such option, or the directory overlaps the
        source.
    """
    if dataset_name not in dataset_factory.ACTIONS:
        used = _used_options(dataset_factory.get_spec(dataset_name), options)
        _ownership.check_apart(dataset_dir=dataset_dir, source_dir=used.get("source_dir"))
        return used
    used = {name: value for name, value in options.items() if value is not None}
    unexpected = sorted(set(used) - {"max_pixels"})
    if unexpected:
        raise _checks.UserError(
            Problem(
                "{} cannot be used with {}",
                _mentions(unexpected),
                named("dataset_name", repr(dataset_name)),
            )
        )
    return used


def convert(
    dataset_name: str,
    dataset_dir: str,
    report: Callable[[str], object] = print,
    **options: Any,
) -> dataset_info.DatasetInfo:
    """Converts a dataset to TFRecords, unless the directory already holds it.

    Args:
      dataset_name: a name of `dataset_factory.DATASETS`, or tfds:NAME.
      dataset_dir: output directory; created if it does not exist.
      report: called with each line of the report.
      **options: options of the dataset's `convert`; None selects its default.

    Returns:
      a description of the dataset in the directory.

    Raises:
      UserError: if the name is unknown, the dataset has no such option, the directory cannot be
        written or overlaps the source, or it holds another dataset, the same dataset converted with
        other options or from other files, or files that slim did not create.
      RunError: if writing failed.
    """
    spec = dataset_factory.get_spec(dataset_name)
    used_options = _used_options(spec, options)

    def converter(*args: Any, **kwargs: Any) -> dataset_info.DatasetInfo:
        # The module loads TensorFlow, which a complete dataset does not need.
        module = importlib.import_module(spec.module, __package__)
        return module.convert(*args, **spec.arguments, **kwargs)

    return build(converter, dataset_name, dataset_dir, report, **used_options)


def build(
    converter: Converter,
    dataset_name: str,
    dataset_dir: str,
    report: Callable[[str], object] = print,
    **used_options: Any,
) -> dataset_info.DatasetInfo:
    """Converts a dataset with a function, unless the directory already holds it.

    Args:
      converter: called with the directory and the options.
      dataset_name: name of the dataset in dataset_info.json.
      dataset_dir: output directory; created if it does not exist.
      report: called with each line of the report.
      **used_options: options of the converter.

    Returns:
      a description of the dataset in the directory.

    Raises:
      UserError: as `convert`.
      RunError: if writing failed.
    """
    if os.path.exists(dataset_dir) and not os.path.isdir(dataset_dir):
        raise _checks.UserError(
            Problem("{} is a file; a directory is needed", named("dataset_dir", repr(dataset_dir)))
        )
    info = dataset_info.read_complete(dataset_dir)
    if info is not None:
        if info.name != dataset_name:
            raise _checks.UserError(
                Problem(
                    "{} holds the dataset {!r}, not {!r}. Use another directory",
                    named("dataset_dir", repr(dataset_dir)),
                    info.name,
                    dataset_name,
                )
            )
        _check_same(info, used_options, dataset_dir)
        _check_source(info, used_options, dataset_dir)
        report(f"{dataset_dir} is already complete: {conversion_report.summary(info)}")
        return info
    _ownership.check_apart(dataset_dir=dataset_dir, source_dir=used_options.get("source_dir"))
    try:
        info = converter(dataset_dir, **used_options)
    except OSError as error:
        raise _checks.RunError(f"{dataset_dir} could not be written: {error}") from error
    for line in conversion_report.lines(info, dataset_dir):
        report(line)
    return info


def _used_options(spec: splits.DatasetSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that are not None; raises UserError if the dataset lacks one of them."""
    used = {name: value for name, value in options.items() if value is not None}
    unknown = sorted(set(used) - set(spec.options))
    if unknown:
        raise _checks.UserError(
            Problem(
                "{} cannot be used with the dataset {!r}. Its options: {}",
                _mentions(unknown),
                spec.name,
                _mentions(spec.options) if spec.options else "none",
            )
        )
    return used


def _mentions(names: Sequence[str]) -> Problem:
    return Problem(", ".join("{}" for _ in names), *map(named, names))


def _check_same(
    info: dataset_info.DatasetInfo, options: Mapping[str, Any], dataset_dir: str
) -> None:
    """Raises UserError if the dataset was converted with other values of the options."""
    recorded = {"multi_label": info.multi_label, **info.options}
    for name, value in options.items():
        value = os.path.abspath(value) if name in _PATHS else value
        if name in recorded and recorded[name] != value:
            raise _checks.UserError(
                Problem(
                    "{} holds {!r} converted with {}, not {!r}. Use another directory",
                    named("dataset_dir", repr(dataset_dir)),
                    info.name,
                    named(name, repr(recorded[name])),
                    value,
                )
            )


def _check_source(
    info: dataset_info.DatasetInfo, options: Mapping[str, Any], dataset_dir: str
) -> None:
    """Raises UserError if the images, or their list, have changed since the conversion."""
    name = "dataset_file" if info.name == "list" else "source_dir"
    path = options.get(name)
    if not info.source_files or path is None or not os.path.exists(path):
        return
    if info.name == "list":
        several = info.multi_label
        location = Location("list", options.get("source_dir"), path, multi_label=several)
        summary = local_images.summary(location)
    else:
        summary = image_tree.summary(image_tree.read(path))
    if summary != info.source_files:
        raise _checks.UserError(
            Problem(
                "{} has changed since {} was converted ({} files then, {} now). Remove {!r} to"
                " convert again, or use another directory",
                named(name, repr(path)),
                named("dataset_dir", repr(dataset_dir)),
                info.source_files["count"],
                summary["count"],
                dataset_dir,
            )
        )
