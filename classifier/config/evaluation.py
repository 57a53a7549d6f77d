"""Options of evaluation."""

import dataclasses

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.model import CHECKPOINT_HELP, ModelOptions
from classifier.config.options import Options, option, required


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatedModelOptions(ModelOptions):
    """Model (default: from model_info.json next to the checkpoint)."""

    eval_image_size: tuple[int, int] | None = option(
        None,
        "Image size in pixels. Default: the training image size.",
        check=bounds.sides,
        aliases=("image_size", "train_image_size"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Options):
    """Evaluation."""

    checkpoint_path: str = required(CHECKPOINT_HELP, path="checkpoint", tf_slim="/tmp/tfmodel/")
    eval_dir: str | None = option(
        None,
        "Directory to write TensorBoard events to. Default: `eval` next to the checkpoint.",
        path="new_directory",
        tf_slim="/tmp/tfmodel/",
    )
    eval_json: str | None = option(
        None, "File to write the results to, as JSON. Default: none.", path="new_file"
    )
    batch_size: int = option(100, "Batch size.", check=bounds.positive)
    max_num_batches: int | None = option(
        None,
        "Maximum number of batches to evaluate. Default: the complete split.",
        check=bounds.positive,
    )
    recalibrate_batch_norm: int = option(
        0,
        "Number of training batches to re-estimate batch norm's statistics from, for a second"
        " evaluation. If it is far more accurate, the moving averages have not converged. 0"
        " disables.",
        check=bounds.non_negative,
    )
    master: str | None = option(
        None, "Must be empty: evaluation runs in this process and needs no server."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationDataOptions(Options):
    """Data."""

    dataset_name: str | None = option(
        None,
        "Name of the dataset. Default: the training dataset.",
        table="datasets",
        tf_slim="imagenet",
    )
    dataset_split_name: str = option("test", "Split to evaluate on.")
    dataset_dir: str = required("Directory of the dataset.", path="directory")
    max_pixels: int = max_pixels_option()
    num_preprocessing_threads: int | None = option(
        None,
        "Number of images to preprocess in parallel. Default: chosen automatically.",
        check=bounds.positive,
        tf_slim=4,
    )


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Options of `eval_image_classifier.py`."""

    run: EvaluationOptions
    data: EvaluationDataOptions
    model: EvaluatedModelOptions = EvaluatedModelOptions()
