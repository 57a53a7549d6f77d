"""Prediction: class names for images."""

import collections
import contextlib
import errno
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import TypeVar

import numpy as np
import tensorflow as tf

from classifier import ownership
from classifier.checkpoints import sources
from classifier.cli.exit_codes import ExitCode
from classifier.config.prediction import PredictConfig
from classifier.inference import answers, image_files
from classifier.inference.answers import Answer
from classifier.inference.explanations import Explanations
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.resolve.prediction import prediction
from datasets import progress
from slim import _checks, _cores, _image_limits, _json
from slim.data import image_header

_MAX_LISTED = 5
T = TypeVar("T")


def run(config: PredictConfig) -> ExitCode | None:
    """Prints the most probable classes of images.

    Args:
      config: the options of `predict_image_classifier.py`.

    Raises:
      UserError: if there is no checkpoint or no image, `output_csv` is a file or `explain_dir` a
        directory that no prediction wrote, or the network cannot be explained.
      RunError: if an image cannot be decoded; the others are classified first.
    """
    options = config.run
    ownership.check_output("output_csv", options.output_csv)
    checkpoint = sources.open_checkpoint(options.checkpoint_path)
    resolved = prediction(config, checkpoint.info, checkpoint.head_classes)
    paths = image_files.find(options.images, options.image_list)
    classifier = InferenceModel(resolved.model, checkpoint, resolved.image_size)
    limits = (options.batch_size, options.max_pixels, options.num_preprocessing_threads)
    explain = None
    if options.explain_dir is not None:
        explain = Explanations(options.explain_dir, classifier, options.explain_end_point)
    bad: list[str] = []
    answers.show_header(options.output_format)
    with answers.csv_file(options.output_csv) as add_to_csv, _progress(len(paths)) as count:
        for path, probabilities in predict(classifier, paths, *limits, explain):
            names, threshold = classifier.info.class_names, classifier.rejection_threshold
            row = answer(path, probabilities, names, resolved.top_k, threshold)
            if row.problem:
                bad.append(f"{_json.printable(path)}: {row.problem}")
            answers.show(row, options.output_format)
            add_to_csv(row)
            count()
    if bad:
        raise _checks.RunError(
            f"{len(bad)} of {len(paths)} images cannot be decoded:"
            f" {_checks.listed(bad, _MAX_LISTED)}"
        )
    return None


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[], object]]:
    """Returns a function that counts an image in a progress bar, unless lines are on a terminal."""
    if sys.stdout.isatty():
        yield lambda: None
        return
    with progress.bar(total, "img", "predict") as bar:
        yield bar.update


def answer(
    path: str,
    probabilities: np.ndarray | str,
    class_names: Sequence[str],
    top_k: int,
    threshold: float | None,
) -> Answer:
    """Returns the answer to an image.

    Args:
      path: of the image.
      probabilities: [classes], or why the image cannot be decoded.
      class_names: names of the classes.
      top_k: number of classes of the answer.
      threshold: probability below which no class is the answer; None for none.
    """
    if isinstance(probabilities, str):
        return Answer(path, problem=probabilities)
    best = np.argsort(-probabilities, kind="stable")[:top_k]
    is_rejected = threshold is not None and bool(probabilities[best[0]] < threshold)
    classes = [(class_names[i], float(probabilities[i])) for i in best]
    return Answer(path, classes, is_rejected=is_rejected)


def predict(
    classifier: InferenceModel,
    paths: Sequence[str],
    batch_size: int,
    max_pixels: int = _image_limits.MAX_PIXELS,
    threads: int | None = None,
    explain: Explanations | None = None,
) -> Iterator[tuple[str, np.ndarray | str]]:
    """Yields for each image its path and its probabilities [classes], or the reason why it cannot
    be decoded, in the order of the paths.

    The next images are read and decoded while the network runs.

    Args:
      classifier: the model.
      paths: of the images.
      batch_size: number of images of a batch.
      max_pixels: maximum number of pixels of an image.
      threads: number of images to decode in parallel; None for the number of cores.
      explain: explains each batch.
    """
    decode = tf.function(
        preprocessing.encoded_image_fn(classifier.info, classifier.image_shape[:2], max_pixels),
        autograph=False,
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    network = tf.function(
        lambda batch: classifier(batch)["probabilities"],
        autograph=False,
        input_signature=[tf.TensorSpec([None, *classifier.image_shape], tf.float32)],
    )

    def prepare(path: str) -> tuple[str, tf.Tensor | str]:
        return path, _prepared(path, decode, max_pixels)

    with futures.ThreadPoolExecutor(threads or _cores.usable_cores()) as pool:
        prepared = _ahead(pool, prepare, paths, 2 * batch_size)
        while batch := list(itertools.islice(prepared, batch_size)):
            images = [image for _, image in batch if not isinstance(image, str)]
            results = network(tf.stack(images)).numpy() if images else ()
            if explain is not None and images:
                good = [path for path, image in batch if not isinstance(image, str)]
                explain(good, tf.stack(images), results)
            rows = iter(results)
            for path, image in batch:
                yield path, image if isinstance(image, str) else next(rows)


def _prepared(
    path: str, decode: Callable[[tf.Tensor], tf.Tensor], max_pixels: int
) -> tf.Tensor | str:
    """Returns a prepared image, or the reason why there is none."""
    try:
        return decode(tf.constant(_image_limits.read(path, max_pixels)))
    except OSError as error:
        is_limit = error.errno == errno.EFBIG
        return f"{'' if is_limit else 'cannot be read: '}{error.strerror}"
    except tf.errors.OpError as error:
        return _reason(str(error.message))


def _ahead(
    pool: futures.Executor, function: Callable[[str], T], items: Sequence[str], number: int
) -> Iterator[T]:
    """Yields the results in order; up to `number` are computed in advance."""
    started: collections.deque[futures.Future[T]] = collections.deque()
    waiting = iter(items)
    try:
        for item in itertools.islice(waiting, number):
            started.append(pool.submit(function, item))
        while started:
            result = started.popleft().result()
            started.extend(pool.submit(function, item) for item in itertools.islice(waiting, 1))
            yield result
    finally:
        for each in started:
            each.cancel()


def _reason(message: str) -> str:
    """Extracts the reason from TensorFlow's error message."""
    problem = image_header.find_problem(message)
    if problem is not None:
        return problem
    if "Unknown image file format" in message:
        return "is not a JPEG, PNG, GIF, BMP or WebP image"
    text = re.sub(r"\{\{.*?\}\} ?", "", message.strip().splitlines()[0])
    detail = "" if text.startswith("Graph execution error") else f": {text[:120]}"
    return f"cannot be decoded{detail}"
