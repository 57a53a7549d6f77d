"""The options of export."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.formats import FORMATS
from classifier.config.image_limits import max_pixels_option
from classifier.config.model import ModelOptions
from classifier.config.options import Options, option

INPUT_TYPES = ("float_image", "uint8_image", "encoded_image")
DEFAULT_FORMATS = ("frozen_pb", "saved_model")
_CHECKS = ("check_images", "max_drop", "calibration_images")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """Export: of a checkpoint to output_dir, or of a network without weights to output_file."""

    checkpoint_path: str | None = option(
        None,
        "Folder of a run (its newest checkpoint is taken) or one checkpoint.",
        path="checkpoint",
    )
    output_dir: str | None = option(
        None, "Folder to write the checkpoint's formats to.", path="new_folder"
    )
    formats: tuple[str, ...] | None = option(
        None, f"Formats to write; default: {','.join(DEFAULT_FORMATS)}.", choices=tuple(FORMATS)
    )
    check_images: int | None = option(
        None,
        "Real images that each format is compared with the checkpoint on; default: 16, and 100"
        " with a format of 8 bits.",
        check=bounds.positive,
    )
    max_drop: float | None = option(
        None,
        "Most that a quantized format may lose of the checkpoint's accuracy on these images, in"
        " percentage points; default: 1.",
        check=bounds.non_negative,
    )
    calibration_images: int | None = option(
        None,
        "Images of the training split that set the ranges of tflite_int8; default: 200.",
        check=bounds.positive,
    )
    input_type: str = option(
        "float_image",
        "What a frozen graph takes: preprocessed images, pictures of one size as uint8, or their"
        " JPEG or PNG files.",
        choices=INPUT_TYPES,
    )
    max_pixels: int = max_pixels_option()
    fold_batch_norm: bool = option(
        True, "Make batch norm a part of the convolutions before it, in the frozen formats."
    )
    final_endpoint: str | None = option(
        None,
        "End point of the network that a frozen graph gives, and nothing after it; default: the"
        " logits and the probabilities.",
    )
    license: str | None = option(
        None,
        "License of the model for its card, README.md, as Hugging Face writes it (apache-2.0,"
        " cc-by-4.0, ...); default: unknown.",
        check=bounds.license_name,
    )
    eval_json: str | None = option(
        None,
        "File that eval_image_classifier.py wrote of this checkpoint; its numbers go into the model"
        " card, in place of those of the run's own evaluation.",
    )
    output_file: str | None = option(
        None,
        "File to write a GraphDef without weights to, for TensorFlow's freeze_graph; without"
        " checkpoint_path.",
        path="new_file",
    )
    write_text_graphdef: bool = option(False, "Write output_file as text.")
    image_size: tuple[int, int] | None = option(
        None,
        "Size of the images, in pixels; default: that of training, or else the network's.",
        check=bounds.sides,
    )
    batch_size: int | None = option(
        None,
        "Images that the model takes at once; default: any number, and 1 for TFLite.",
        check=bounds.positive,
    )
    is_video_model: bool = option(False, "The network takes videos.")
    num_frames: int | None = option(
        None, "Frames of a video; default: any number.", check=bounds.positive
    )
    is_training: bool = option(False, "Refused: an export is for inference.")

    def conflicts(self) -> Iterator[str]:
        """Yields what does not go together."""
        if self.num_frames is not None and not self.is_video_model:
            yield "num_frames needs is_video_model"
        yield from self._without_weights() if self.checkpoint_path is None else self._trained()

    def _without_weights(self) -> Iterator[str]:
        if self.output_file is None:
            yield (
                "checkpoint_path with output_dir is required, or output_file for a graph without"
                " weights"
            )
        if self.output_file is not None and self.input_type != "float_image":
            yield "input_type needs checkpoint_path: output_file gets a graph for float_image"
        if self.output_file is not None and not self.fold_batch_norm:
            yield "fold_batch_norm=false needs checkpoint_path: without weights nothing is folded"
        needing = ("output_dir", "formats", "final_endpoint", "license", "eval_json", *_CHECKS)
        for name in needing:
            if self.output_file is not None and getattr(self, name) is not None:
                yield f"{name} needs checkpoint_path: output_file gets a graph without weights"

    def _trained(self) -> Iterator[str]:
        if self.output_file is not None:
            yield (
                "output_file gets a graph without weights: leave checkpoint_path out, or give"
                " output_dir instead"
            )
        elif self.output_dir is None:
            yield "output_dir is required with checkpoint_path"
        if self.final_endpoint is not None and self.formats != ("frozen_pb",):
            yield "final_endpoint needs formats=frozen_pb: the other formats give the classes"
        if "frozen_pb" not in (self.formats or DEFAULT_FORMATS):
            if self.input_type != "float_image":
                yield f"input_type={self.input_type} needs formats=frozen_pb"
            if not self.fold_batch_norm:
                yield "fold_batch_norm=false needs formats=frozen_pb"
        if self.write_text_graphdef:
            yield "write_text_graphdef is for output_file only; leave it out with checkpoint_path"
        wanted = [FORMATS[name] for name in self.formats or DEFAULT_FORMATS]
        if self.max_drop is not None and not any(each.quantized for each in wanted):
            yield "max_drop needs a quantized format, such as formats=tflite_int8"
        if self.calibration_images is not None and not any(each.calibrated for each in wanted):
            yield "calibration_images needs formats=tflite_int8"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportDataOptions(Options):
    """Data: classes, where model_info.json beside the checkpoint does not say them, and images."""

    dataset_name: str | None = option(
        None,
        "Dataset whose classes the model knows; default: that of model_info.json, or else the"
        " classes of the checkpoint's last layer, and imagenet without checkpoint_path.",
        table="datasets",
    )
    dataset_dir: str | None = option(
        None,
        "Folder with that dataset's files; the formats are then compared on its images too.",
        path="folder",
    )
    dataset_split_name: str | None = option(
        None,
        "Split with the images to compare on; default: validation, test, val or train, the first"
        " that there is.",
    )


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Options of `export_inference_graph.py`."""

    run: ExportOptions
    model: ModelOptions = ModelOptions()
    data: ExportDataOptions = ExportDataOptions()
