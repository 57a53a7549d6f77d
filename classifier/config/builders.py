"""Options of the programs in `datasets/` that TF-Slim's users call one by one."""

import dataclasses

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.options import Options, option, required


@dataclasses.dataclass(frozen=True, kw_only=True)
class _BuildOptions(Options):
    on_bad_image: str = option(
        "error",
        "What to do when a file is not a valid image or a class has no images: error aborts before"
        " anything is converted; skip excludes it.",
        choices=("error", "skip"),
    )
    max_pixels: int = max_pixels_option()


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisualWakeWordsConfig(_BuildOptions):
    """Visual Wake Words."""

    train_image_dir: str = required("Directory with the training images.", path="directory")
    val_image_dir: str = required("Directory with the validation images.", path="directory")
    train_annotations_file: str = required(
        "COCO's annotations of the training images, JSON.", path="file"
    )
    val_annotations_file: str = required(
        "COCO's annotations of the validation images, JSON.", path="file"
    )
    output_dir: str = required("Directory to write the dataset to.", path="new_dataset")
    small_object_area_threshold: float = option(
        0.005,
        "Minimum area of an object to count, as a fraction of the image's area, 0 to 1.",
        check=bounds.fraction,
    )
    foreground_class_of_interest: str = option("person", "COCO category to recognize.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageNetConfig(_BuildOptions):
    """ImageNet."""

    train_directory: str = required(
        "Directory with the training images, <id>/*.JPEG.", path="directory"
    )
    validation_directory: str = required(
        "Directory with the validation images, <id>/*.JPEG.", path="directory"
    )
    output_directory: str = required("Directory to write the dataset to.", path="new_dataset")
    train_shards: int = option(1024, "Maximum number of training shards.", check=bounds.positive)
    validation_shards: int = option(
        128, "Maximum number of validation shards.", check=bounds.positive
    )
    num_threads: int | None = option(
        None,
        "Number of processes that prepare images. Default: chosen automatically.",
        check=bounds.positive,
        tf_slim=8,
    )
    labels_file: str = option(
        "imagenet_lsvrc_2015_synsets.txt",
        "Ids of the classes, one per line; the number of the line is the label.",
        path="file",
    )
    imagenet_metadata_file: str = option(
        "imagenet_metadata.txt", "Id and name of each class, one class per line.", path="file"
    )
    bounding_box_file: str = option(
        "./imagenet_2012_bounding_boxes.csv",
        "Bounding boxes, written by process_bounding_boxes.py.",
        path="file",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationImagesConfig(Options):
    """Validation images of ImageNet."""

    data_dir: str = required(
        "Directory of the images, ILSVRC2012_val_00000001.JPEG etc.",
        path="directory",
        positional=True,
    )
    labels_file: str = required(
        "Class id of each image, one per line.", path="file", positional=True
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoundingBoxesConfig(Options):
    """Boxes of ImageNet."""

    xml_dir: str = required(
        "Directory with the annotations, <id>/*.xml.", path="directory", positional=True
    )
    synsets_file: str | None = option(
        None,
        "Ids of the classes whose boxes to print, one per line. Default: all.",
        path="file",
        positional=True,
    )
