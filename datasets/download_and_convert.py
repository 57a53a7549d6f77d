"""Makes a dataset, or verifies one: what `download_and_convert_data.py` calls.

TensorFlow is loaded when the work starts.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from datasets import conversion_report, dataset_factory, dataset_info, folder_files, splits
from slim import _checks, _ownership

Converter = Callable[..., dataset_info.DatasetInfo]


def run(
    dataset_name: str,
    dataset_dir: str,
    report: Callable[[str], object] = print,
    **options: Any,
) -> None:
    """Converts a dataset, or verifies one if `dataset_name` is "verify"; see there."""
    if dataset_name not in dataset_factory.ACTIONS:
        convert(dataset_name, dataset_dir, report, **options)
        return
    given = sorted(name for name, value in options.items() if value is not None)
    if given:
        raise _checks.UserError(f"{', '.join(given)} cannot be used with {dataset_name!r}")
    importlib.import_module(dataset_factory.ACTIONS[dataset_name], __package__).run(
        dataset_dir, report
    )


def convert(
    dataset_name: str,
    dataset_dir: str,
    report: Callable[[str], object] = print,
    **options: Any,
) -> dataset_info.DatasetInfo:
    """Converts a dataset to TFRecords, unless the directory already holds it.

    Args:
      dataset_name: a name of `dataset_factory.DATASETS`, or tfds:NAME.
      dataset_dir: where to write; made if it is not there.
      report: takes each line about what was done.
      **options: what the dataset's `convert` takes; None leaves its default.

    Returns:
      what the directory holds.

    Raises:
      UserError: if the name is not known, an option is not the dataset's, the directory cannot be
        written or overlaps the source, or it holds another dataset, the same made with other
        options or of other files, or anything that we did not create.
      RunError: if writing failed.
    """
    spec = dataset_factory.get_spec(dataset_name)
    given = _given(spec, options)
    if os.path.exists(dataset_dir) and not os.path.isdir(dataset_dir):
        raise _checks.UserError(f"dataset_dir={dataset_dir!r} is a file; a directory is needed")
    info = dataset_info.read_complete(dataset_dir)
    if info is not None:
        if info.name != dataset_name:
            raise _checks.UserError(
                f"dataset_dir={dataset_dir!r} holds the dataset {info.name!r},"
                f" not {dataset_name!r}; choose another directory"
            )
        _check_same(info, given, dataset_dir)
        _check_source(info, given.get("source_dir"), dataset_dir)
        report(f"{dataset_dir} is already complete: {conversion_report.summary(info)}")
        return info
    _ownership.check_apart(dataset_dir=dataset_dir, source_dir=given.get("source_dir"))
    converter: Converter = importlib.import_module(spec.module, __package__).convert
    try:
        info = converter(dataset_dir, **spec.arguments, **given)
    except OSError as error:
        raise _checks.RunError(f"{dataset_dir} could not be written: {error}") from error
    for line in conversion_report.lines(info, dataset_dir):
        report(line)
    return info


def _given(spec: splits.DatasetSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value is not None}
    wrong = sorted(set(given) - set(spec.options))
    if wrong:
        known = f"it takes {', '.join(spec.options)}" if spec.options else "it takes none"
        raise _checks.UserError(
            f"{', '.join(wrong)} cannot be used with the dataset {spec.name!r}: {known}"
        )
    return given


def _check_same(info: dataset_info.DatasetInfo, given: Mapping[str, Any], dataset_dir: str) -> None:
    """Refuses a dataset that was made with other options than those asked for now."""
    for name, value in given.items():
        value = os.path.abspath(value) if name == "source_dir" else value
        if name in info.options and info.options[name] != value:
            raise _checks.UserError(
                f"dataset_dir={dataset_dir!r} holds {info.name!r} made with"
                f" {name}={info.options[name]!r}, not {value!r}; choose another directory"
            )


def _check_source(info: dataset_info.DatasetInfo, source_dir: str | None, dataset_dir: str) -> None:
    """Refuses a dataset whose folder of pictures has others by now."""
    if not info.source_files or source_dir is None or not os.path.isdir(source_dir):
        return
    found = folder_files.summary(source_dir)
    if found != info.source_files:
        raise _checks.UserError(
            f"source_dir={source_dir!r} has changed: it has {found['count']} files,"
            f" dataset_dir={dataset_dir!r} was made of {info.source_files['count']} and not of"
            f" the same; remove {dataset_dir!r} to convert anew, or choose another directory"
        )
