"""Prediction: class names for images."""

import csv
import errno
import glob
import io
import os
import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from classifier import ownership
from classifier.checkpoints import sources
from classifier.cli.exit_codes import ExitCode
from classifier.config import problems
from classifier.config.prediction import PredictConfig
from classifier.config.problems import named
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.resolve.prediction import prediction
from slim import _checks, _image_limits, _json, _paths
from slim.data import image_header


def run(config: PredictConfig) -> ExitCode | None:
    """Prints the most probable classes of images.

    Args:
      config: the options of `predict_image_classifier.py`.

    Raises:
      UserError: if there is no checkpoint or no image, or `output_csv` is a file that no prediction
        wrote.
      RunError: if an image cannot be decoded; the others are classified first.
    """
    ownership.check_output("output_csv", config.output_csv)
    checkpoint = sources.open_checkpoint(config.checkpoint_path)
    resolved = prediction(config, checkpoint.info)
    paths = find_images(config.images)
    classifier = InferenceModel(resolved.model, checkpoint)
    rows: list[list[str | float]] = []
    bad: list[str] = []
    for path, probabilities in predict(classifier, paths, config.batch_size, config.max_pixels):
        if isinstance(probabilities, str):
            bad.append(f"{_json.printable(path)}: {probabilities}")
            continue
        best = np.argsort(-probabilities, kind="stable")[: resolved.top_k]
        predictions = [(classifier.info.class_names[i], float(probabilities[i])) for i in best]
        line = f"{path}: " + ", ".join(f"{name} {p:.4f}" for name, p in predictions)
        print(_json.printable(line), flush=True)
        rows += [[path, rank, name, p] for rank, (name, p) in enumerate(predictions, 1)]
    if config.output_csv is not None:
        _write_csv(config.output_csv, rows)
    if bad:
        raise _checks.RunError(
            f"{len(bad)} of {len(paths)} images cannot be decoded: {_checks.listed(bad, 5)}"
        )
    return None


def find_images(pattern: str) -> list[str]:
    """Returns the files that a path, a directory or a pattern matches, sorted.

    Raises:
      UserError: if there are none.
    """
    if os.path.isdir(pattern):
        entries = (
            os.path.join(pattern, name) for name in os.listdir(pattern) if not name.startswith(".")
        )
        files = [path for path in entries if os.path.isfile(path)]
    else:
        # A file whose name contains brackets is a file, not a pattern.
        files = [pattern] if os.path.isfile(pattern) else glob.glob(pattern, recursive=True)
    if not files:
        raise problems.error("{} matches no file", named("images", repr(pattern)))
    return sorted(files)


def predict(
    classifier: InferenceModel,
    paths: Sequence[str],
    batch_size: int,
    max_pixels: int = _image_limits.MAX_PIXELS,
) -> Iterator[tuple[str, np.ndarray | str]]:
    """Yields for each image its path and its probabilities [classes], or the reason why it cannot
    be decoded."""
    decode = tf.function(
        preprocessing.encoded_image_fn(classifier.info, classifier.image_shape[:2], max_pixels),
        autograph=False,
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    network = tf.function(lambda batch: classifier(batch)["probabilities"], autograph=False)
    for start in range(0, len(paths), batch_size):
        answers: dict[str, np.ndarray | str] = {}
        decoded = []
        for path in paths[start : start + batch_size]:
            try:
                decoded.append((path, decode(tf.constant(_image_limits.read(path, max_pixels)))))
            except OSError as error:
                is_limit = error.errno == errno.EFBIG
                answers[path] = f"{'' if is_limit else 'cannot be read: '}{error.strerror}"
            except tf.errors.OpError as error:
                answers[path] = _reason(str(error.message))
        if decoded:
            probabilities = network(tf.stack([image for _, image in decoded])).numpy()
            answers.update(zip((path for path, _ in decoded), probabilities, strict=True))
        yield from ((path, answers[path]) for path in paths[start : start + batch_size])


def _reason(message: str) -> str:
    """Extracts the reason from TensorFlow's error message."""
    problem = image_header.find_problem(message)
    if problem is not None:
        return problem
    match = re.search(r"(.*)\n\t \[\[\{\{node", message)
    return (match[1] if match else message.splitlines()[0])[:120]


def _write_csv(path: str, rows: Sequence[Sequence[str | float]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["file", "rank", "class", "probability"])
    writer.writerows(rows)
    _paths.write_new_file(path, text.getvalue().encode(errors="surrogateescape"))
