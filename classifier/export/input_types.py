"""Input types of exports: signature, preprocessing and trial inputs."""

import math
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from classifier.config.problems import Problem, named
from classifier.export import checks, samples
from classifier.export.samples import Samples
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from slim import _checks
from slim._image_limits import MAX_PIXELS

PIXELS = "pixels"


def make_trial(
    name: str,
    classifier: InferenceModel,
    batch_size: int | None,
    real: Samples,
    max_pixels: int = MAX_PIXELS,
) -> checks.Trial:
    """Returns the trial of an input type.

    Args:
      name: one of `classifier.config.export.INPUT_TYPES`, or `PIXELS`: images of the network's
        size before normalization.
      classifier: model whose preprocessing and image size are used.
      batch_size: batch size; None for any.
      real: real images.
      max_pixels: maximum number of pixels of an encoded image.
    """
    if name == "encoded_image":
        return _encoded_image(classifier, batch_size, real, max_pixels)
    if name == "uint8_image":
        return _uint8_image(classifier, batch_size, real)
    if name == PIXELS:
        return _pixels(classifier, batch_size, real)
    return _float_image(classifier, batch_size, real)


def _float_image(classifier: InferenceModel, batch_size: int | None, real: Samples) -> checks.Trial:
    shape = _num_random(batch_size), *classifier.example_shape
    random = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    return checks.Trial(
        spec=tf.TensorSpec([batch_size, *classifier.image_shape], tf.float32),
        preprocess=lambda images: images,  # `tf.identity` would add an op
        random=checks.make_batches(random, batch_size),
        real=checks.make_batches(samples.preprocessed(real, classifier), batch_size),
        samples=real,
    )


def _pixels(classifier: InferenceModel, batch_size: int | None, real: Samples) -> checks.Trial:
    shape = _num_random(batch_size), *classifier.example_shape
    random = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    pixels = samples.pixels(real, classifier)
    return checks.Trial(
        spec=tf.TensorSpec([batch_size, *classifier.image_shape], tf.uint8),
        preprocess=preprocessing.normalize_fn(classifier.info),
        random=checks.make_batches(random, batch_size),
        real=checks.make_batches(pixels, batch_size),
        samples=real,
    )


def _uint8_image(classifier: InferenceModel, batch_size: int | None, real: Samples) -> checks.Trial:
    channels, copies = preprocessing.decoded_channels(classifier.info), batch_size or 1
    return checks.Trial(
        spec=tf.TensorSpec([batch_size, None, None, channels], tf.uint8),
        preprocess=preprocessing.image_batch_fn(classifier.info, classifier.image_size),
        random=checks.make_batches(_noise(classifier, batch_size), batch_size),
        # The images in a batch have one size, but the sizes of the samples may differ.
        real=[tf.constant(np.stack([image] * copies)) for image in real.images],
        samples=real,
        copies=copies,
    )


def _encoded_image(
    classifier: InferenceModel, batch_size: int | None, real: Samples, max_pixels: int
) -> checks.Trial:
    def encoded(images: Iterable[np.ndarray]) -> tf.Tensor:
        return tf.stack([tf.io.encode_png(image) for image in images])

    noise = _noise(classifier, batch_size)
    largest = max(math.prod(image.shape[:2]) for image in (*noise, *real.images))
    if largest > max_pixels:
        raise _checks.UserError(
            Problem(
                "{} is too small: the export is verified with images of up to {} pixels",
                named("max_pixels", max_pixels),
                largest,
            )
        )
    return checks.Trial(
        spec=tf.TensorSpec([batch_size], tf.string),
        preprocess=preprocessing.encoded_batch_fn(
            classifier.info, classifier.image_size, max_pixels
        ),
        random=checks.make_batches(encoded(noise), batch_size),
        real=checks.make_batches(encoded(real.images), batch_size),
        samples=real,
    )


def _num_random(batch_size: int | None) -> int:
    size = batch_size or checks.NUM_RANDOM
    return -(-checks.NUM_RANDOM // size) * size


def _noise(classifier: InferenceModel, batch_size: int | None) -> np.ndarray:
    # Another size than the network's, so that resizing is included.
    height, width = (side + side // 4 + 1 for side in classifier.image_size)
    channels = preprocessing.decoded_channels(classifier.info)
    shape = [_num_random(batch_size), height, width, channels]
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
