"""Visual Wake Words: photographs of COCO 2014, labelled by whether they show a person.

A. Chowdhery et al. (2019), Visual Wake Words Dataset, https://arxiv.org/abs/1906.05721. Label 1: an
object of the class of interest takes more than a share of the picture's area; label 0: none does.
"""

import mmap
import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, TypedDict

import msgspec
import numpy as np

from datasets import (
    archives,
    conversion,
    dataset_factory,
    dataset_info,
    download,
    image_dataset,
    images,
    sources,
    tfrecords,
)
from slim import _checks, _files, _json
from slim.data import dataset

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


class _Picture(TypedDict):
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
    """What is read of an annotation file of COCO."""

    images: list[_Picture]
    categories: list[_Category]
    annotations: list[_Object]


def get_split(
    split_name: str, dataset_dir: str, file_pattern: str | None = None
) -> dataset.Dataset:
    """Returns the split "train" (82,783 images) or "val" (40,504).

    Args:
      split_name: the split.
      dataset_dir: where `convert`, or the original's script, wrote.
      file_pattern: other file names; `%s` stands for the split.

    Raises:
      UserError: if the split or the directory is not there, or a shard is missing or damaged.
    """
    facts = dataset_factory.get_facts("visualwakewords", split_name, dataset_dir, file_pattern)
    return image_dataset.from_facts(facts, 3, "object/bbox")


def convert(
    dataset_dir: str,
    *,
    source_dir: str | None = None,
    small_object_area_threshold: float = 0.005,
    foreground_class_of_interest: str = "person",
    on_bad_image: str = "error",
    max_pixels: int = images.MAX_PIXELS,
) -> dataset_info.DatasetInfo:
    """Gets the three archives of COCO 2014, 20 GB, and writes 100 and 10 shards.

    Args:
      dataset_dir: made if it is not there.
      source_dir: a folder with the archives; without it, they are downloaded.
      small_object_area_threshold: objects of this share of the picture's area, or less, count not.
      foreground_class_of_interest: a category of COCO.
      on_bad_image: "error" or "skip"; see `conversion.run`.
      max_pixels: the most pixels of a picture.

    Raises:
      UserError: if a directory cannot be used, `source_dir` lacks an archive, the category is not
        known, or pictures are bad and that is an error.
      RunError: if an archive cannot be had or is damaged, or a file cannot be written.
    """
    _checks.in_range(0, 1, small_object_area_threshold=small_object_area_threshold)
    with conversion.work_directory(dataset_dir) as work:
        paths = conversion.fetch("visualwakewords", FILES, dataset_dir, source_dir)
        folder = conversion.fresh_folder(work, "uncompressed")
        archives.extract(paths["annotations_trainval2014.zip"], folder, _ANNOTATION_LIMITS)
        splits = {}
        for split, count in NUM_SHARDS.items():
            annotations = _read_annotations(
                os.path.join(folder, "annotations", f"instances_{split}2014.json")
            )
            boxes = find_boxes(
                annotations, small_object_area_threshold, foreground_class_of_interest
            )
            items = _items(annotations["images"], boxes, paths[f"{split}2014.zip"], split)
            splits[split] = conversion.Split(
                items=items,
                shard_name=f"{split}.record-{{shard:05d}}-of-{{count:05d}}",
                num_shards=count,
            )
        plan = conversion.Plan(
            name="visualwakewords",
            classes=("background", foreground_class_of_interest),
            num_channels=3,
            splits=splits,
            inputs=conversion.inputs_of(paths.values()),
            source="https://cocodataset.org",
            attribution="COCO 2014: T.-Y. Lin et al., Microsoft COCO, annotations CC BY 4.0;"
            " photographs under the licences of their authors on Flickr",
            options={
                "small_object_area_threshold": small_object_area_threshold,
                "foreground_class_of_interest": foreground_class_of_interest,
            },
            upright=False,
            jpeg_only=True,
            sha256="image/key/sha256",
            features=features,
        )
        return conversion.run(
            plan, dataset_dir, work, on_bad_image=on_bad_image, max_pixels=max_pixels
        )


def find_boxes(
    annotations: Annotations, threshold: float, category: str
) -> dict[int, list[tuple[float, ...]]]:
    """Returns id of a picture -> left, top, width, height and area, in pixels, of each object in it
    that counts; pictures without are left out.

    Args:
      annotations: of COCO: "images", "categories" and "annotations".
      threshold: share of the picture's area that an object has to exceed.
      category: what is looked for.

    Raises:
      UserError: if there is no such category.
    """
    ids = {each["name"]: each["id"] for each in annotations["categories"]}
    wanted = ids[_checks.one_of("foreground_class_of_interest", category, ids)]
    areas = {image["id"]: image["height"] * image["width"] for image in annotations["images"]}
    found = defaultdict(list)
    for each in annotations["annotations"]:
        area = areas.get(each["image_id"])
        if each["category_id"] == wanted and area and each["area"] / area > threshold:
            found[each["image_id"]].append((*each["bbox"], each["area"]))
    return dict(found)


def _items(
    pictures: list[_Picture],
    boxes: dict[int, list[tuple[float, ...]]],
    archive: str,
    split: str,
) -> list[conversion.Item]:
    members = set(archives.list_zip(archive, _IMAGE_LIMITS))
    missing = [
        each["file_name"] for each in pictures if f"{split}2014/{each['file_name']}" not in members
    ]
    if missing:
        raise _checks.RunError(
            f"{archive} lacks {len(missing)} of {len(pictures)} pictures that the annotations name,"
            f" such as {missing[0]}"
        )
    return [
        conversion.Item(
            sources.ZipSource(archive, f"{split}2014/{each['file_name']}"),
            int(each["id"] in boxes),
            each["file_name"],
            extra=(each["id"], each["height"], each["width"], boxes.get(each["id"], ())),
        )
        for each in pictures
    ]


def features(
    source_id: int, height: int, width: int, objects: Sequence[tuple[float, ...]]
) -> dict[str, tfrecords.Value]:
    """Returns the further features of a record, as the original's script writes them.

    Args:
      source_id: COCO's number of the picture.
      height: of the picture, in pixels.
      width: of the picture, in pixels.
      objects: left, top, width, height and area of each, in pixels.
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
    # By a schema, for the outlines that are skipped so are most of 450 MB; mapped, not read.
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
            f"{os.path.basename(path)} of the archive of annotations cannot be used:"
            f" {_json.printable(str(error))[:200]}"
        ) from error
