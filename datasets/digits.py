"""1,797 real handwritten digits, included in the project: the default dataset, without a download.

E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, CC BY 4.0. The images of 8 x 8 pixels with 17 gray
levels are enlarged to MNIST's layout: the digit in a box of 20 x 20, centered in 28 x 28, white on
black.
"""

import csv
import functools
import gzip
import io
import itertools
import os

import numpy as np
import PIL.Image

from datasets import dataset_factory, dataset_info, splits, tfrecords
from slim import _ownership, _paths

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPLIT_SEED = 0
NUM_VALIDATION = 360
NUM_SHARDS = {"train": 2, "validation": 1}

_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "embedded", "optdigits.csv.gz")
_SIDE, _BOX_SIDE, _SOURCE_SIDE, _SOURCE_MAX = 28, 20, 8, 16

get_split = functools.partial(dataset_factory.get_dataset, "digits")


def convert(dataset_dir: str) -> dataset_info.DatasetInfo:
    """Writes the shards, labels.txt, ten sample images (`samples/`) and, last, dataset_info.json.

    Args:
      dataset_dir: output directory; created if it does not exist.

    Returns:
      a description of the dataset.

    Raises:
      UserError: if the directory is a file or cannot be written.
      RunError: if no space is left on the disk.
    """
    tfrecords.prepare_directory(dataset_dir)
    images = read_images()
    indices = splits.stratified_split([image.label for image in images], NUM_VALIDATION, SPLIT_SEED)
    parts = {
        name: [images[index] for index in part]
        for name, part in zip(NUM_SHARDS, indices, strict=True)
    }
    info = dataset_info.DatasetInfo(
        name="digits",
        classes=CLASSES,
        num_channels=1,
        splits={
            name: tfrecords.write_split(
                part,
                dataset_dir=dataset_dir,
                dataset_name="digits",
                split_name=name,
                num_classes=len(CLASSES),
                num_shards=NUM_SHARDS[name],
            )
            for name, part in parts.items()
        },
        source="https://doi.org/10.24432/C50P49",
        attribution="E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits,"
        " UCI Machine Learning Repository, CC BY 4.0; enlarged to 28 x 28",
    )
    write_samples(parts["validation"], os.path.join(dataset_dir, "samples"))
    dataset_info.write_label_file(info.labels_to_names, dataset_dir)
    dataset_info.write(info, dataset_dir)
    return info


def read_images(count: int | None = None) -> list[tfrecords.ImageRecord]:
    """Returns the first `count` of the 1,797 digits, or all, as PNG images of 28 x 28."""
    images = []
    with gzip.open(_SOURCE, "rt", newline="") as file:
        for row, values in enumerate(itertools.islice(csv.reader(file), count)):
            *pixels, label = map(int, values)
            small = np.reshape(np.array(pixels, np.float32), (_SOURCE_SIDE, _SOURCE_SIDE))
            name = f"{row:04d}_{CLASSES[label]}.png"
            images.append(
                tfrecords.ImageRecord(_png(enlarge(small)), "png", _SIDE, _SIDE, label, name)
            )
    return images


def enlarge(small: np.ndarray) -> np.ndarray:
    """Returns a uint8 image [28, 28] from a float image [8, 8] with values 0 to 16."""
    scaled = PIL.Image.fromarray(small * np.float32(255 / _SOURCE_MAX))
    box = np.asarray(scaled.resize((_BOX_SIDE, _BOX_SIDE), PIL.Image.Resampling.BICUBIC))
    margin = (_SIDE - _BOX_SIDE) // 2
    # Bicubic interpolation overshoots black and white at edges.
    return np.pad(np.clip(np.rint(box), 0, 255).astype(np.uint8), margin)


def write_samples(images: list[tfrecords.ImageRecord], directory: str) -> list[str]:
    """Writes the first image of each class to a file named after the class, such as 7_seven.png.

    Returns:
      the paths.

    Raises:
      UserError: if the directory or a file is a link, or anything else that slim does not create.
    """
    parent, base = os.path.split(os.path.abspath(directory))
    _ownership.check_entries(parent, files=(), directories=(base,))
    os.makedirs(directory, exist_ok=True)
    paths = []
    for label, name in enumerate(CLASSES):
        image = next(image for image in images if image.label == label)
        paths.append(os.path.join(directory, f"{label}_{name}.png"))
        _paths.write_atomically(paths[-1], image.encoded)
    return paths


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
