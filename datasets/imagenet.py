"""ImageNet (ILSVRC2012): 1,281,167 photographs for training and 50,000 for validation, in 1,000
classes, and boxes around some of the objects.

O. Russakovsky et al. (2015), ImageNet Large Scale Visual Recognition Challenge. Label 0 is the
background, which no picture has; the classes follow in the order of their WordNet ids.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from datasets import (
    conversion,
    dataset_factory,
    dataset_info,
    image_dataset,
    imagenet_sources,
    images,
    tfrecords,
)
from slim import _checks
from slim.data import dataset

NUM_SHARDS = {"train": 1024, "validation": 128}
_SEED = 12345


def get_split(
    split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> dataset.Dataset:
    """Returns the split "train" (1,281,167 images) or "validation" (50,000), with 1,001 classes.

    Args:
      split_name: the split.
      dataset_dir: where `convert`, or the original's script, wrote.
      file_pattern: other file names; `%s` stands for the split.

    Raises:
      UserError: if the split or the directory is not there, or a shard is missing or damaged.
    """
    facts = dataset_factory.get_facts("imagenet", split_name, dataset_dir, file_pattern)
    return image_dataset.from_facts(facts, 3, "label_text", "object/bbox", "object/label")


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Writes 1024 and 128 shards of what was fetched from image-net.org.

    Args:
      dataset_dir: made if it is not there.
      source_dir: a folder with the archives, or with the folders of the classes; see
        `imagenet_sources`. Names and boxes are taken from what else is in it.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: the most pixels of a picture.

    Raises:
      UserError: if the folder has not got what is needed, or pictures are bad and that is an error.
      RunError: if an archive is damaged or a file cannot be written.
    """
    if source_dir is None:
        raise _checks.UserError(
            "dataset_name='imagenet' needs source_dir: ImageNet cannot be downloaded without an"
            " account at https://image-net.org"
        )
    found = imagenet_sources.find_pictures(source_dir)
    synsets = sorted({picture.synset for part in found.values() for picture in part})
    _check_splits(found)
    names = imagenet_sources.read_names(source_dir, synsets)
    boxes = imagenet_sources.read_boxes(
        source_dir,
        {p.filename.removesuffix(".JPEG"): p.synset for part in found.values() for p in part},
    )
    labels = {synset: label for label, synset in enumerate(synsets, 1)}
    with conversion.work_directory(dataset_dir, source_dir) as work:
        splits = {}
        for split, pictures in found.items():
            items = [
                conversion.Item(
                    source,
                    labels[synset],
                    filename,
                    extra=(
                        labels[synset],
                        synset,
                        names[synset],
                        boxes.get(filename.removesuffix(".JPEG"), ()),
                    ),
                )
                for source, synset, filename in pictures
            ]
            splits[split] = conversion.Split(
                items=conversion.shuffled(items, _SEED),
                shard_name=f"{split}-{{shard:05d}}-of-{{count:05d}}",
                num_shards=NUM_SHARDS[split],
            )
        paths = sorted({picture.source.path for part in found.values() for picture in part})
        plan = conversion.Plan(
            name="imagenet",
            classes=["background", *_distinct(names)],
            num_channels=3,
            splits=splits,
            inputs=conversion.inputs_of(paths),
            formats={"jpeg": "JPEG"},
            source="https://image-net.org",
            attribution="ImageNet (ILSVRC2012): O. Russakovsky et al. (2015); for non-commercial"
            " research and education, under the terms of access of image-net.org",
            background=True,
            upright=False,
            jpeg_only=True,
            features=features,
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def features(
    label: int, synset: str, text: str, boxes: Sequence[imagenet_sources.Box]
) -> dict[str, tfrecords.Value]:
    """Returns the further features of a record, as the original's script writes them."""
    return {
        "image/colorspace": "RGB",
        "image/channels": 3,
        "image/class/synset": synset,
        "image/class/text": text,
        **tfrecords.box_features(boxes),
        "image/object/bbox/label": np.full(len(boxes), label, np.int64),
    }


def _check_splits(found: Mapping[str, Sequence[imagenet_sources.Picture]]) -> None:
    classes = {split: {picture.synset for picture in part} for split, part in found.items()}
    for split, theirs in classes.items():
        extra = sorted(theirs - classes.get("train", theirs))
        if extra:
            raise _checks.UserError(
                f"Split {split!r} has classes that 'train' has not: {_checks.listed(extra, most=5)}"
            )


def _distinct(names: Mapping[str, str]) -> list[str]:
    """Returns the names in their order; equal ones, as two are "crane", with the id."""
    counts = Counter(names.values())
    return [name if counts[name] == 1 else f"{name} ({synset})" for synset, name in names.items()]
