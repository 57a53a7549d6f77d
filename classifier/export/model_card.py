"""The model card of an export: README.md in the format of Hugging Face.

See https://huggingface.co/docs/hub/model-cards. The front matter is YAML with strings in JSON
syntax, which is valid YAML.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from classifier import ownership
from classifier.config import problems
from classifier.config.export import ExportOptions
from classifier.config.problems import Problem, named
from classifier.export import usage
from classifier.export.checks import Exported
from classifier.export.job import Job
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.metrics_file import MetricsFile
from classifier.run_directory import MODEL_INFO_FILE, RunDirectory
from slim import _checks, _json, _paths

_SHOWN_CLASSES = 100
_MAX_BYTES = 16 << 20
_FIRST = ("accuracy", "mean_average_precision", "micro_f1", "macro_f1")  # metrics
_OTHERS = ("macro_recall", "loss")
_MAX_PATH = 500  # maximum number of characters shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class _EvalFile:
    """The contents of `--eval_json`."""

    checkpoint: str
    step: _json.Step
    split: _json.Name
    num_images: _json.Count
    accuracy: float | None = None
    mean_average_precision: float | None = None
    micro_f1: float | None = None
    macro_f1: float | None = None
    calibrated_micro_f1: float | None = None
    calibrated_macro_f1: float | None = None
    calibrated_loss: float | None = None
    k: _json.Count | None = None
    recall_at_k: float | None = None
    macro_recall: float | None = None
    loss: float | None = None


@dataclasses.dataclass(frozen=True)
class _RunOptions:
    """The options of a run that the card shows."""

    eval_split_name: str | None = "validation"
    dataset_split_name: str | None = None
    dataset_dir: str | None = None


@dataclasses.dataclass(frozen=True)
class _CardConfig:
    """The contents of config.json that the card shows."""

    options: _RunOptions


@dataclasses.dataclass(frozen=True)
class _Origin:
    """The contents of dataset_info.json that the card shows."""

    attribution: str = ""
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Metrics of the checkpoint.

    Attributes:
      split: split of the dataset.
      num_images: number of images.
      metrics: values by name.
      warning: why they may be of another checkpoint; empty if they are not.
    """

    split: str
    num_images: int
    metrics: Mapping[str, float]
    warning: str = ""


def find_evaluation(
    eval_json: str | None, run: RunDirectory, prefix: str, step: int | None
) -> Evaluation | None:
    """Returns the metrics of a checkpoint, or None if they are unknown.

    Args:
      eval_json: path of an evaluation result; None reads the evaluations of the run.
      run: run directory of the checkpoint.
      prefix: path of the checkpoint.
      step: step of the checkpoint.

    Raises:
      UserError: if `eval_json` does not exist, is damaged, or is of another checkpoint.
    """
    if eval_json is not None:
        result, option = _read_evaluation(eval_json), named("eval_json", repr(eval_json))
        if result.step != (step or 0):
            raise problems.error(
                "{} is of step {}, the checkpoint of step {}. Evaluate the exported checkpoint",
                option,
                result.step,
                step,
            )
        evaluated = _json.printable(result.checkpoint[:_MAX_PATH])
        if os.path.basename(result.checkpoint) != os.path.basename(prefix):
            raise problems.error(
                "{} is of {}, not of the checkpoint {}. Evaluate the exported checkpoint",
                option,
                evaluated,
                prefix,
            )
        values = {key: each for key, each in vars(result).items() if each is not None}
        if result.mean_average_precision is not None:  # with the thresholds that the card has
            values |= {
                key.removeprefix("calibrated_"): each
                for key, each in values.items()
                if key.startswith("calibrated_")
            }
        evaluation = _evaluation(result.split, values)
        if os.path.realpath(result.checkpoint) == os.path.realpath(prefix):
            return evaluation
        warning = Problem(
            "{} is of {}: the model card shows its metrics for {}", option, evaluated, prefix
        )
        return dataclasses.replace(evaluation, warning=warning)
    run = run.parent_run()
    options = _run_options(run)  # raises if config.json is damaged, before anything is written
    for line in reversed(MetricsFile(run.metrics_path).evaluations()):
        if line["step"] == step:
            values = {key.removeprefix("eval_"): value for key, value in line.items()}
            if "num_images" in values:
                return _evaluation(options.eval_split_name or "validation", values)
    return None


def _read_evaluation(path: str) -> _EvalFile:
    reason = ""
    try:
        result = _json.read(path, _EvalFile, advice="Evaluate again", finite=False)
    except _checks.UserError as error:
        result, reason = None, f": {error}"
    if result is None:
        raise problems.error(
            "{} is not a file written by eval_image_classifier.py{}",
            named("eval_json", repr(path)),
            reason,
        )
    return result


def summary(classifier: InferenceModel, final_endpoint: str | None = None) -> str:
    """Returns a sentence on the exported model, without a period."""
    weights = "the moving averages of the weights" if classifier.used_averages else "the weights"
    step = "" if classifier.step is None else f" of step {classifier.step}"
    kind = "A video classifier" if classifier.is_video else "An image classifier"
    end = f", up to the end point {final_endpoint!r}" if final_endpoint else ""
    several = ", any number of them an image" if classifier.info.multi_label else ""
    return f"{kind} with {classifier.info.num_classes} classes{several}{end}: {weights}{step}"


def write(
    job: Job,
    exports: Mapping[str, Exported],
    evaluation: Evaluation | None,
    others: Sequence[str] = (),
) -> str | None:
    """Writes README.md.

    Args:
      job: checkpoint, run and options.
      exports: exported files, by format.
      evaluation: metrics from `find_evaluation`.
      others: names of files from earlier exports.

    Returns:
      The path, or None if the user has taken over an existing card.
    """
    classifier, options = job.classifier, job.options
    path = os.path.join(str(options.output_dir), ownership.CARD)
    if os.path.lexists(path) and not ownership.is_generated_card(path):
        return None
    sections = [
        _front_matter(classifier, options, evaluation),
        f"{ownership.CARD_MARK}\n\n# {classifier.info.model_name}\n",
        *_sections(job, exports, evaluation),
        *_earlier_exports(others),
    ]
    _paths.write_atomically(path, "\n".join(sections).encode())
    return path


def _front_matter(
    classifier: InferenceModel, options: ExportOptions, evaluation: Evaluation | None
) -> str:
    info = classifier.info
    task = "video-classification" if classifier.is_video else "image-classification"
    fields: dict[str, Any] = {
        "license": (options.license or "unknown").lower(),
        "library_name": "tensorflow",
        "pipeline_tag": task,
        "tags": [task, "tf-slim", info.model_name],
    }
    if info.dataset_name:
        fields["datasets"] = [info.dataset_name]
    if evaluation is not None:
        fields["metrics"] = list(evaluation.metrics)
        fields["model-index"] = [_model_index(info.model_name, info.dataset_name, task, evaluation)]
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())
    return "\n".join(["---", *lines, "---"])


def _model_index(
    name: str, dataset: str | None, task: str, evaluation: Evaluation
) -> dict[str, Any]:
    dataset = dataset or "unknown"
    metrics = [{"type": key, "value": value} for key, value in evaluation.metrics.items()]
    result = {
        "task": {"type": task},
        "dataset": {"name": dataset, "type": dataset, "split": evaluation.split},
        "metrics": metrics,
    }
    return {"name": name, "results": [result]}


def _sections(
    job: Job, exports: Mapping[str, Exported], evaluation: Evaluation | None
) -> Iterator[str]:
    classifier, options, info = job.classifier, job.options, job.classifier.info
    quantized = ", rounded to 8 bits like the activations" if info.quantized else ""
    yield f"{summary(classifier, options.final_endpoint)}{quantized}.\n"
    yield "\n".join(["## Data\n", *_data(info.dataset_name, job.run), ""])
    if evaluation is not None:
        rows = [f"| {name} | {value:.4f} |" for name, value in evaluation.metrics.items()]
        images = f"On all {evaluation.num_images} images of the split `{evaluation.split}`:\n"
        yield "\n".join(["## Accuracy\n", images, "| | |", "|---|---|", *rows, ""])
    else:
        yield "## Accuracy\n\nNot evaluated.\n"
    height, width, channels = *classifier.image_size, info.num_channels
    plural = "s" if channels > 1 else ""
    gray = ", converted to grayscale" if info.use_grayscale else ""
    yield (
        f"## Preprocessing\n\n`{info.preprocessing_name}`, as in evaluation: {height}x{width}"
        f" pixels, {channels} channel{plural}{gray}; values"
        f" {preprocessing.prepared_values(info)}.\n"
    )
    yield from _calibration(classifier)
    if info.label_names:
        yield _classes(info.label_names)
    output_dir = str(options.output_dir)
    base = os.path.abspath(output_dir) + os.sep
    rows = [
        f"| {name} | `{os.path.abspath(each.path).removeprefix(base)}` | {each.comparison} |"
        for name, each in exports.items()
    ]
    header = ["| format | file | compared with the checkpoint |", "|---|---|---|"]
    yield "\n".join(["## Formats\n", *header, *rows, ""])
    texts = [usage.relative_to(output_dir, each.usage) for each in exports.values() if each.usage]
    if texts:
        yield "\n\n".join(["## Usage", *texts]) + "\n"


def _calibration(classifier: InferenceModel) -> Iterator[str]:
    """Yields what the probabilities mean."""
    info, temperature = classifier.info, classifier.temperature
    divided = "" if temperature is None else f" divided by {temperature:.4f}"
    if info.multi_label:
        rows = [
            f"| {' '.join(name.split())} | {threshold:.4f} |"
            for name, threshold in zip(info.class_names, classifier.thresholds, strict=True)
        ]
        more = [f"\n... and {len(rows) - _SHOWN_CLASSES} more: see `{MODEL_INFO_FILE}`."]
        yield "\n".join(
            [
                "## Calibration\n",
                f"The probabilities are the sigmoids of the logits{divided}.",
                "An image has each class whose probability reaches its threshold:\n",
                *("| class | threshold |", "|---|---|"),
                *rows[:_SHOWN_CLASSES],
                *(more if len(rows) > _SHOWN_CLASSES else []),
                "",
            ]
        )
    elif divided:
        yield (
            f"## Calibration\n\nThe probabilities are those of the logits{divided}. If the"
            f" largest one is below {classifier.rejection_threshold:.4f}, the image is likely of"
            " none of the classes.\n"
        )


def _earlier_exports(files: Sequence[str]) -> Iterator[str]:
    if files:
        shown = ", ".join(f"`{file}`" for file in files)
        yield f"## Earlier exports\n\nThis card does not describe {shown}.\n"


def _classes(names: tuple[str, ...]) -> str:
    shown = [f"{index}. {' '.join(name.split())}" for index, name in enumerate(names)]
    more = len(shown) - _SHOWN_CLASSES
    rest = [f"\n... and {more} more: see `labels.txt`."] if more > 0 else []
    return "\n".join(["## Classes\n", *shown[:_SHOWN_CLASSES], *rest, ""])


def _data(name: str | None, run: RunDirectory) -> Iterator[str]:
    """Yields lines on the data that the model was trained on."""
    options = _run_options(run.parent_run())
    split = options.dataset_split_name
    yield f"Trained on `{name or 'unknown'}`" + (f", split `{split}`." if split else ".")
    origin = _origin(options.dataset_dir)
    if origin.attribution:
        yield f"By: {origin.attribution}"
    if origin.source:
        is_path = os.path.isabs(origin.source)  # of this machine: not for publication
        source = os.path.basename(origin.source.rstrip("/")) if is_path else origin.source
        yield f"From: {source}"


def _run_options(run: RunDirectory) -> _RunOptions:
    """Returns the options of a run that the card shows.

    Raises:
      UserError: if config.json is damaged.
    """
    config = run.read_config(_CardConfig)
    return config.options if config else _RunOptions()


def _origin(dataset_dir: str | None) -> _Origin:
    """Returns the source and attribution of a dataset, if known."""
    path = os.path.join(dataset_dir or "", "dataset_info.json")
    try:
        return (dataset_dir and _json.read(path, _Origin, advice="")) or _Origin()
    except _checks.UserError:
        return _Origin()


def _evaluation(split: str, values: Mapping[str, Any]) -> Evaluation:
    recall = (
        {f"recall_at_{values['k']}": values["recall_at_k"]}
        if values.keys() >= {"k", "recall_at_k"}
        else {}
    )
    first, others = (
        {name: values[name] for name in names if name in values} for names in (_FIRST, _OTHERS)
    )
    metrics = {**first, **recall, **others}
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return Evaluation(split, values["num_images"], finite)
