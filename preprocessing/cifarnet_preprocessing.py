"""CIFAR-10 preprocessing: random crops of the padded image, flips, brightness, contrast."""

from collections.abc import Callable

import tensorflow as tf

from preprocessing import centering, channels
from slim._shapes import static_sizes
from slim.data import encoded_images

PADDING = 4
MAX_BRIGHTNESS = 63
CONTRAST = (0.2, 1.8)


def preprocess_for_train(
    image: tf.Tensor | encoded_images.EncodedImage,
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
    """Distorts one image for training.

    Args:
      image: `[height, width, channels]`, values 0 to 255; or an encoded image.
      height: height of the result; smaller images are padded to it first.
      width: width of the result; smaller images are padded to it first.
      seed: int32 `[2]`; the result is a function of the image and the seed.
      padding: black pixels added on each side before the crop.
      random_crop: whether to crop at random; False crops or pads as in evaluation.
      random_flip: whether to flip horizontally with probability 0.5.
      color_distortion: `none`, `fast` (brightness only) or `full`, the default (contrast too).
      distort: `fn(image, seed)` of the flipped image, such as `augmentation.Augmentation`.
      use_grayscale: whether to convert to one channel.

    Returns:
      `[height, width, channels]` in float32 with mean 0 and variance 1.
    """
    # All random numbers at once: each call costs as much as an operation on so small an image.
    numbers = tf.random.stateless_uniform([5], seed)
    _, _, flip, brightness, contrast = tf.unstack(numbers)
    image = tf.cast(encoded_images.decode(image), tf.float32)
    if use_grayscale:
        image = channels.as_grayscale(image)
    if random_crop:
        image = centering.pad(image, height, width, padding)
        image = _cropped(image, height, width, numbers[:2])
    else:
        image = centering.crop_or_pad(image, height, width)
    if random_flip:
        image = _flipped(image, flip < 0.5)
    if distort is not None:
        image = distort(image, seed)
    if color_distortion != "none":
        image = image + MAX_BRIGHTNESS * (2 * brightness - 1)
    if color_distortion in (None, "full"):
        low, high = CONTRAST
        image = tf.image.adjust_contrast(image, low + (high - low) * contrast)
    return _standardized(tf.ensure_shape(image, [height, width, static_sizes(image)[-1]]))


def preprocess_for_eval(
    image: tf.Tensor, height: int, width: int, *, use_grayscale: bool = False
) -> tf.Tensor:
    """Crops or pads one image about its center; the rest is as in `preprocess_for_train`."""
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = channels.as_grayscale(image)
    image = centering.crop_or_pad(image, height, width)
    return _standardized(image)


def preprocess_image(
    image: tf.Tensor, height: int, width: int, is_training: bool = False, **kwargs: object
) -> tf.Tensor:
    """Calls `preprocess_for_train` or `preprocess_for_eval` with `kwargs`."""
    prepare = preprocess_for_train if is_training else preprocess_for_eval
    return prepare(image, height, width, **kwargs)


# The following functions are bit-identical to TensorFlow's with a fraction of their operations,
# which dominate the time for images as small as these.
def _cropped(image: tf.Tensor, height: int, width: int, place: tf.Tensor) -> tf.Tensor:
    """Returns the part at `place`, from 0 for the top or left to 1 for the bottom or right."""
    positions = tf.shape(image)[:2] - tf.constant([height, width]) + 1
    begin = tf.cast(place * tf.cast(positions, tf.float32), tf.int32)
    cropped = tf.slice(image, tf.concat([begin, [0]], 0), [height, width, -1])
    return tf.ensure_shape(cropped, [height, width, static_sizes(image)[-1]])


def _flipped(image: tf.Tensor, is_flipped: tf.Tensor) -> tf.Tensor:
    """Equals `tf.image.flip_left_right` if `is_flipped`, without a branch."""
    flipped = tf.raw_ops.Reverse(tensor=image, dims=tf.stack([False, is_flipped, False]))
    return tf.ensure_shape(flipped, image.shape)


def _standardized(image: tf.Tensor) -> tf.Tensor:
    """Equals `tf.image.per_image_standardization` for an image of known size."""
    image = image - tf.reduce_mean(image, keepdims=True)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(image), keepdims=True))
    return image / tf.maximum(deviation, tf.math.rsqrt(float(image.shape.num_elements())))
