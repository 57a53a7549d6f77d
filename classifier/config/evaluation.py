"""The options of evaluation."""

import dataclasses

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.model import ModelOptions
from classifier.config.options import Options, option, required


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatedModelOptions(ModelOptions):
    """Model, where model_info.json beside the checkpoint does not say it."""

    eval_image_size: tuple[int, int] | None = option(
        None, "Size of the images, in pixels; default: that of training.", check=bounds.sides
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
    batch_size: int = option(100, "Images of a step.", check=bounds.positive)
    max_num_batches: int | None = option(
        None, "Most batches to evaluate; default: every image once.", check=bounds.positive
    )
    recalibrate_batch_norm: int = option(
        0,
        "Batches of the split `train` that estimate batch norm's statistics anew, for a second"
        " evaluation with them: where it is far better, the moving averages have not settled."
        " 0: none.",
        check=bounds.non_negative,
    )
    master: str | None = option(
        None, "Refused: evaluation runs in its own process and needs no server."
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
    max_pixels: int = max_pixels_option()
    num_preprocessing_threads: int | None = option(
        None,
        "Images prepared side by side; without it, as many as the machine does best.",
        check=bounds.positive,
    )


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Options of `eval_image_classifier.py`."""

    run: EvaluationOptions
    data: EvaluationDataOptions
    model: EvaluatedModelOptions = EvaluatedModelOptions()
