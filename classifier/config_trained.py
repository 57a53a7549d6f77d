"""The options of what is done with a trained model: evaluation, export, prediction.

What model_info.json beside the checkpoint says need not be said again; see `resolve_trained`.
"""

import dataclasses
import functools
from collections.abc import Iterator

from classifier.config import sides
from classifier.options import Options, option, required
from slim import _checks

_positive = _checks.positive
_non_negative = _checks.non_negative
_fraction = functools.partial(_checks.in_range, 0, 1)

FORMATS = ("frozen_pb", "saved_model")

_MODEL_INFO = "default: what model_info.json beside the checkpoint says"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Model, where model_info.json beside the checkpoint does not say it."""

    model_name: str | None = option(None, f"Name of the network; {_MODEL_INFO}.", table="networks")
    labels_offset: int | None = option(
        None, f"Subtracted from each label; {_MODEL_INFO}.", check=_non_negative
    )
    use_grayscale: bool | None = option(None, f"Turn the images to one channel; {_MODEL_INFO}.")
    moving_average_decay: float | None = option(
        None,
        "Use the moving averages of the weights that training kept with this decay;"
        f" {_MODEL_INFO}.",
        check=_fraction,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatedModelOptions(ModelOptions):
    """Model, where model_info.json beside the checkpoint does not say it."""

    preprocessing_name: str | None = option(
        None, f"Preprocessing, by its name or a network's; {_MODEL_INFO}.", table="preprocessings"
    )
    eval_image_size: tuple[int, int] | None = option(
        None, "Size of the images, in pixels; default: that of training.", check=sides
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options):
    """Evaluation."""

    checkpoint_path: str = required(
        "Folder of a run (its newest checkpoint is taken) or one checkpoint.", path="checkpoint"
    )
    eval_dir: str | None = option(
        None, "Folder for events; default: `eval` beside the checkpoint.", path="new_folder"
    )
    eval_json: str | None = option(None, "File to write the results to, as JSON.", path="new_file")
    batch_size: int = option(100, "Images of a step.", check=_positive)
    max_num_batches: int | None = option(
        None, "Most batches to evaluate; default: every image once.", check=_positive
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationDataOptions(Options):
    """Data."""

    dataset_name: str | None = option(
        None,
        "Name of the dataset; default: the one that the model was trained on.",
        table="datasets",
    )
    dataset_split_name: str = option("test", "Split of the dataset to evaluate on.")
    dataset_dir: str = required("Folder with the dataset's files.", path="folder")
    num_preprocessing_threads: int = option(4, "Images prepared side by side.", check=_positive)


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Options of `eval_image_classifier.py`."""

    run: EvaluationOptions
    data: EvaluationDataOptions
    model: EvaluatedModelOptions = EvaluatedModelOptions()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """Export."""

    checkpoint_path: str = required(
        "Folder of a run (its newest checkpoint is taken) or one checkpoint.", path="checkpoint"
    )
    output_dir: str = required("Folder to write to.", path="new_folder")
    formats: tuple[str, ...] = option(FORMATS, "Formats to write.", choices=FORMATS)
    image_size: tuple[int, int] | None = option(
        None, "Size of the images, in pixels; default: that of training.", check=sides
    )
    batch_size: int | None = option(
        None, "Images that the model takes at once; default: any number.", check=_positive
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportDataOptions(Options):
    """Classes, where model_info.json beside the checkpoint does not say them."""

    dataset_name: str | None = option(
        None, "Dataset whose classes the model knows.", table="datasets"
    )
    dataset_dir: str | None = option(None, "Folder with that dataset's files.", path="folder")

    def conflicts(self) -> Iterator[str]:
        """Yields the half that is missing."""
        if (self.dataset_name is None) != (self.dataset_dir is None):
            yield "dataset_name and dataset_dir belong together: give both or none"


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Options of `export_inference_graph.py`."""

    run: ExportOptions
    model: ModelOptions = ModelOptions()
    data: ExportDataOptions = ExportDataOptions()


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictConfig(Options):
    """Prediction."""

    checkpoint_path: str = required(
        "Folder of a run (its newest checkpoint is taken) or one checkpoint.", path="checkpoint"
    )
    images: str = required(
        "A picture, a folder of pictures, or a pattern such as 'a/*.png'.", path="images"
    )
    top_k: int = option(5, "Classes to name for each picture.", check=_positive)
    batch_size: int = option(32, "Pictures of a step.", check=_positive)
    output_csv: str | None = option(
        None, "File to write the predictions to, as CSV.", path="new_file"
    )
