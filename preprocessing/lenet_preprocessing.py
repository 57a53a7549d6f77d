"""LeNet's preprocessing: crop or pad to size, then scale the pixels to [-1, 1)."""

import tensorflow as tf

from preprocessing import channels
from slim.data import pictures


def preprocess_for_train(
    image: tf.Tensor | pictures.EncodedPicture,
    height: int,
    width: int,
    *,
    seed: tf.Tensor | None = None,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Prepares one picture for training: the same as for evaluation.

    Args:
      image: `[height, width, channels]`, values 0 to 255; or an encoded picture.
      height: of the result.
      width: of the result.
      seed: taken because all training functions are called with one; nothing here is random.
      use_grayscale: converts to one channel.

    Returns:
      `[height, width, channels]` in float32, values in [-1, 1).
    """
    del seed
    image = pictures.whole(image)
    return preprocess_for_eval(image, height, width, use_grayscale=use_grayscale)


def preprocess_for_eval(
    image: tf.Tensor, height: int, width: int, *, use_grayscale: bool = False
) -> tf.Tensor:
    """Prepares one picture for evaluation; arguments and result as `preprocess_for_train`."""
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = channels.as_grayscale(image)
    image = tf.image.resize_with_crop_or_pad(image, height, width)
    return (image - 128.0) / 128.0


def preprocess_image(
    image: tf.Tensor, height: int, width: int, is_training: bool = False, **kwargs: object
) -> tf.Tensor:
    """Prepares one picture; `kwargs` go to `preprocess_for_train` or `preprocess_for_eval`."""
    prepare = preprocess_for_train if is_training else preprocess_for_eval
    return prepare(image, height, width, **kwargs)
