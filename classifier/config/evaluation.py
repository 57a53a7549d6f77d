"""Options of evaluation."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.dataset_source import SourceOptions
from classifier.config.image_limits import max_pixels_option
from classifier.config.model import ModelOptions
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named
from classifier.config.workers import (
    WorkerOptions,
    clone_on_cpu_option,
    idle_clones,
    num_clones_option,
    split_cpu_option,
)

# The value of `checkpoint_path` that stands for each checkpoint of the run.
ALL_CHECKPOINTS = "all"
# Options for one checkpoint, which those for several exclude.
_OF_ONE = ("predictions_csv", "report_dir", "recalibrate_batch_norm", "calibrate")


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

    checkpoint_path: str | None = option(
        None,
        "Checkpoint, directory of a run (its newest checkpoint is used), or all to compare the"
        " checkpoints in train_dir. Default: the newest in train_dir.",
        path="checkpoints",
        tf_slim="/tmp/tfmodel/",
    )
    train_dir: str | None = option(
        None,
        "Directory of a run; alone, it is enough: the dataset is the run's, the split the one that"
        " training evaluated on.",
        path="checkpoint",
        path_unless="eval_loop",
    )
    eval_dir: str | None = option(
        None,
        "Directory to write TensorBoard events to. Default: `eval` next to the checkpoint.",
        path="new_directory",
        tf_slim="/tmp/tfmodel/",
    )
    eval_json: str | None = option(
        None,
        "File to write the results to, as JSON: the metrics, the scores of each class and the"
        " confusions. Default: none.",
        path="new_file",
    )
    predictions_csv: str | None = option(
        None,
        "File to write a row per image to: file, shard, record, true class, and the most probable"
        " classes with their probabilities. Default: none.",
        path="new_file",
    )
    report_dir: str | None = option(
        None,
        "Directory to write a report to: one HTML page with the metrics, the confusion matrix and"
        " its images, calibration, likely label errors and the run's curves. Default: none.",
        path="new_directory",
    )
    report_thumbnails: int = option(
        300,
        "Maximum number of images that the report shows; each takes about 4 kB.",
        check=bounds.non_negative,
    )
    report_duplicates_of: str | None = option(
        None,
        "Split, such as train, in which the report searches near-duplicates of the evaluated"
        " images, by the network's features. Default: none.",
    )
    batch_size: int = option(100, "Batch size, over all clones and workers.", check=bounds.positive)
    num_clones: int = num_clones_option(
        "of each worker to evaluate on in parallel, each on its part of a batch"
    )
    clone_on_cpu: bool = clone_on_cpu_option("Evaluate")
    split_cpu: int = split_cpu_option()
    max_num_batches: int | None = option(
        None,
        "Maximum number of batches to evaluate. Default: the complete split.",
        check=bounds.positive,
    )
    use_averages: str = option(
        "auto",
        "Whether to evaluate the moving averages of the weights. auto: if the run kept them; both:"
        " the averages, then the weights themselves.",
        choices=("auto", "true", "false", "both"),
    )
    flip: bool = option(False, "Average the probabilities of each image and its mirror image.")
    num_crops: int = option(
        1,
        "Crops per image whose probabilities are averaged: 1, or 5 for the center and the corners"
        " of an image that is prepared 8/7 as large.",
        check=bounds.crops,
    )
    recalibrate_batch_norm: int = option(
        0,
        "Number of training batches to re-estimate batch norm's statistics from, for a second"
        " evaluation. If it is far more accurate, the moving averages have not converged. 0"
        " disables.",
        check=bounds.non_negative,
    )
    calibrate: bool = option(
        False,
        "Fit a temperature and a rejection threshold to the split, and store them in"
        " model_info.json for prediction and export.",
    )
    eval_loop: bool = option(
        False,
        "Evaluate each checkpoint in train_dir as it is written, until the run's last step.",
    )
    eval_interval_secs: float = option(
        10.0,
        "Minimum seconds between two checks of --eval_loop for new checkpoints.",
        check=bounds.non_negative,
    )
    timeout_secs: float | None = option(
        None,
        "Seconds without a new checkpoint after which --eval_loop ends. Default: no limit.",
        check=bounds.positive,
    )

    @property
    def is_sweep(self) -> bool:
        """Whether all checkpoints of the run are compared."""
        return self.checkpoint_path == ALL_CHECKPOINTS

    @property
    def has_views(self) -> bool:
        """Whether several views of each image are averaged."""
        return self.flip or self.num_crops > 1

    @property
    def keeps_outcomes(self) -> bool:
        """Whether the answer to each image is needed."""
        outputs = (self.predictions_csv, self.report_dir)
        return self.calibrate or any(each is not None for each in outputs)

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        path, train_dir = named("checkpoint_path"), named("train_dir")
        loop, calibrate = named("eval_loop"), named("calibrate")
        if self.checkpoint_path is None and self.train_dir is None:
            yield Problem("{} or {} is required", path, train_dir)
        if self.is_sweep and self.train_dir is None:
            yield Problem("{} needs {}", named("checkpoint_path", "all"), train_dir)
        if self.eval_loop and self.train_dir is None:
            yield Problem("{} needs {}", loop, train_dir)
        if self.eval_loop and self.checkpoint_path is not None:
            yield Problem("{} has no effect with {}", path, loop)
        for name in ("eval_interval_secs", "timeout_secs"):
            if self.is_changed(name) and not self.eval_loop:
                yield Problem("{} needs {}", named(name), loop)
        for name in ("report_thumbnails", "report_duplicates_of"):
            if self.is_changed(name) and self.report_dir is None:
                yield Problem("{} needs {}", named(name), named("report_dir"))
        yield from idle_clones(self.num_clones, self.batch_size)
        several = named("checkpoint_path", "all") if self.is_sweep else loop
        for name in _OF_ONE if self.is_sweep or self.eval_loop else ():
            if self.is_changed(name):
                yield Problem("{} and {} are mutually exclusive", named(name), several)
        for name in ("recalibrate_batch_norm", "flip", "num_crops"):
            if self.calibrate and self.is_changed(name):
                yield Problem("{} and {} are mutually exclusive", named(name), calibrate)
        if self.use_averages != "auto" and self.calibrate:
            yield Problem(
                "{} cannot be used with {}, which is for the weights that prediction uses",
                named("use_averages", self.use_averages),
                calibrate,
            )
        if self.use_averages == "both" and self.recalibrate_batch_norm:
            yield Problem(
                "{} and {} are mutually exclusive",
                named("use_averages", "both"),
                named("recalibrate_batch_norm"),
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
    dataset_split_name: str | None = option(
        None,
        "Split to evaluate on. Default: with --train_dir, the one that training evaluated on; else"
        " test, validation or val, whichever comes first.",
        tf_slim="test",
    )
    dataset_dir: str | None = option(
        None,
        "Directory of the dataset, or a zip or tar of images; for list, the directory that its"
        " paths refer to. Default: from the run's config.json.",
        path="dataset",
    )
    max_pixels: int = max_pixels_option()
    on_bad_image: str = option(
        "error",
        "What to do when an image cannot be decoded: error aborts; skip excludes it, and reports it"
        " at the end.",
        choices=("error", "skip"),
    )
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
    data: EvaluationDataOptions = EvaluationDataOptions()
    source: SourceOptions = SourceOptions()
    model: EvaluatedModelOptions = EvaluatedModelOptions()
    workers: WorkerOptions = WorkerOptions()
