"""Options of export."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.dataset_source import SourceOptions
from classifier.config.formats import FORMATS, no_conversion
from classifier.config.image_limits import max_pixels_option
from classifier.config.model import CHECKPOINT_HELP, ModelOptions
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named

INPUT_TYPES = ("float_image", "uint8_image", "encoded_image")
DEFAULT_FORMATS = ("frozen_pb", "saved_model")
_CHECKS = ("check_images", "max_drop", "calibration_images")
# Options of a checkpoint's export that have no default.
_OF_CHECKPOINT = ("output_dir", "formats", "final_endpoint", "license", "eval_json", *_CHECKS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """Export (of a checkpoint to output_dir, or of a graph without weights to output_file)."""

    checkpoint_path: str | None = option(
        None,
        f"{CHECKPOINT_HELP} Default: none; a graph without weights is written to --output_file.",
        path="checkpoint",
    )
    output_dir: str | None = option(
        None, "Directory to write the checkpoint's formats to.", path="new_directory"
    )
    formats: tuple[str, ...] | None = option(
        None,
        f"Formats to write. Default: {','.join(DEFAULT_FORMATS)}.",
        choices=tuple(FORMATS),
        check=no_conversion,
    )
    check_images: int | None = option(
        None,
        "Number of images on which to compare each format with the checkpoint. Default: 16, or 100"
        " with an 8-bit format.",
        check=bounds.positive,
    )
    max_drop: float | None = option(
        None,
        "Maximum accuracy drop of a quantized format on these images, in percentage points."
        " Default: 1.",
        check=bounds.non_negative,
    )
    calibration_images: int | None = option(
        None,
        "Number of training images that set the ranges of tflite_int8. Default: 200.",
        check=bounds.positive,
    )
    input_type: str = option(
        "float_image",
        "Input of a frozen graph or a TFLite file: preprocessed images, uint8 images (a frozen"
        " graph resizes them, a TFLite file expects its own size), or, for a frozen graph, encoded"
        " JPEG or PNG files.",
        choices=INPUT_TYPES,
    )
    max_pixels: int = max_pixels_option()
    fold_batch_norm: bool = option(
        True, "Fold batch norm into the preceding convolutions in the frozen formats."
    )
    final_endpoint: str | None = option(
        None,
        "End point that a frozen graph outputs; later layers are dropped. Default: logits and"
        " probabilities.",
    )
    license: str | None = option(
        None,
        "License of the model for its card, README.md, as Hugging Face spells it (apache-2.0,"
        " cc-by-4.0, ...). Default: unknown.",
        check=bounds.license_name,
    )
    eval_json: str | None = option(
        None,
        "Results of this checkpoint, written by eval_image_classifier.py, to include in the"
        " model card. Default: the results of the evaluation during training.",
        path="file",
    )
    output_file: str | None = option(
        None,
        "File to write a GraphDef without weights to, for TensorFlow's freeze_graph. Excludes"
        " --checkpoint_path.",
        path="new_file",
    )
    write_text_graphdef: bool = option(False, "Write --output_file as text.")
    image_size: tuple[int, int] | None = option(
        None,
        "Image size in pixels. Default: the training image size, else the network's.",
        check=bounds.sides,
        aliases=("eval_image_size", "train_image_size"),
    )
    batch_size: int | None = option(
        None,
        "Batch size of the exported model. 0 accepts any. Default: 0; 1 for TFLite.",
        check=bounds.non_negative,
    )
    is_video_model: bool = option(False, "The network expects videos.")
    num_frames: int | None = option(
        None, "Number of frames of a video. Default: any.", check=bounds.positive
    )
    is_training: bool = option(False, "Must be false: exported models are for inference.")

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.num_frames is not None and not self.is_video_model:
            yield Problem("{} needs {}", named("num_frames"), named("is_video_model"))
        yield from (
            self._without_weights() if self.checkpoint_path is None else self._of_checkpoint()
        )

    def _without_weights(self) -> Iterator[Problem]:
        checkpoint, output_file = named("checkpoint_path"), named("output_file")
        if self.output_file is None:
            yield Problem(
                "{} with {} is required, or {} for a graph without weights",
                checkpoint,
                named("output_dir"),
                output_file,
            )
            return
        if self.input_type != "float_image":
            yield Problem(
                "{} needs {}: the graph in {} expects float_image",
                named("input_type", self.input_type),
                checkpoint,
                output_file,
            )
        if not self.fold_batch_norm:
            yield Problem(
                "{} has no effect without {}: a graph without weights is never folded",
                named("fold_batch_norm", False),
                checkpoint,
            )
        for name in _OF_CHECKPOINT:
            if getattr(self, name) is not None:
                yield Problem(
                    "{} needs {}: {} is a graph without weights",
                    named(name),
                    checkpoint,
                    output_file,
                )

    def _of_checkpoint(self) -> Iterator[Problem]:
        checkpoint, output_file = named("checkpoint_path"), named("output_file")
        if self.output_file is not None:
            yield Problem(
                "{} and {} are mutually exclusive: use {} for the formats of a checkpoint",
                output_file,
                checkpoint,
                named("output_dir"),
            )
        elif self.output_dir is None:
            yield Problem("{} is required with {}", named("output_dir"), checkpoint)
        if self.write_text_graphdef:
            yield Problem("{} needs {}", named("write_text_graphdef"), output_file)
        yield from self._of_formats()

    def _of_formats(self) -> Iterator[Problem]:
        frozen, formats = named("formats", "frozen_pb"), self.formats or DEFAULT_FORMATS
        if self.final_endpoint is not None and self.formats != ("frozen_pb",):
            yield Problem(
                "{} needs {}: the other formats output class probabilities",
                named("final_endpoint"),
                frozen,
            )
        rows = [FORMATS[name] for name in formats]
        if self.input_type not in ("float_image", *(i for row in rows for i in row.input_types)):
            names = [name for name, row in FORMATS.items() if self.input_type in row.input_types]
            yield Problem(
                "{} needs {}",
                named("input_type", self.input_type),
                named("formats", names[0] if len(names) == 1 else names),
            )
        if "frozen_pb" not in formats and not self.fold_batch_norm:
            yield Problem("{} needs {}", named("fold_batch_norm", False), frozen)
        if "c_array" in formats and self.batch_size == 0:
            yield Problem(
                "{} needs a fixed {}: the memory of a microcontroller is allocated in advance",
                named("formats", "c_array"),
                named("batch_size"),
            )
        int8 = named("formats", "tflite_int8")
        if self.max_drop is not None and not any(each.quantized for each in rows):
            yield Problem("{} needs a quantized format, such as {}", named("max_drop"), int8)
        if self.calibration_images is not None and not any(each.calibrated for each in rows):
            yield Problem("{} needs {}", named("calibration_images"), int8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportDataOptions(Options):
    """Data (class names that model_info.json lacks, and images to check the formats on)."""

    dataset_name: str | None = option(
        None,
        "Dataset that the model was trained on. Default: from model_info.json, else the classes of"
        " the checkpoint's last layer; imagenet without --checkpoint_path.",
        table="datasets",
        tf_slim="imagenet",
    )
    dataset_dir: str | None = option(
        None,
        "Directory of that dataset, or a zip or tar of images. Default: none; the formats are"
        " checked on built-in digits.",
        path="dataset",
    )
    dataset_split_name: str | None = option(
        None,
        "Split to check the formats on. Default: the first that exists of validation, test, val"
        " and train.",
    )


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Options of `export_inference_graph.py`."""

    run: ExportOptions
    model: ModelOptions = ModelOptions()
    data: ExportDataOptions = ExportDataOptions()
    source: SourceOptions = SourceOptions()
