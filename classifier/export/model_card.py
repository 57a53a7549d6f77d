"""The model card: README.md beside an export, in the form of Hugging Face.

See https://huggingface.co/docs/hub/model-cards. The front matter is YAML; its strings are written
as JSON has them, which YAML reads alike.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from classifier import ownership
from classifier.config.export import ExportOptions
from classifier.export import usage
from classifier.export.checks import Exported
from classifier.export.job import Job
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.metrics_file import MetricsFile
from classifier.run_directory import RunDirectory
from slim import _checks, _json, _paths

_SHOWN_CLASSES = 100
_MAX_BYTES = 16 << 20
_MAX_PATH = 500  # characters shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class _EvalFile:
    """What is read of the file of `--eval_json`."""

    checkpoint: str
    step: _json.Step
    split: _json.Name
    num_images: _json.Count
    accuracy: float
    k: _json.Count | None = None
    recall_at_k: float | None = None
    macro_recall: float | None = None
    loss: float | None = None


@dataclasses.dataclass(frozen=True)
class _Trained:
    """What is read of a run's options."""

    eval_split_name: str | None = "validation"
    dataset_split_name: str | None = None
    dataset_dir: str | None = None


@dataclasses.dataclass(frozen=True)
class _CardConfig:
    """What is read of config.json."""

    options: _Trained


@dataclasses.dataclass(frozen=True)
class _Origin:
    """What is read of dataset_info.json."""

    attribution: str = ""
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Measured:
    """How good the checkpoint is.

    Attributes:
      split: of the dataset.
      num_images: images counted.
      metrics: number by name.
      doubt: why it may be another checkpoint's all the same; empty if it is not.
    """

    split: str
    num_images: int
    metrics: Mapping[str, float]
    doubt: str = ""


def measured(
    eval_json: str | None, run: RunDirectory, prefix: str, step: int | None
) -> Measured | None:
    """Returns what is known of a checkpoint's accuracy, or None.

    Args:
      eval_json: a file of an evaluation; None for the evaluations of the run.
      run: the checkpoint's.
      prefix: of the checkpoint.
      step: of the checkpoint.

    Raises:
      UserError: if `eval_json` is not there, damaged, or of another checkpoint.
    """
    if eval_json is not None:
        found = _read_evaluation(eval_json)
        if found.step != (step or 0):
            raise _checks.UserError(
                f"eval_json={eval_json!r} is of step {found.step}, the checkpoint of"
                f" step {step}: evaluate the one that is exported"
            )
        theirs = _json.printable(found.checkpoint[:_MAX_PATH])
        if os.path.basename(found.checkpoint) != os.path.basename(prefix):
            raise _checks.UserError(
                f"eval_json={eval_json!r} is of {theirs}, which is not the checkpoint"
                f" {prefix}: evaluate the one that is exported"
            )
        values = {key: each for key, each in vars(found).items() if each is not None}
        numbers = _measured(found.split, values)
        if os.path.realpath(found.checkpoint) == os.path.realpath(prefix):
            return numbers
        doubt = (
            f"eval_json={eval_json!r} is of {theirs}: its numbers go into the model card as"
            f" those of {prefix}"
        )
        return dataclasses.replace(numbers, doubt=doubt)
    run = _whole_run(run)
    trained = _trained(run)  # refuses a damaged config.json before anything is written
    for line in reversed(MetricsFile(run.metrics_path).evaluations()):
        if line["step"] == step:
            values = {key.removeprefix("eval_"): value for key, value in line.items()}
            if "num_images" in values:
                return _measured(trained.eval_split_name or "validation", values)
    return None


def _read_evaluation(path: str) -> _EvalFile:
    reason = ""
    try:
        found = _json.read(path, _EvalFile, advice="Evaluate again", finite=False)
    except _checks.UserError as error:
        found, reason = None, f": {error}"
    if found is None:
        raise _checks.UserError(
            f"eval_json={path!r} is not a file that eval_image_classifier.py wrote{reason}"
        )
    return found


def summary(classifier: InferenceModel, final_endpoint: str | None = None) -> str:
    """Returns in one sentence what is exported, without its dot."""
    weights = "the moving averages of the weights" if classifier.used_averages else "the weights"
    step = "" if classifier.step is None else f" of step {classifier.step}"
    kind = "A video classifier" if classifier.is_video else "An image classifier"
    cut = f", cut behind its end point {final_endpoint!r}" if final_endpoint else ""
    return f"{kind} of {classifier.info.num_classes} classes{cut}: {weights}{step}"


def write(
    job: Job,
    found: Mapping[str, Exported],
    numbers: Measured | None,
    others: Sequence[str] = (),
) -> str | None:
    """Writes README.md.

    Args:
      job: the checkpoint, its run, and `output_dir` and `license`.
      found: what was written, by format.
      numbers: from `measured`.
      others: files of earlier exports that are still there.

    Returns:
      The path, or None where there is one that the user has taken over.
    """
    classifier, options = job.classifier, job.options
    path = os.path.join(str(options.output_dir), ownership.CARD)
    if os.path.lexists(path) and not ownership.is_our_card(path):
        return None
    sections = [
        _front_matter(classifier, options, numbers),
        f"{ownership.CARD_MARK}\n\n# {classifier.info.model_name}\n",
        *_sections(job, found, numbers),
        *_of_earlier_exports(others),
    ]
    _paths.write_atomically(path, "\n".join(sections).encode())
    return path


def _front_matter(
    classifier: InferenceModel, options: ExportOptions, numbers: Measured | None
) -> str:
    info = classifier.info
    task = "video-classification" if classifier.is_video else "image-classification"
    about: dict[str, Any] = {
        "license": (options.license or "unknown").lower(),
        "library_name": "tensorflow",
        "pipeline_tag": task,
        "tags": [task, "tf-slim", info.model_name],
    }
    if info.dataset_name:
        about["datasets"] = [info.dataset_name]
    if numbers is not None:
        about["metrics"] = list(numbers.metrics)
        about["model-index"] = [_model_index(info.model_name, info.dataset_name, task, numbers)]
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in about.items())
    return "\n".join(["---", *lines, "---"])


def _model_index(name: str, dataset: str | None, task: str, numbers: Measured) -> dict[str, Any]:
    dataset = dataset or "unknown"
    metrics = [{"type": key, "value": value} for key, value in numbers.metrics.items()]
    result = {
        "task": {"type": task},
        "dataset": {"name": dataset, "type": dataset, "split": numbers.split},
        "metrics": metrics,
    }
    return {"name": name, "results": [result]}


def _sections(job: Job, found: Mapping[str, Exported], numbers: Measured | None) -> Iterator[str]:
    classifier, options, info = job.classifier, job.options, job.classifier.info
    rounded = ""
    if info.quantized:
        rounded = ", rounded to 8 bits as in training, and so are its layers' outputs"
    yield f"{summary(classifier, options.final_endpoint)}{rounded}.\n"
    yield "\n".join(["## Data\n", *_data(info.dataset_name, job.run), ""])
    if numbers is not None:
        rows = [f"| {name} | {value:.4f} |" for name, value in numbers.metrics.items()]
        counted = f"On {numbers.num_images} images of the split `{numbers.split}`, each once:\n"
        yield "\n".join(["## Accuracy\n", counted, "| | |", "|---|---|", *rows, ""])
    else:
        yield "## Accuracy\n\nNot measured.\n"
    height, width, channels = *classifier.image_size, info.num_channels
    plural = "s" if channels > 1 else ""
    grey = ", after colours are mixed to grey" if info.use_grayscale else ""
    yield (
        f"## Preprocessing\n\n`{info.preprocessing_name}`, as in evaluation: {height} by {width}"
        f" pixels, {channels} channel{plural}{grey}; values"
        f" {preprocessing.prepared_values(info)}.\n"
    )
    if info.label_names:
        yield _classes(info.label_names)
    base = os.path.abspath(str(options.output_dir)) + os.sep
    rows = [
        f"| {name} | `{os.path.abspath(each.path).removeprefix(base)}` | {each.comparison} |"
        for name, each in found.items()
    ]
    head = [
        "| format | file | compared with the checkpoint |",
        "|---|---|---|",
    ]
    yield "\n".join(["## Formats\n", *head, *rows, ""])
    folder = str(options.output_dir)
    calls = [usage.from_folder(each.usage, folder) for each in found.values() if each.usage]
    if calls:
        yield "\n\n".join(["## How to call them", *calls]) + "\n"


def _of_earlier_exports(files: Sequence[str]) -> Iterator[str]:
    if files:
        shown = ", ".join(f"`{file}`" for file in files)
        yield f"## Of earlier exports\n\nThis card says nothing of {shown}, which may differ.\n"


def _classes(names: tuple[str, ...]) -> str:
    shown = [f"{index}. {' '.join(name.split())}" for index, name in enumerate(names)]
    more = len(shown) - _SHOWN_CLASSES
    rest = [f"\n... and {more} more: see `labels.txt`."] if more > 0 else []
    return "\n".join(["## Classes\n", *shown[:_SHOWN_CLASSES], *rest, ""])


def _data(name: str | None, run: RunDirectory) -> Iterator[str]:
    """Yields what is known of the data that the model was trained on."""
    trained = _trained(_whole_run(run))
    split = trained.dataset_split_name
    yield f"Trained on `{name or 'unknown'}`" + (f", split `{split}`." if split else ".")
    about = _origin(trained.dataset_dir)
    if about.attribution:
        yield f"By: {about.attribution}"
    if about.source:
        is_path = os.path.isabs(about.source)  # of this machine: not for publication
        source = os.path.basename(about.source.rstrip("/")) if is_path else about.source
        yield f"From: {source}"


def _trained(run: RunDirectory) -> _Trained:
    """Returns the options of a run that its card shows.

    Raises:
      UserError: if config.json is damaged.
    """
    config = run.read_config(_CardConfig)
    return config.options if config else _Trained()


def _origin(dataset_dir: str | None) -> _Origin:
    """Returns whose images those of a dataset are, if it is still there and says so."""
    path = os.path.join(dataset_dir or "", "dataset_info.json")
    try:
        return (dataset_dir and _json.read(path, _Origin, advice="")) or _Origin()
    except _checks.UserError:
        return _Origin()


def _whole_run(run: RunDirectory) -> RunDirectory:
    """Returns the run that a directory belongs to: `best` is a folder of a run."""
    if not os.path.exists(run.metrics_path) and os.path.basename(run.path.rstrip("/")) == "best":
        return RunDirectory(os.path.dirname(os.path.abspath(run.path)))
    return run


def _measured(split: str, values: Mapping[str, Any]) -> Measured:
    recall = (
        {f"recall_at_{values['k']}": values["recall_at_k"]}
        if values.keys() >= {"k", "recall_at_k"}
        else {}
    )
    rest = {name: values[name] for name in ("macro_recall", "loss") if name in values}
    metrics = {"accuracy": values["accuracy"], **recall, **rest}
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return Measured(split, values["num_images"], finite)
