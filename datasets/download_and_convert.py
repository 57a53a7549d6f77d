"""Makes a dataset: what `download_and_convert_data.py` calls.

TensorFlow is loaded when the conversion starts.
"""

import importlib
import os
from collections.abc import Callable

from datasets import dataset_factory, dataset_info
from slim import _checks

Converter = Callable[[str], dataset_info.DatasetInfo]


def convert(
    dataset_name: str, dataset_dir: str, report: Callable[[str], object] = print
) -> dataset_info.DatasetInfo:
    """Converts a dataset to TFRecords, unless the directory already holds it.

    Args:
      dataset_name: a name of `dataset_factory.DATASETS`.
      dataset_dir: where to write; made if it is not there.
      report: takes each line about what was done.

    Returns:
      what the directory holds.

    Raises:
      UserError: if the name is not known, the directory cannot be written or holds another dataset.
      RunError: if writing failed.
    """
    spec = dataset_factory.get_spec(dataset_name)
    if os.path.exists(dataset_dir) and not os.path.isdir(dataset_dir):
        raise _checks.UserError(f"dataset_dir={dataset_dir!r} is a file; a directory is needed")
    info = dataset_info.read_complete(dataset_dir)
    if info is not None:
        if info.name != dataset_name:
            raise _checks.UserError(
                f"dataset_dir={dataset_dir!r} holds the dataset {info.name!r},"
                f" not {dataset_name!r}; choose another directory"
            )
        report(f"{dataset_dir} is already complete: {_summary(info)}")
        return info
    converter: Converter = importlib.import_module(spec.module).convert
    try:
        info = converter(dataset_dir)
    except OSError as error:
        raise _checks.RunError(f"{dataset_dir} could not be written: {error}") from error
    report(f"Wrote {info.name} to {dataset_dir}: {_summary(info)}")
    for name, split in info.splits.items():
        size = sum(shard.bytes for shard in split.shards)
        files = ", ".join(shard.file for shard in split.shards)
        report(f"  {name}: {split.num_samples} images, {size / 1e6:.1f} MB in {files}")
    report(f"  {dataset_info.LABELS_FILE_NAME}, {dataset_info.FILE_NAME}")
    if os.path.isdir(os.path.join(dataset_dir, "samples")):
        report(f"  pictures to try: {os.path.join(dataset_dir, 'samples')}")
    if info.attribution:
        report(f"  {info.attribution}")
    return info


def _summary(info: dataset_info.DatasetInfo) -> str:
    splits = ", ".join(f"{split.num_samples} {name}" for name, split in info.splits.items())
    return f"{splits} images of {len(info.classes)} classes"
