"""What a frozen graph takes, and how it comes from there to what the network takes."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from classifier import images, model
from classifier.exporting import checks

Prepare = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class InputType:
    """One kind of input.

    Attributes:
      spec: of a batch.
      prepare: from that to preprocessed images.
      example: a batch to check an export with.
    """

    spec: tf.TensorSpec
    prepare: Prepare
    example: tf.Tensor


def _float_image(classifier: model.InferenceModel, batch: int | None) -> InputType:
    spec = tf.TensorSpec([batch, *classifier.image_shape], tf.float32)
    return InputType(spec, _as_it_is, checks.random_images(classifier, batch))


def _as_it_is(prepared: tf.Tensor) -> tf.Tensor:
    return prepared  # and not `tf.identity`, which would be one op more


def _uint8_image(classifier: model.InferenceModel, batch: int | None) -> InputType:
    channels = images.decoded_channels(classifier.info)
    return InputType(
        tf.TensorSpec([batch, None, None, channels], tf.uint8),
        images.picture_batch_fn(classifier.info, classifier.image_shape[:2]),
        _pictures(classifier, batch),
    )


def _encoded_image(classifier: model.InferenceModel, batch: int | None) -> InputType:
    files = [tf.io.encode_png(picture) for picture in _pictures(classifier, batch)]
    return InputType(
        tf.TensorSpec([batch], tf.string),
        images.encoded_batch_fn(classifier.info, classifier.image_shape[:2]),
        tf.stack(files),
    )


def _pictures(classifier: model.InferenceModel, batch: int | None) -> tf.Tensor:
    # Not of the network's size, so that resizing takes part.
    height, width = (side + side // 4 + 1 for side in classifier.image_shape[:2])
    channels = images.decoded_channels(classifier.info)
    shape = [batch or checks.CHECKED_IMAGES, height, width, channels]
    return tf.constant(np.random.default_rng(0).integers(0, 256, shape), tf.uint8)


_MAKERS: Mapping[str, Callable[[model.InferenceModel, int | None], InputType]] = {
    "float_image": _float_image,
    "uint8_image": _uint8_image,
    "encoded_image": _encoded_image,
}


def make(name: str, classifier: model.InferenceModel, batch_size: int | None) -> InputType:
    """Returns an input type of `classifier.config.export.INPUT_TYPES`.

    Args:
      name: of the type.
      classifier: whose preprocessing and image size it has.
      batch_size: images at once; None for any number.
    """
    return _MAKERS[name](classifier, batch_size)
