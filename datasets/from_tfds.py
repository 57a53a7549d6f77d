"""Image classification datasets of TensorFlow Datasets (TFDS), as `tfds:NAME`.

Their encoded images are checked, and copied unchanged where possible, as in other datasets.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from datasets import conversion, dataset_factory, dataset_info, images, progress, sources
from slim import _checks

_SHARD_BYTES = 64_000_000
_NO_LABEL = -1  # TFDS's label of an unlabeled example


def convert(
    dataset_dir: str,
    *,
    name: str,
    source_dir: str | None = None,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Converts all splits of a TFDS dataset, in its order.

    A split without labels (all are -1) is skipped and listed in the options of the result.

    Args:
      dataset_dir: output directory; created if it does not exist.
      name: TFDS's name, optionally with configuration and version: "name/config:1.0.0".
      source_dir: TFDS's `data_dir`; the dataset is prepared in it if needed. Default: TFDS's own.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: maximum number of pixels in an image.

    Raises:
      UserError: if TFDS is not installed, has no such dataset, the dataset has no images or no
        classes, or images are bad and `on_bad_image` is "error".
      RunError: if TFDS cannot prepare the dataset, or a file cannot be written.
    """
    builder = _prepared(name, source_dir)
    num_channels, classes = _features(name, builder.info.features)
    with conversion.work_directory(dataset_dir) as work:
        extracted = conversion.fresh_directory(work, "tfds")
        splits = {split: _extract(builder, split, extracted) for split in builder.info.splits}
        labeled = {
            split: items
            for split, items in splits.items()
            if any(item.label != _NO_LABEL for item in items)
        }
        _check_labels(name, labeled, len(classes))
        plan = conversion.Plan(
            name=dataset_factory.TFDS_PREFIX + name,
            classes=classes,
            num_channels=num_channels,
            splits={split: _split(name, split, items) for split, items in labeled.items()},
            inputs=[builder.info.full_name],
            source=f"https://www.tensorflow.org/datasets/catalog/{builder.name}",
            attribution=" ".join(builder.info.citation.split()),
            options={
                **({"source_dir": os.path.abspath(source_dir)} if source_dir else {}),
                "tfds": builder.info.full_name,
                "unlabelled_splits": sorted(set(splits) - set(labeled)),
            },
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def _prepared(name: str, source_dir: str | None) -> Any:
    """Returns the builder of a dataset after preparing it on disk."""
    dataset_factory.check_convertible(dataset_factory.TFDS_PREFIX + name)
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=source_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as error:
        hint = _checks.suggest(name, tfds.list_builders())
        reason = str(error).strip().partition("\n")[0]
        raise _checks.UserError(
            f"TFDS has no dataset {name!r}{hint or '.'} Its error: {reason}"
        ) from error
    try:
        builder.download_and_prepare()
    except Exception as error:  # network, archive, or the dataset's own code
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _checks.RunError(f"TFDS cannot prepare {name!r}: {reason}") from error
    return builder


def _features(name: str, features: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """Returns the number of image channels and the class names."""
    import tensorflow_datasets as tfds

    image, label = (dict(features.items()).get(key) for key in ("image", "label"))
    kinds = tfds.features
    if not isinstance(image, kinds.Image) or not isinstance(label, kinds.ClassLabel):
        raise _checks.UserError(
            f"TFDS's {name!r} is not an image classification dataset: it has the features"
            f" {_checks.listed(features)}. Required: image (an Image) and label (a ClassLabel)"
        )
    if np.dtype(image.np_dtype) not in (np.uint8, np.uint16):
        raise _checks.UserError(
            f"Images of TFDS's {name!r} have dtype {image.np_dtype}. Allowed: uint8, uint16"
        )
    return (1 if image.shape[-1] == 1 else 3), tuple(label.names)


def _extract(builder: Any, split: str, directory: str) -> list[conversion.Item]:
    """Copies a split's encoded images into one file, from which workers read ranges."""
    path = os.path.join(directory, f"{split}.images")
    items = []
    total = builder.info.splits[split].num_examples
    with open(path, "wb") as file, progress.bar(total, "img", f"TFDS {split}") as bar:
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
        invalid = [item.label for item in items if not 0 <= item.label < num_classes]
        if invalid:
            raise _checks.UserError(
                f"TFDS's {name!r}: {len(invalid)} of {len(items)} examples of split {split!r} have"
                f" a label outside 0..{num_classes - 1}, such as {invalid[0]}"
            )


def _split(name: str, split: str, items: list[conversion.Item]) -> conversion.Split:
    total = sum(item.source.size for item in items)
    stem = dataset_factory.file_stem(name)
    return conversion.Split(
        items=items,
        shard_name=f"{stem}_{split}-{{shard:05d}}-of-{{count:05d}}.tfrecord",
        num_shards=-(-total // _SHARD_BYTES),
    )
