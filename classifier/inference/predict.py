"""Prediction: class names for images."""

import collections
import contextlib
import errno
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import NamedTuple, TypeVar

import numpy as np
import tensorflow as tf
import tqdm

from classifier import ownership
from classifier.checkpoints import sources
from classifier.cli.exit_codes import ExitCode
from classifier.config import formats
from classifier.config.prediction import PredictConfig
from classifier.config.serving import ServeConfig
from classifier.inference import (
    answers,
    choices,
    clones,
    exported,
    feature_file,
    image_files,
    neighbors,
    predictor,
)
from classifier.inference.answers import Answer
from classifier.inference.explanations import Explanations
from classifier.inference.model import InferenceModel
from classifier.inference.predictor import Outputs
from classifier.resolve import published_model
from classifier.resolve.prediction import check_exported, prediction
from datasets import progress
from deployment.strategies import split_cpu
from slim import _checks, _cores, _image_limits, _json, _terminal

_MAX_LISTED = 5
T = TypeVar("T")


def run(config: PredictConfig) -> ExitCode | None:
    """Prints the most probable classes of images, or their nearest images in a dataset.

    Args:
      config: the options of `predict_image_classifier.py`.

    Raises:
      UserError: if there is no model or no image, an option does not fit the model, an output file
        or `explain_dir` exists that no prediction wrote, or the network cannot be explained.
      RunError: if an image cannot be decoded; the others are classified first.
    """
    options = config.run
    ownership.check_output("output_csv", options.output_csv)
    ownership.check_output("features_file", options.features_file)
    paths = image_files.find(options.images, options.image_list)
    limits = (options.batch_size, options.max_pixels, options.num_preprocessing_threads)
    bad: list[str] = []
    with_neighbors = options.neighbors is not None
    with (
        _opened(config) as opened,
        answers.csv_file(options.output_csv, with_neighbors) as add_to_csv,
        feature_file.feature_file(options.features_file) as add_features,
        progress.bar(len(paths), "img", "predict") as bar,
    ):
        answers.show_header(options.output_format, with_neighbors)
        for path, outputs in predict(opened.predictor, paths, *limits, opened.explain):
            row = _answer(path, outputs, opened)
            if row.problem:
                bad.append(f"{_json.printable(path)}: {row.problem}")
            elif options.features_file is not None:
                add_features(path, outputs.features)
            with _above(bar):
                answers.show(row, options.output_format)
            add_to_csv(row)
            bar.update()
    if bad:
        raise _checks.RunError(
            f"{len(bad)} of {len(paths)} images cannot be decoded:"
            f" {_checks.listed(bad, _MAX_LISTED)}"
        )
    return None


class _Opened(NamedTuple):
    """The model of a prediction, and the number of classes or neighbors to show."""

    predictor: predictor.Predictor
    top_k: int
    finds_neighbors: bool = False
    explain: Explanations | None = None


@contextlib.contextmanager
def _opened(config: PredictConfig) -> Iterator[_Opened]:
    options = config.run
    export = formats.find_export(options.checkpoint_path)
    if export is not None:
        check_exported(options)
        yield _Opened(*open_export(config, export))
        return
    if options.split_cpu:
        split_cpu(options.split_cpu)
    strategy = clones.strategy_of(options.num_clones, options.clone_on_cpu, options.batch_size)
    with strategy.scope():
        classifier, top_k = open_checkpoint(config)
    if options.neighbors is None:
        explain = None
        if options.explain_dir is not None:
            explain = Explanations(options.explain_dir, classifier, options.explain_end_point)
        model = predictor.of_checkpoint(classifier, options.max_pixels, options.features, strategy)
        yield _Opened(model, top_k, explain=explain)
        return
    limits = options.max_pixels, options.batch_size
    with neighbors.open_neighbors(
        classifier, options.neighbors, options.neighbors_split, *limits
    ) as index:
        model = predictor.of_neighbors(classifier, index, options.top_k, options.max_pixels)
        yield _Opened(model, options.top_k, finds_neighbors=True)


def open_export(
    config: PredictConfig | ServeConfig, export: formats.ExportedModel
) -> tuple[predictor.Predictor, int]:
    """Returns the predictor of an exported model, and the number of classes to show.

    Args:
      config: the options.
      export: the model at `checkpoint_path`.

    Raises:
      UserError: if it is not a model that classifies images, or an option does not fit it.
      RunError: if it cannot be loaded.
    """
    config = published_model.of_trained(config)
    info = exported.read_model_info(export)
    runtime = exported.load(export, info, multi_label=bool(config.model.multi_label))
    resolved = prediction(config, info, lambda _: runtime.num_classes)
    size = config.model.image_size or runtime.image_size or resolved.image_size
    model = predictor.of_export(runtime, resolved.model, size, config.run.max_pixels)
    return model, resolved.top_k


def open_checkpoint(config: PredictConfig | ServeConfig) -> tuple[InferenceModel, int]:
    """Returns the network restored from a checkpoint, and the number of classes to show.

    Args:
      config: the options.

    Raises:
      UserError: if there is no checkpoint, or an option does not fit it.
    """
    config = published_model.of_trained(config)
    if line := published_model.in_words(config.run.checkpoint_path):
        print(line, file=sys.stderr)
    checkpoint = sources.open_checkpoint(config.run.checkpoint_path)
    resolved = prediction(config, checkpoint.info, checkpoint.head_classes)
    return InferenceModel(resolved.model, checkpoint, resolved.image_size), resolved.top_k


@contextlib.contextmanager
def _above(bar: tqdm.tqdm) -> Iterator[None]:
    """Keeps a progress bar below what the block prints, if both are on a terminal."""
    if not (_terminal.is_terminal(sys.stdout) and _terminal.is_terminal(sys.stderr)):
        yield
        return
    with bar.external_write_mode(sys.stdout):
        yield


def _answer(path: str, outputs: Outputs | str, opened: _Opened) -> Answer:
    if isinstance(outputs, str):
        return Answer(path, problem=outputs, neighbors=() if opened.finds_neighbors else None)
    if outputs.probabilities is None:
        return Answer(path, neighbors=outputs.neighbors)
    model = opened.predictor
    choose = choices.choice(model.info, model.calibration, opened.top_k)
    return answer(path, outputs.probabilities, model.info.class_names, choose)


def answer(
    path: str,
    probabilities: np.ndarray | str,
    class_names: Sequence[str],
    choose: choices.Choice,
) -> Answer:
    """Returns the answer to an image.

    Args:
      path: of the image.
      probabilities: [classes], or why the image cannot be decoded.
      class_names: names of the classes.
      choose: which classes are the answer.
    """
    if isinstance(probabilities, str):
        return Answer(path, problem=probabilities)
    best, is_rejected = choose(probabilities)
    classes = [(class_names[i], float(probabilities[i])) for i in best]
    return Answer(path, classes, is_rejected=is_rejected)


def predict(
    model: predictor.Predictor,
    paths: Sequence[str],
    batch_size: int,
    max_pixels: int = _image_limits.MAX_PIXELS,
    threads: int | None = None,
    explain: Explanations | None = None,
) -> Iterator[tuple[str, Outputs | str]]:
    """Yields for each image its path and its outputs, or the reason why it cannot be decoded, in
    the order of the paths.

    The next images are read and decoded while the network runs.

    Args:
      model: the model.
      paths: of the images.
      batch_size: number of images of a batch.
      max_pixels: maximum number of pixels of an image.
      threads: number of images to decode in parallel; None for the number of cores.
      explain: explains each batch.
    """

    def prepare(path: str) -> tuple[str, tf.Tensor | str]:
        return path, _prepared(path, model, max_pixels)

    with futures.ThreadPoolExecutor(threads or _cores.usable_cores()) as pool:
        prepared = _ahead(pool, prepare, paths, 2 * batch_size)
        while batch := list(itertools.islice(prepared, batch_size)):
            images = [image for _, image in batch if not isinstance(image, str)]
            # Always the same size, for the same bits: kernels may sum in another order for another.
            size = batch_size if len(paths) > batch_size else model.min_batch
            missing = max(0, size - len(images))
            results = model.network(images + images[-1:] * missing) if images else ()
            if explain is not None and images:
                good = [path for path, image in batch if not isinstance(image, str)]
                explain(good, tf.stack(images), _probabilities(results[: len(good)]))
            rows = iter(results)
            for path, image in batch:
                yield path, image if isinstance(image, str) else next(rows)


def _probabilities(outputs: Sequence[Outputs | str]) -> np.ndarray:
    """Returns the probabilities of a checkpoint's outputs, [images, classes]."""
    return np.stack([each.probabilities for each in outputs])


def _prepared(path: str, model: predictor.Predictor, max_pixels: int) -> tf.Tensor | str:
    """Returns a prepared image, or the reason why there is none."""
    try:
        return model.prepare_file(_image_limits.read(path, max_pixels))
    except OSError as error:
        is_limit = error.errno == errno.EFBIG
        return f"{'' if is_limit else 'cannot be read: '}{error.strerror}"


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
