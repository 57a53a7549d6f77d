"""Options of prediction."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.model import ModelOptions
from classifier.config.options import Options, option, required
from classifier.config.problems import Problem, named
from classifier.config.workers import (
    clone_on_cpu_option,
    idle_clones,
    num_clones_option,
    split_cpu_option,
)

OUTPUT_FORMATS = ("text", "csv", "json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionOptions(Options):
    """Prediction."""

    checkpoint_path: str = required(
        "Checkpoint, or directory of a run (its newest checkpoint is used), or exported model: a"
        " frozen .pb, the directory of a SavedModel, .tflite, .onnx, .xml (OpenVINO) or .keras.",
        path="model",
        aliases=("model",),
    )
    images: tuple[str, ...] = option(
        (),
        "Image, directory of images, which is searched recursively, or pattern such as 'a/*.png';"
        " '-' reads the paths from standard input, one per line. May be repeated. The flag's name"
        " may be omitted.",
        path="images",
        positional=True,
        repeated=True,
    )
    image_list: str | None = option(
        None, "Text file with the path of one image per line. Default: none.", path="file"
    )
    max_pixels: int = max_pixels_option()
    top_k: int = option(
        5, "Number of classes, or of neighbors, to show per image.", check=bounds.positive
    )
    batch_size: int = option(32, "Batch size, over all clones.", check=bounds.positive)
    num_clones: int = num_clones_option(
        "to classify on in parallel, each its part of a batch. Needs a checkpoint"
    )
    clone_on_cpu: bool = clone_on_cpu_option("Classify")
    split_cpu: int = split_cpu_option()
    num_preprocessing_threads: int | None = option(
        None,
        "Number of images to read and decode in parallel. Default: the number of cores.",
        check=bounds.positive,
    )
    output_format: str = option(
        "text",
        "Format of the output: a line of text per image, CSV with a row per class, or JSON with an"
        " object per line and image.",
        choices=OUTPUT_FORMATS,
    )
    output_csv: str | None = option(
        None,
        "File to write the predictions to as well, as CSV. Default: none.",
        path="new_file",
    )
    explain_dir: str | None = option(
        None,
        "Directory to write a heat map over each image to, which shows the parts that speak for the"
        " most probable class (Grad-CAM). Default: none.",
        path="new_directory",
    )
    explain_end_point: str | None = option(
        None,
        "End point of the network that --explain_dir shows. Default: the last one with a height and"
        " a width.",
    )
    features: str | None = option(
        None,
        "End point of the network, such as global_pool, whose values to write to --features_file."
        " Needs a checkpoint. Default: none.",
    )
    features_file: str | None = option(
        None,
        "NumPy file (.npz) to write --features to: features, a row per image, and files."
        " Default: none.",
        path="new_file",
    )
    neighbors: str | None = option(
        None,
        "Directory of a dataset: show the images there whose features (input of the last layer) are"
        " most similar, by cosine, instead of classes. Needs a checkpoint. Default: none.",
        path="directory",
    )
    neighbors_split: str = option("train", "Split of the dataset of --neighbors.")

    def conflicts(self) -> Iterator[Problem]:
        """Yields that there are no images, and options without effect."""
        if not self.images and self.image_list is None:
            yield Problem("{} or {} is required", named("images"), named("image_list"))
        features, neighbors = named("features"), named("neighbors")
        if (self.features is None) != (self.features_file is None):
            yield Problem("{} and {} need each other", features, named("features_file"))
        if self.features is not None and self.neighbors is not None:
            yield Problem("{} and {} are mutually exclusive", features, neighbors)
        if self.neighbors is None and self.neighbors_split != "train":
            yield Problem("{} needs {}", named("neighbors_split"), neighbors)
        yield from idle_clones(self.num_clones, self.batch_size)
        for name in ("explain_dir", "neighbors") if self.is_changed("num_clones") else ():
            if self.is_changed(name):
                yield Problem("{} and {} are mutually exclusive", named("num_clones"), named(name))
        if self.explain_end_point is not None and self.explain_dir is None:
            yield Problem(
                "{} has no effect without {}",
                named("explain_end_point", self.explain_end_point),
                named("explain_dir"),
            )
        if self.explain_dir is not None and self.neighbors is not None:
            yield Problem("{} and {} are mutually exclusive", named("explain_dir"), neighbors)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictedModelOptions(ModelOptions):
    """Model (default: from model_info.json next to the checkpoint)."""

    image_size: tuple[int, int] | None = option(
        None,
        "Image size in pixels. Default: the training image size.",
        check=bounds.sides,
        aliases=("eval_image_size",),
    )


@dataclasses.dataclass(frozen=True)
class PredictConfig:
    """Options of `predict_image_classifier.py`."""

    run: PredictionOptions
    model: PredictedModelOptions = PredictedModelOptions()
