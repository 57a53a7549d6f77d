"""No preprocessing but resizing: for networks that scale their input themselves."""

from collections.abc import Callable

import tensorflow as tf

from preprocessing import channels, legacy_resize
from slim.data import encoded_images


def preprocess_for_train(
    image: tf.Tensor | encoded_images.EncodedImage,
    height: int,
    width: int,
    *,
    seed: tf.Tensor,
    distort: Callable[..., tf.Tensor] | None = None,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Resizes one image for training.

    Args:
      image: `[height, width, channels]`, values 0 to 255; or an encoded image.
      height: height of the result.
      width: width of the result.
      seed: int32 `[2]`; only used by `distort`.
      distort: `fn(image, seed)` of the resized image, such as `augmentation.Augmentation`.
      use_grayscale: whether to convert to one channel.

    Returns:
      `[height, width, channels]` in float32, values 0 to 255.
    """
    image = preprocess_for_eval(
        encoded_images.decode(image), height, width, use_grayscale=use_grayscale
    )
    return image if distort is None else distort(image, seed)


def preprocess_for_eval(
    image: tf.Tensor, height: int, width: int, *, use_grayscale: bool = False
) -> tf.Tensor:
    """Resizes one image for evaluation; arguments and result as `preprocess_for_train`."""
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = channels.as_grayscale(image)
    return legacy_resize.resize(image, height, width)


def preprocess_image(
    image: tf.Tensor, height: int, width: int, is_training: bool = False, **kwargs: object
) -> tf.Tensor:
    """Calls `preprocess_for_train` or `preprocess_for_eval` with `kwargs`."""
    prepare = preprocess_for_train if is_training else preprocess_for_eval
    return prepare(image, height, width, **kwargs)
