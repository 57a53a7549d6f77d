"""Evaluations for reports: random answers, and images to go with them."""

import io

import numpy as np
import PIL.Image

from classifier.inference.outcomes import Outcomes
from classifier.model_info import ModelInfo
from classifier.report import OtherSplit, ReportData

SHARD = 16  # images


def outcomes(labels, probabilities, k=5):
    """Returns the outcomes of images with these labels and probabilities [images, classes]."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float32)
    classes = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    images = np.arange(len(labels))
    return Outcomes(
        labels=labels,
        classes=classes,
        probabilities=np.take_along_axis(probabilities, classes, axis=1),
        label_probabilities=probabilities[images, labels],
        shards=images // SHARD,
        records=images % SHARD,
        filenames=[f"photos/{i}.jpg" if i % 5 else "" for i in images],
    )


def random(num_images, num_classes, seed=0, signal=2.5):
    """Returns the outcomes of a mediocre model that often takes a class for the one before it."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num_images)
    logits = rng.normal(size=(num_images, num_classes))
    images = np.arange(num_images)
    logits[images, labels] += signal + rng.normal(size=num_images)
    logits[images, labels - 1] += 1 + rng.normal(size=num_images)
    odds = np.exp(logits)
    return outcomes(labels, odds / odds.sum(axis=1, keepdims=True))


def jpeg(shard, record, side=64, mode="RGB"):
    """Returns a distinguishable image."""
    rng = np.random.default_rng([shard, record])
    buffer = io.BytesIO()
    small = PIL.Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
    small.resize((side, side), PIL.Image.Resampling.BICUBIC).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


def metrics(steps=40):
    """Returns lines of a metrics.jsonl, one of them with a loss that is not finite."""
    lines = [
        {"step": 10 * i, "loss": 3 / i, "accuracy": 1 - 1 / i, "learning_rate": 0.1 / i}
        for i in range(1, steps + 1)
    ]
    lines[5]["loss"] = float("inf")
    return [*lines, {"step": 10 * steps, "eval_accuracy": 0.8, "eval_loss": 0.6}]


def report_data(answers, class_names, **changes):
    """Returns the data of a report; `changes` replaces values."""
    values = {
        "outcomes": answers,
        "class_names": class_names,
        "model": ModelInfo(
            model_name="lenet",
            num_classes=len(class_names),
            image_size=(28, 28),
            preprocessing_name="lenet",
            versions={"slim": "0.1.0"},
        ),
        "checkpoint": "/runs/one/model.ckpt-400",
        "step": 400,
        "dataset": "things",
        "split": "validation",
        "metrics": metrics(),
        "config": {"options": {"learning_rate": 0.1, "max_pixels": None}, "resolved": {"k": [1]}},
        "image_bytes": jpeg,
    }
    return ReportData(**(values | changes))


def complete(num_images=200, num_classes=10, **changes):
    """Returns data with every section."""
    answers = random(num_images, num_classes)
    rng = np.random.default_rng(1)
    features = rng.normal(size=(num_images, 16)).astype(np.float32)
    others = rng.normal(size=(50, 16)).astype(np.float32)
    others[7] = features[3] * 1.01
    images = np.arange(50)
    other = OtherSplit(
        name="train",
        features=others,
        shards=images // SHARD,
        records=images % SHARD,
        filenames=[""] * 50,
        image_bytes=jpeg,
    )
    names = [f"class {i}" for i in range(num_classes)]
    values = {"class_names": names, "features": features, "other": other} | changes
    return report_data(values.pop("outcomes", answers), values.pop("class_names"), **values)
