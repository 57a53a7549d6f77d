"""Evaluation: a checkpoint's accuracy on a split, each image counted once."""

import dataclasses
import math
import os
from typing import Any

import numpy as np
import tensorflow as tf

from classifier import facts, images, inputs, model
from classifier.config.trained import EvalConfig
from classifier.exit_codes import ExitCode
from classifier.resolve_trained import ResolvedEvaluation
from classifier.run_directory import write_json
from slim import _checks, metrics
from slim.events import EventFile

_USUAL_CAUSES = (
    "this is hardly better than chance. The usual causes: another preprocessing or image size than "
    "in training (preprocessing_name, eval_image_size), labels shifted by one (labels_offset), "
    "classes in another order than in training"
)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
      accuracy: share of the images whose class had the highest score.
      recall_at_k: share whose class was among the k highest.
      k: 5, or the number of classes where that is smaller.
      macro_recall: mean over the classes of each class's recall.
      loss: mean cross entropy.
      num_images: images counted.
    """

    accuracy: float
    recall_at_k: float
    k: int
    macro_recall: float
    loss: float
    num_images: int


def run(config: EvalConfig) -> ExitCode | None:
    """Evaluates a checkpoint and prints what came of it.

    Args:
      config: the options of `eval_image_classifier.py`.

    Raises:
      UserError: if there is no checkpoint, it is not the model's, or the data is not there.
      RunError: if the checkpoint or the data cannot be read, or the logits are no numbers.
    """
    resolved, dataset_name = facts.evaluation(config)
    data = config.data
    dataset = facts.open_dataset(dataset_name, data.dataset_split_name, data.dataset_dir)
    classifier = model.InferenceModel(
        resolved.model, config.run.checkpoint_path, resolved.image_size
    )
    weights = "moving averages of the weights" if classifier.used_averages else "weights"
    where = f"{dataset_name} {data.dataset_split_name}"
    print(f"Evaluating the {weights} of {classifier.prefix} on {where}")
    for warning in facts.evaluation_warnings(resolved):
        print(f"warning: {warning}", flush=True)
    with inputs.translate_errors(dataset):
        found = evaluate(classifier, _batches(resolved, dataset), resolved.num_batches)
    tell(found, data.dataset_split_name, resolved.num_images)
    described = facts.is_described_by_options(config.run.checkpoint_path)
    if described and _is_chance(found.accuracy, classifier.info.num_classes):
        print(f"warning: {_USUAL_CAUSES}", flush=True)
    _keep(found, config, classifier)
    return None


def evaluate(
    classifier: model.InferenceModel, batches: tf.data.Dataset, num_batches: int
) -> Evaluation:
    """Counts how often a model is right.

    Args:
      classifier: the model.
      batches: from `inputs.evaluation_dataset`.
      num_batches: how many to look at.

    Raises:
      RunError: if a logit is not a finite number, for argmax would name a class all the same.
    """
    classes = classifier.info.num_classes
    accuracy, recall, loss = metrics.Accuracy(), metrics.RecallAtK(min(5, classes)), metrics.Mean()
    confusion = metrics.ConfusionMatrix(classes)

    @tf.function(autograph=False)
    def step(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        logits = tf.cast(classifier(batch["image"])["logits"], tf.float32)
        labels, mask = batch["label"], batch["mask"]
        predicted = tf.argmax(logits, axis=-1)
        accuracy.update(predicted, labels, mask)
        recall.update(logits, labels, mask)
        loss.update(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), mask)
        confusion.update(predicted, labels, mask)
        return tf.reduce_all(tf.math.is_finite(tf.boolean_mask(logits, mask)))

    for number, batch in enumerate(batches.take(num_batches)):
        if not step(batch):
            raise _checks.RunError(
                f"the logits of batch {number} are not all finite numbers: {classifier.prefix} is "
                "of a run that diverged, or the images are not what the network expects"
            )
    recalls = confusion.recalls()
    present = recalls[~np.isnan(recalls)]
    return Evaluation(
        accuracy=accuracy.result(),
        recall_at_k=recall.result(),
        k=recall.k,
        macro_recall=float(present.mean()) if present.size else math.nan,
        loss=loss.result(),
        num_images=round(accuracy.count),
    )


def tell(found: Evaluation, split_name: str, num_images: int) -> None:
    """Prints the findings, the accuracy first."""
    counted = f"({found.num_images} of {num_images} images)"
    print(f"{split_name} accuracy {found.accuracy:.3f} {counted}")
    print(f"{split_name} recall_{found.k} {found.recall_at_k:.4f}")
    print(f"{split_name} macro recall {found.macro_recall:.4f}")
    print(f"{split_name} loss {found.loss:.4f}", flush=True)


def _is_chance(accuracy: float, num_classes: int) -> bool:
    # Of a few classes, a poor model of the right images may get no more right.
    return num_classes >= 10 and accuracy < 2 / num_classes


def _batches(resolved: ResolvedEvaluation, dataset: Any) -> tf.data.Dataset:
    config, info = resolved.config, resolved.model
    return inputs.evaluation_dataset(
        dataset,
        preprocessing_fn=images.preprocessing_fn(info, is_training=False),
        image_size=resolved.image_size,
        batch_size=config.run.batch_size,
        labels_offset=info.labels_offset,
        num_classes=info.num_classes,
        num_preprocessing_threads=config.data.num_preprocessing_threads,
    )


def _keep(found: Evaluation, config: EvalConfig, classifier: model.InferenceModel) -> None:
    """Writes the findings as events, and as JSON if asked for."""
    values = dataclasses.asdict(found)
    step = classifier.step or 0
    beside = (
        classifier.prefix
        if os.path.isdir(classifier.prefix)
        else os.path.dirname(classifier.prefix)
    )
    events = EventFile(config.run.eval_dir or os.path.join(beside, "eval"))
    split = config.data.dataset_split_name
    events.scalars(step, {f"{split}/{name}": value for name, value in values.items()})
    events.close()
    if config.run.eval_json is not None:
        about = {"checkpoint": classifier.prefix, "step": step, "split": split}
        write_json(config.run.eval_json, about | values)
