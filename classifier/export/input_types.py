"""What an export takes, how it comes from there to what the network takes, and what it is tried
with."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from classifier.export import checks, samples
from classifier.export.samples import Samples
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from slim import _checks
from slim._image_limits import MAX_PIXELS

_Maker = Callable[[InferenceModel, int | None, Samples], checks.Trial]


def make(
    name: str,
    classifier: InferenceModel,
    batch_size: int | None,
    real: Samples,
    max_pixels: int = MAX_PIXELS,
) -> checks.Trial:
    """Returns an input type of `classifier.config.export.INPUT_TYPES`.

    Args:
      name: of the type.
      classifier: whose preprocessing and image size it has.
      batch_size: images at once; None for any number.
      real: images to try it with.
      max_pixels: largest number of pixels of an encoded image.
    """
    if name == "encoded_image":
        return _encoded_image(classifier, batch_size, real, max_pixels)
    return _MAKERS[name](classifier, batch_size, real)


def _float_image(classifier: InferenceModel, batch_size: int | None, real: Samples) -> checks.Trial:
    shape = _num_random(batch_size), *classifier.example_shape
    random = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    batches, rows = checks.batches_of(samples.prepared(real, classifier), batch_size)
    return checks.Trial(
        spec=tf.TensorSpec([batch_size, *classifier.image_shape], tf.float32),
        prepare=_as_it_is,
        random=checks.batches_of(random, batch_size)[0],
        real=batches,
        rows=rows,
        samples=real,
    )


def _as_it_is(prepared: tf.Tensor) -> tf.Tensor:
    return prepared  # and not `tf.identity`, which would be one op more


def _uint8_image(classifier: InferenceModel, batch_size: int | None, real: Samples) -> checks.Trial:
    channels, copies = preprocessing.decoded_channels(classifier.info), batch_size or 1
    return checks.Trial(
        spec=tf.TensorSpec([batch_size, None, None, channels], tf.uint8),
        prepare=preprocessing.picture_batch_fn(classifier.info, classifier.image_size),
        random=checks.batches_of(_noise(classifier, batch_size), batch_size)[0],
        # The pictures of a batch are of one size, and these may each have their own.
        real=[tf.constant(np.stack([picture] * copies)) for picture in real.pictures],
        rows=np.arange(len(real.pictures)) * copies,
        samples=real,
    )


def _encoded_image(
    classifier: InferenceModel, batch_size: int | None, real: Samples, max_pixels: int
) -> checks.Trial:
    def encoded(pictures: object) -> tf.Tensor:
        return tf.stack([tf.io.encode_png(picture) for picture in pictures])

    noise = _noise(classifier, batch_size)
    largest = max(math.prod(picture.shape[:2]) for picture in (*noise, *real.pictures))
    if largest > max_pixels:
        raise _checks.UserError(
            f"max_pixels={max_pixels} is too small: the export is checked on images with up to"
            f" {largest} pixels"
        )
    batches, rows = checks.batches_of(encoded(real.pictures), batch_size)
    return checks.Trial(
        spec=tf.TensorSpec([batch_size], tf.string),
        prepare=preprocessing.encoded_batch_fn(classifier.info, classifier.image_size, max_pixels),
        random=checks.batches_of(encoded(noise), batch_size)[0],
        real=batches,
        rows=rows,
        samples=real,
    )


def _num_random(batch_size: int | None) -> int:
    size = batch_size or checks.RANDOM_IMAGES
    return -(-checks.RANDOM_IMAGES // size) * size


def _noise(classifier: InferenceModel, batch_size: int | None) -> np.ndarray:
    # Not of the network's size, so that resizing takes part.
    height, width = (side + side // 4 + 1 for side in classifier.image_size)
    channels = preprocessing.decoded_channels(classifier.info)
    shape = [_num_random(batch_size), height, width, channels]
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


_MAKERS: Mapping[str, _Maker] = {
    "float_image": _float_image,
    "uint8_image": _uint8_image,
}
