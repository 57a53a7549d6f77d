"""Datasets of TensorFlow Datasets that have pictures and classes, as `tfds:NAME`.

Their encoded pictures pass as those of other datasets do: checked, and as they are where they can
be read.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from datasets import (
    conversion,
    dataset_factory,
    dataset_info,
    images,
    progress,
    sources,
)
from slim import _checks

_SHARD_BYTES = 64_000_000
_NO_LABEL = -1  # what TFDS gives where nobody knows


def convert(
    dataset_dir: str,
    *,
    name: str,
    source_dir: str | None = None,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Makes a dataset of one of TFDS; all of its splits, in its order.

    A split without labels (all are -1) is left out, and is told in the info's options.

    Args:
      dataset_dir: made if it is not there.
      name: TFDS's name, with configuration and version if need be: "name/config:1.0.0".
      source_dir: TFDS's `data_dir`, where it is prepared or will be; None for TFDS's own.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: the most pixels of a picture.

    Raises:
      UserError: if the extra is not installed, there is no such dataset, it has no picture or no
        class, or pictures are bad and that is an error.
      RunError: if TFDS cannot prepare it, or a file cannot be written.
    """
    builder = _prepared(name, source_dir)
    num_channels, classes = _features(name, builder.info.features)
    with conversion.work_directory(dataset_dir) as work:
        folder = conversion.fresh_folder(work, "tfds")
        found = {split: _extract(builder, split, folder) for split in builder.info.splits}
        labelled = {
            split: items
            for split, items in found.items()
            if any(item.label != _NO_LABEL for item in items)
        }
        _check_labels(name, labelled, len(classes))
        plan = conversion.Plan(
            name=dataset_factory.TFDS_PREFIX + name,
            classes=classes,
            num_channels=num_channels,
            splits={split: _split(name, split, items) for split, items in labelled.items()},
            inputs=[builder.info.full_name],
            source=f"https://www.tensorflow.org/datasets/catalog/{builder.name}",
            attribution=" ".join(builder.info.citation.split()),
            options={
                **({"source_dir": os.path.abspath(source_dir)} if source_dir else {}),
                "tfds": builder.info.full_name,
                "unlabelled_splits": sorted(set(found) - set(labelled)),
            },
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def _prepared(name: str, source_dir: str | None) -> Any:
    """Returns the builder of a dataset that lies on the disk."""
    dataset_factory.check_convertible(dataset_factory.TFDS_PREFIX + name)
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=source_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as error:
        near = _checks.suggest(name, tfds.list_builders())
        reason = str(error).strip().partition("\n")[0]
        raise _checks.UserError(
            f"TFDS has no dataset {name!r}{near or '.'} It says: {reason}"
        ) from error
    try:
        builder.download_and_prepare()
    except Exception as error:  # of the network, an archive or the dataset's own code
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _checks.RunError(f"TFDS cannot prepare {name!r}: {reason}") from error
    return builder


def _features(name: str, features: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """Returns the channels of the pictures and the names of the classes."""
    import tensorflow_datasets as tfds

    found = {key: features[key] for key in features}
    image, label = found.get("image"), found.get("label")
    kinds = tfds.features
    if not isinstance(image, kinds.Image) or not isinstance(label, kinds.ClassLabel):
        raise _checks.UserError(
            f"TFDS's {name!r} is not for classification of images: it needs the features image (an"
            f" Image) and label (a ClassLabel), and has {_checks.listed(features)}"
        )
    if np.dtype(image.np_dtype) not in (np.uint8, np.uint16):
        raise _checks.UserError(
            f"The pictures of TFDS's {name!r} are of {image.np_dtype}, not uint8 or uint16"
        )
    return (1 if image.shape[-1] == 1 else 3), tuple(label.names)


def _extract(builder: Any, split: str, folder: str) -> list[conversion.Item]:
    """Copies the encoded pictures of a split into one file, of which workers can read parts."""
    path = os.path.join(folder, f"{split}.pictures")
    items = []
    total = builder.info.splits[split].num_examples
    with open(path, "wb") as file, progress.bar(total, "img", f"{split} of TFDS") as bar:
        for number, (encoded, label) in enumerate(_examples(builder, split)):
            source = sources.RangeSource(path, file.tell(), len(encoded), f"{split} {number}")
            items.append(conversion.Item(source, label))
            file.write(encoded)
            bar.update()
    return items


def _examples(builder: Any, split: str) -> Iterator[tuple[bytes, int]]:
    import tensorflow_datasets as tfds

    decoders = tfds.decode.PartialDecoding(
        {"image": True, "label": True}, decoders={"image": tfds.decode.SkipDecoding()}
    )
    examples = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
    for example in examples:
        yield example["image"].numpy(), int(example["label"])


def _check_labels(name: str, splits: Mapping[str, list[conversion.Item]], num_classes: int) -> None:
    for split, items in splits.items():
        wrong = [item for item in items if not 0 <= item.label < num_classes]
        if wrong:
            raise _checks.UserError(
                f"TFDS's {name!r}: {len(wrong)} of {len(items)} examples of split {split!r} have a"
                f" label outside 0..{num_classes - 1}, such as {wrong[0].label}"
            )


def _split(name: str, split: str, items: list[conversion.Item]) -> conversion.Split:
    total = sum(item.source.size for item in items)
    stem = dataset_factory.file_stem(name)
    return conversion.Split(
        items=items,
        shard_name=f"{stem}_{split}-{{shard:05d}}-of-{{count:05d}}.tfrecord",
        num_shards=-(-total // _SHARD_BYTES),
    )
