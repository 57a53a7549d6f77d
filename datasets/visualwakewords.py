"""Visual Wake Words: photographs from COCO 2014, labeled by whether they show a person.

A. Chowdhery et al. (2019), Visual Wake Words Dataset, https://arxiv.org/abs/1906.05721. Label 1: an
object of the class of interest covers more than a given fraction of the image; label 0: none does.
"""

import functools
import mmap
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np

from datasets import (
    archives,
    conversion,
    dataset_factory,
    dataset_info,
    download,
    images,
    sources,
    tfrecords,
)
from slim import _checks, _files, _json, _ownership

_PLACE = "http://images.cocodataset.org/"
FILES = (
    download.RemoteFile(
        "train2014.zip",
        (f"{_PLACE}zips/train2014.zip",),
        13_510_573_713,
        "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
    ),
    download.RemoteFile(
        "val2014.zip",
        (f"{_PLACE}zips/val2014.zip",),
        6_645_013_297,
        "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
    ),
    download.RemoteFile(
        "annotations_trainval2014.zip",
        (f"{_PLACE}annotations/annotations_trainval2014.zip",),
        252_872_794,
        "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
    ),
)
NUM_SHARDS = {"train": 100, "val": 10}
_IMAGE_LIMITS = archives.Limits(members=100_000, bytes=50_000_000_000)
_ANNOTATION_LIMITS = archives.Limits(members=100, bytes=4_000_000_000)

_Id = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
_Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]


class _Image(TypedDict):
    id: _Id
    height: _Side
    width: _Side
    file_name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class _Category(TypedDict):
    id: _Id
    name: str


class _Object(TypedDict):
    image_id: _Id
    category_id: _Id
    area: float
    bbox: tuple[float, float, float, float]


class Annotations(TypedDict):
    """The part of a COCO annotation file that is read."""

    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Object]


get_split = functools.partial(dataset_factory.get_dataset, "visualwakewords")


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    small_object_area_threshold: float = 0.005,
    foreground_class_of_interest: str = "person",
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Downloads three archives of COCO 2014 (20 GB) and writes 100 and 10 shards.

    Args:
      dataset_dir: output directory; created if it does not exist.
      source_dir: directory with the archives; default: they are downloaded.
      small_object_area_threshold: ignores objects that cover at most this fraction of the image.
      foreground_class_of_interest: a COCO category.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: maximum number of pixels in an image.

    Raises:
      UserError: if a directory cannot be used, `source_dir` lacks an archive, the category is not
        known, or images are bad and `on_bad_image` is "error".
      RunError: if an archive cannot be downloaded or is damaged, or a file cannot be written.
    """
    options = {
        "small_object_area_threshold": small_object_area_threshold,
        "foreground_class_of_interest": foreground_class_of_interest,
    }
    with conversion.work_directory(dataset_dir) as work:
        paths = conversion.fetch("visualwakewords", FILES, dataset_dir, source_dir)
        extracted = conversion.fresh_directory(work, "uncompressed")
        archives.extract(paths["annotations_trainval2014.zip"], extracted, _ANNOTATION_LIMITS)
        splits = {}
        for split in NUM_SHARDS:
            archive = paths[f"{split}2014.zip"]
            members = {
                os.path.basename(member): sources.ZipSource(archive, member)
                for member in archives.list_zip(archive, _IMAGE_LIMITS)
                if os.path.dirname(member) == f"{split}2014"
            }
            annotations = os.path.join(extracted, "annotations", f"instances_{split}2014.json")
            splits[split] = _split(split, archive, members, annotations, **options)
        plan = _plan(splits, conversion.inputs_of(paths.values()), options)
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def build(
    dataset_dir: str,
    *,
    train_image_dir: str,
    val_image_dir: str,
    train_annotations_file: str,
    val_annotations_file: str,
    small_object_area_threshold: float = 0.005,
    foreground_class_of_interest: str = "person",
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Writes the dataset from unpacked images and annotations in COCO's format.

    Args:
      dataset_dir: output directory; created if it does not exist.
      train_image_dir: directory with the training images.
      val_image_dir: directory with the validation images.
      train_annotations_file: COCO's annotations of the training images.
      val_annotations_file: COCO's annotations of the validation images.
      small_object_area_threshold: as in `convert`.
      foreground_class_of_interest: as in `convert`.
      on_bad_image: as in `convert`.
      max_pixels: as in `convert`.

    Raises:
      UserError: if a directory cannot be used, the category is not known, or images are bad and
        `on_bad_image` is "error".
      RunError: if annotations cannot be read, images are missing, or a file cannot be written.
    """
    options = {
        "small_object_area_threshold": small_object_area_threshold,
        "foreground_class_of_interest": foreground_class_of_interest,
    }
    inputs = {
        "train": (train_image_dir, train_annotations_file),
        "val": (val_image_dir, val_annotations_file),
    }
    for directory, _ in inputs.values():
        _ownership.check_apart(dataset_dir=dataset_dir, source_dir=directory)
    with conversion.work_directory(dataset_dir) as work:
        splits = {
            split: _split(
                split,
                directory,
                {name: sources.FileSource(os.path.join(directory, name)) for name in files},
                annotations,
                **options,
            )
            for split, (directory, annotations) in inputs.items()
            for files in [os.listdir(directory)]
        }
        paths = [item.source.path for split in splits.values() for item in split.items]
        plan = _plan(splits, conversion.inputs_of(paths), options)
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def _plan(
    splits: Mapping[str, conversion.Split], inputs: Sequence[str], options: Mapping[str, Any]
) -> conversion.Plan:
    return conversion.Plan(
        name="visualwakewords",
        classes=("background", options["foreground_class_of_interest"]),
        num_channels=3,
        splits=splits,
        inputs=inputs,
        source="https://cocodataset.org",
        attribution="COCO 2014: T.-Y. Lin et al., Microsoft COCO, annotations CC BY 4.0;"
        " photographs under the licenses of their authors on Flickr",
        options=options,
        upright=False,
        jpeg_only=True,
        sha256="image/key/sha256",
        features=features,
    )


def find_boxes(
    annotations: Annotations, threshold: float, category: str
) -> dict[int, list[tuple[float, ...]]]:
    """Returns image id -> (left, top, width, height, area), in pixels, of its large enough objects.

    Images without such an object are not in the result.

    Args:
      annotations: content of a COCO annotation file.
      threshold: fraction of the image area that an object has to exceed.
      category: name of the objects' category.

    Raises:
      UserError: if COCO has no such category.
    """
    ids = {each["name"]: each["id"] for each in annotations["categories"]}
    category_id = ids[_checks.one_of("foreground_class_of_interest", category, ids)]
    areas = {image["id"]: image["height"] * image["width"] for image in annotations["images"]}
    boxes = defaultdict(list)
    for each in annotations["annotations"]:
        area = areas.get(each["image_id"])
        if each["category_id"] == category_id and area and each["area"] / area > threshold:
            boxes[each["image_id"]].append((*each["bbox"], each["area"]))
    return dict(boxes)


def _split(
    split: str,
    place: str,
    files: Mapping[str, sources.Source],
    annotations_file: str,
    small_object_area_threshold: float,
    foreground_class_of_interest: str,
) -> conversion.Split:
    """Returns a split; `place` is the archive or directory of the files, by name."""
    _checks.in_range(0, 1, small_object_area_threshold=small_object_area_threshold)
    annotations = _read_annotations(annotations_file)
    boxes = find_boxes(annotations, small_object_area_threshold, foreground_class_of_interest)
    names = [each["file_name"] for each in annotations["images"]]
    missing = [name for name in names if name not in files]
    if missing:
        raise _checks.RunError(
            f"{place} lacks {len(missing)} of the {len(names)} annotated images, such as"
            f" {missing[0]}. Download it again"
        )
    items = [
        conversion.Item(
            files[each["file_name"]],
            int(each["id"] in boxes),
            each["file_name"],
            extra=(each["id"], each["height"], each["width"], boxes.get(each["id"], ())),
        )
        for each in annotations["images"]
    ]
    return conversion.Split(
        items=items,
        shard_name=f"{split}.record-{{shard:05d}}-of-{{count:05d}}",
        num_shards=NUM_SHARDS[split],
    )


def features(
    source_id: int, height: int, width: int, objects: Sequence[tuple[float, ...]]
) -> dict[str, tfrecords.Value]:
    """Returns the further features of a record, as TF-Slim's converter writes them.

    Args:
      source_id: COCO's id of the image.
      height: image height in pixels.
      width: image width in pixels.
      objects: (left, top, width, height, area) of each object, in pixels.
    """
    boxes = [
        (x / width, y / height, (x + box_width) / width, (y + box_height) / height)
        for x, y, box_width, box_height, _ in objects
    ]
    return {
        "image/source_id": str(source_id),
        **tfrecords.box_features(boxes),
        "image/object/area": np.array([area for *_, area in objects], np.float32),
    }


def _read_annotations(path: str) -> Annotations:
    # The schema skips the outlines, which are most of 450 MB; the file is mapped, not read.
    try:
        with (
            _files.open_regular(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            annotations = msgspec.json.decode(content, type=Annotations)
        ids = {each["id"] for each in annotations["images"]}
        if len(ids) != len(annotations["images"]):
            raise ValueError("two images have the same id")
        return annotations
    except (OSError, ValueError, RecursionError) as error:
        raise _checks.RunError(
            f"The annotations {os.path.basename(path)} cannot be read:"
            f" {_json.printable(str(error))[:200]}. Download them again"
        ) from error
