"""Evaluation: a checkpoint's accuracy on a split, each image counted once."""

import dataclasses
import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from classifier import inputs, ownership
from classifier.checkpoints import sources
from classifier.cli.exit_codes import ExitCode
from classifier.config import problems
from classifier.config.evaluation import EvalConfig
from classifier.config.problems import Problem, named
from classifier.inference import metrics, precise_batch_norm
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.resolve import warnings
from classifier.resolve.evaluation import ResolvedEvaluation, check_evaluation, evaluation
from classifier.run_directory import RunDirectory
from slim import _paths
from slim.events import EventFile

_NEAR_CHANCE = Problem(
    "accuracy is close to chance. Common causes: another preprocessing or image size than in"
    " training ({}, {}), labels shifted by one ({}), another order of classes than in training",
    named("preprocessing_name"),
    named("eval_image_size"),
    named("labels_offset"),
)

_TRAINING_SPLIT = "train"
_MIN_GAIN = 0.02  # in accuracy, for the warning
_UNSETTLED = Problem(
    "batch norm's moving averages have not converged. Train longer, or with a lower {}; when"
    " fine-tuning, with {}",
    named("batch_norm_decay"),
    named("freeze_batch_norm"),
)


def run(config: EvalConfig) -> ExitCode | None:
    """Evaluates a checkpoint and prints the metrics.

    Args:
      config: the options of `eval_image_classifier.py`.

    Raises:
      UserError: if there is no checkpoint or data, they do not match the model, or `eval_json` is a
        file that no evaluation wrote.
      RunError: if the checkpoint or the data cannot be read, or the logits are not finite.
    """
    ownership.check_output("eval_json", config.run.eval_json)
    check_evaluation(config.run)
    checkpoint = sources.open_checkpoint(config.run.checkpoint_path)
    resolved = evaluation(config, checkpoint.info)
    data = config.data
    dataset = inputs.open_dataset(
        resolved.dataset_name, data.dataset_split_name, data.dataset_dir, data.max_pixels
    )
    classifier = InferenceModel(resolved.model, checkpoint, resolved.image_size)
    ownership.check_evaluation(_eval_dir(config, checkpoint.run), config.run.eval_dir is None)
    recalibrate = _recalibration(resolved, classifier)
    _report_model(classifier, f"{resolved.dataset_name} {data.dataset_split_name}")
    for warning in _warnings(resolved, classifier):
        print(f"warning: {problems.as_flags(warning)}", flush=True)
    evaluator = metrics.Evaluator(classifier)

    def evaluate() -> metrics.Evaluation:
        with inputs.translate_errors(dataset):
            return evaluator(_batches(resolved, dataset), resolved.num_batches)

    result = evaluate()
    metrics.report(result, data.dataset_split_name, resolved.num_images)
    metrics.report_as_tf_slim(result)
    if resolved.is_described and _is_chance(result.accuracy, classifier.info.num_classes):
        print(f"warning: {_NEAR_CHANCE.as_flags}", flush=True)
    values = dataclasses.asdict(result)
    if recalibrate is not None:
        recalibrate()
        recalibrated = evaluate()
        _report_recalibrated(recalibrated, result, resolved)
        values |= {
            f"recalibrated_{name}": value
            for name, value in dataclasses.asdict(recalibrated).items()
        }
    _write(values, config, checkpoint.run, classifier.step or 0, classifier.prefix)
    return None


def _warnings(resolved: ResolvedEvaluation, classifier: InferenceModel) -> Iterator[str]:
    if resolved.is_described:
        yield from warnings.of_checkpoint(
            classifier.prefix, resolved.model, resolved.image_size, classifier.unused_averages
        )


def _report_model(classifier: InferenceModel, where: str) -> None:
    weights = "moving averages of the weights" if classifier.used_averages else "weights"
    if classifier.info.quantized:
        weights += ", rounded to 8 bits,"
    print(f"Evaluating the {weights} of {classifier.prefix} on {where}")


def _recalibration(
    resolved: ResolvedEvaluation, classifier: InferenceModel
) -> Callable[[], None] | None:
    """Returns a function that recomputes batch norm's statistics on training images, if enabled."""
    config, info = resolved.config, resolved.model
    if not config.run.recalibrate_batch_norm:
        return None
    recalibration = precise_batch_norm.PreciseBatchNorm(classifier)
    data = config.data
    dataset = inputs.open_dataset(
        resolved.dataset_name, _TRAINING_SPLIT, data.dataset_dir, data.max_pixels
    )
    batches = inputs.training_dataset(
        dataset,
        preprocessing_fn=preprocessing.preprocessing_fn(info, is_training=True),
        image_size=resolved.image_size,
        batch_size=config.run.batch_size,
        seed=0,
        labels_offset=info.labels_offset,
        num_classes=info.num_classes,
        num_preprocessing_threads=config.data.num_preprocessing_threads,
    )

    def recalibrate() -> None:
        with inputs.translate_errors(dataset):
            recalibration(batches.take(config.run.recalibrate_batch_norm))

    return recalibrate


def _report_recalibrated(
    result: metrics.Evaluation, before: metrics.Evaluation, resolved: ResolvedEvaluation
) -> None:
    options = resolved.config.run
    print(
        f"With batch norm statistics of {options.recalibrate_batch_norm} batches of"
        f" {options.batch_size} images of {_TRAINING_SPLIT} instead of its moving averages:"
    )
    metrics.report(result, resolved.config.data.dataset_split_name, resolved.num_images)
    if result.accuracy - before.accuracy > _MIN_GAIN:
        print(f"warning: {_UNSETTLED.as_flags}", flush=True)


def _is_chance(accuracy: float, num_classes: int) -> bool:
    # With few classes, a poor model on valid images may be as bad.
    return num_classes >= 10 and accuracy < 2 / num_classes


def _batches(resolved: ResolvedEvaluation, dataset: Any) -> tf.data.Dataset:
    config, info = resolved.config, resolved.model
    return inputs.evaluation_dataset(
        dataset,
        preprocessing_fn=preprocessing.preprocessing_fn(info, is_training=False),
        image_size=resolved.image_size,
        batch_size=config.run.batch_size,
        labels_offset=info.labels_offset,
        num_classes=info.num_classes,
        num_preprocessing_threads=config.data.num_preprocessing_threads,
    )


def _eval_dir(config: EvalConfig, run: RunDirectory) -> str:
    return config.run.eval_dir or os.path.join(run.path, "eval")


def _write(
    values: Mapping[str, float], config: EvalConfig, run: RunDirectory, step: int, prefix: str
) -> None:
    """Writes the metrics as events and, if requested, as JSON."""
    split = config.data.dataset_split_name
    if config.run.eval_json is not None:
        about = {"checkpoint": prefix, "step": step, "split": split}
        text = json.dumps({**about, **values}, indent=2, ensure_ascii=False) + "\n"
        _paths.write_new_file(config.run.eval_json, text.encode())
    directory = _eval_dir(config, run)
    if config.run.eval_dir is None and not _is_writable(directory):
        problem = Problem(
            "no events written: {} is read-only. Set {} to another directory",
            directory,
            named("eval_dir"),
        )
        print(f"warning: {problem.as_flags}")
        return
    events = EventFile(directory)
    events.scalars(step, {f"{split}/{name}": value for name, value in values.items()})
    events.close()


def _is_writable(directory: str) -> bool:
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        return False
    return os.access(directory, os.W_OK)
