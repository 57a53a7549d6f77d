"""CIFAR-10 preprocessing: random crops of the padded picture, mirroring, brightness, contrast."""

from collections.abc import Callable

import tensorflow as tf

from preprocessing import channels
from slim.data import pictures

PADDING = 4
MAX_BRIGHTNESS = 63
CONTRAST = (0.2, 1.8)


def preprocess_for_train(
    image: tf.Tensor | pictures.EncodedPicture,
    height: int,
    width: int,
    *,
    seed: tf.Tensor,
    padding: int = PADDING,
    random_crop: bool = True,
    random_flip: bool = True,
    color_distortion: str | None = None,
    distort: Callable[..., tf.Tensor] | None = None,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Distorts one picture for training.

    Args:
      image: `[height, width, channels]`, values 0 to 255; or an encoded picture.
      height: of the result; a smaller picture is padded to it first.
      width: of the result; a smaller picture is padded to it first.
      seed: int32 `[2]`; the result depends on it and the picture alone.
      padding: pixels of black added on every side before the crop.
      random_crop: False crops or pads about the centre, as evaluation does.
      random_flip: mirrors every other picture.
      color_distortion: `none`, `fast` (brightness alone) or `full`, the default (contrast too).
      distort: `fn(image, seed)` of the mirrored picture, such as `augmentation.Augmentation`.
      use_grayscale: converts to one channel.

    Returns:
      `[height, width, channels]` in float32 with mean 0 and variance 1.
    """
    crop_seed, flip_seed, brightness_seed, contrast_seed = tf.unstack(tf.random.split(seed, 4))
    image = tf.cast(pictures.whole(image), tf.float32)
    if use_grayscale:
        image = channels.as_grayscale(image)
    if random_crop:
        image = _at_least(image, height, width)
        image = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
        image = tf.image.stateless_random_crop(image, [height, width, image.shape[-1]], crop_seed)
    else:
        image = tf.image.resize_with_crop_or_pad(image, height, width)
    if random_flip:
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if distort is not None:
        image = distort(image, seed)
    if color_distortion != "none":
        image = tf.image.stateless_random_brightness(image, MAX_BRIGHTNESS, brightness_seed)
    if color_distortion in (None, "full"):
        image = tf.image.stateless_random_contrast(image, *CONTRAST, contrast_seed)
    return tf.image.per_image_standardization(image)


def preprocess_for_eval(
    image: tf.Tensor, height: int, width: int, *, use_grayscale: bool = False
) -> tf.Tensor:
    """Crops or pads one picture about its centre; the rest is as in `preprocess_for_train`."""
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = channels.as_grayscale(image)
    image = tf.image.resize_with_crop_or_pad(image, height, width)
    return tf.image.per_image_standardization(image)


def preprocess_image(
    image: tf.Tensor, height: int, width: int, is_training: bool = False, **kwargs: object
) -> tf.Tensor:
    """Prepares one picture; `kwargs` go to `preprocess_for_train` or `preprocess_for_eval`."""
    prepare = preprocess_for_train if is_training else preprocess_for_eval
    return prepare(image, height, width, **kwargs)


def _at_least(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    shape = tf.shape(image)
    return tf.image.resize_with_crop_or_pad(
        image, tf.maximum(shape[0], height), tf.maximum(shape[1], width)
    )
