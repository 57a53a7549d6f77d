"""LeNet's preprocessing: crop or pad to size, then scale the pixels to [-1, 1)."""

from collections.abc import Callable

import tensorflow as tf

from preprocessing import centering, channels
from slim.data import encoded_images


def preprocess_for_train(
    image: tf.Tensor | encoded_images.EncodedImage,
    height: int,
    width: int,
    *,
    seed: tf.Tensor | None = None,
    distort: Callable[..., tf.Tensor] | None = None,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Preprocesses one image for training, as for evaluation.

    Args:
      image: `[height, width, channels]`, values 0 to 255; or an encoded image.
      height: height of the result.
      width: width of the result.
      seed: int32 `[2]`; only used by `distort`.
      distort: `fn(image, seed)` of the image with values 0 to 255, such as
        `augmentation.Augmentation`.
      use_grayscale: whether to convert to one channel.

    Returns:
      `[height, width, channels]` in float32, values in [-1, 1).
    """
    image = _at_size(encoded_images.decode(image), height, width, use_grayscale)
    return _scaled(image if distort is None else distort(image, seed))


def preprocess_for_eval(
    image: tf.Tensor, height: int, width: int, *, use_grayscale: bool = False
) -> tf.Tensor:
    """Preprocesses one image for evaluation; arguments and result as `preprocess_for_train`."""
    return _scaled(_at_size(image, height, width, use_grayscale))


def preprocess_image(
    image: tf.Tensor, height: int, width: int, is_training: bool = False, **kwargs: object
) -> tf.Tensor:
    """Calls `preprocess_for_train` or `preprocess_for_eval` with `kwargs`."""
    prepare = preprocess_for_train if is_training else preprocess_for_eval
    return prepare(image, height, width, **kwargs)


def _at_size(image: tf.Tensor, height: int, width: int, use_grayscale: bool) -> tf.Tensor:
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = channels.as_grayscale(image)
    return centering.crop_or_pad(image, height, width)


def _scaled(image: tf.Tensor) -> tf.Tensor:
    return (image - 128.0) / 128.0
