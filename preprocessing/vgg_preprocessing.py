"""VGG's preprocessing, used by the VGG and ResNet families.

The smallest side is resized (to 256 in evaluation, at random to 256..512 in training: "scale
jittering" of Simonyan and Zisserman, section 3.1), a part of the requested size is cropped, and
ImageNet's mean color is subtracted.
"""

from collections.abc import Callable

import tensorflow as tf

from preprocessing import channels, legacy_resize
from slim import _checks
from slim._problems import Problem, named
from slim.data import encoded_images

MEANS = (123.68, 116.78, 103.94)
RESIZE_SIDE_MIN = 256
RESIZE_SIDE_MAX = 512


def preprocess_for_train(
    image: tf.Tensor | encoded_images.EncodedImage,
    height: int,
    width: int,
    *,
    seed: tf.Tensor,
    resize_side_min: int = RESIZE_SIDE_MIN,
    resize_side_max: int = RESIZE_SIDE_MAX,
    random_crop: bool = True,
    random_flip: bool = True,
    distort: Callable[..., tf.Tensor] | None = None,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Crops a random part of the resized image, flipped with probability 0.5.

    Args:
      image: `[height, width, channels]`, values 0 to 255; or an encoded image.
      height: height of the result.
      width: width of the result.
      seed: int32 `[2]`; the result is a function of the image and the seed.
      resize_side_min: minimum of the resized image's smallest side, in pixels.
      resize_side_max: maximum of the resized image's smallest side, in pixels.
      random_crop: whether to crop a random part; False crops the center.
      random_flip: whether to flip horizontally with probability 0.5.
      distort: `fn(image, seed)` of the part, such as `augmentation.Augmentation`.
      use_grayscale: whether to convert to one channel; otherwise the result has three.

    Returns:
      `[height, width, channels]` in float32: values 0 to 255 minus the mean color.

    Raises:
      UserError: if the result would be larger than `resize_side_min`, or `resize_side_min` is
        larger than `resize_side_max`.
    """
    _check_sides(height, width, resize_side_min)
    if resize_side_max < resize_side_min:
        raise _checks.UserError(
            f"resize_side_max={resize_side_max} is smaller than resize_side_min={resize_side_min}"
        )
    side_seed, draw_seed = tf.unstack(tf.random.split(seed))
    side = tf.random.stateless_uniform(
        [], side_seed, resize_side_min, resize_side_max + 1, tf.int32
    )
    draws = tf.random.stateless_uniform([3], draw_seed)
    place = draws[:2] if random_crop else None
    is_flipped = (draws[2] < 0.5) if random_flip else tf.constant(False)

    def choose(source: encoded_images.Image) -> tf.Tensor:
        return _part_of_resized(source, side, place, is_flipped, height, width)

    image = channels.convert(encoded_images.crop(image, choose), use_grayscale=False)
    if distort is not None:
        image = distort(image, seed)
    return subtract_means(image, use_grayscale)


def preprocess_for_eval(
    image: tf.Tensor,
    height: int,
    width: int,
    *,
    resize_side: int = RESIZE_SIDE_MIN,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Crops the center of the resized image.

    Args:
      image: `[height, width, channels]`, values 0 to 255.
      height: height of the result.
      width: width of the result.
      resize_side: smallest side of the resized image, in pixels.
      use_grayscale: whether to convert to one channel; otherwise the result has three.

    Returns:
      As `preprocess_for_train`.

    Raises:
      UserError: if the result would be larger than `resize_side`.
    """
    _check_sides(height, width, resize_side)
    image = aspect_preserving_resize(image, resize_side)
    shape = tf.shape(image)
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    image = tf.slice(image, [top, left, 0], [height, width, -1])
    return subtract_means(tf.ensure_shape(image, [height, width, 3]), use_grayscale)


def preprocess_image(
    image: tf.Tensor,
    height: int,
    width: int,
    is_training: bool = False,
    resize_side_min: int = RESIZE_SIDE_MIN,
    resize_side_max: int = RESIZE_SIDE_MAX,
    **kwargs: object,
) -> tf.Tensor:
    """Calls `preprocess_for_train` or `preprocess_for_eval` with `kwargs`.

    In evaluation the smallest side is resized to `resize_side_min`, and `resize_side_max` has no
    effect, as in TF-Slim.
    """
    if is_training:
        sides = {"resize_side_min": resize_side_min, "resize_side_max": resize_side_max}
        return preprocess_for_train(image, height, width, **sides, **kwargs)
    return preprocess_for_eval(image, height, width, resize_side=resize_side_min, **kwargs)


def _part_of_resized(
    source: encoded_images.Image,
    side: tf.Tensor,
    place: tf.Tensor | None,
    is_flipped: tf.Tensor,
    height: int,
    width: int,
) -> tf.Tensor:
    """Returns a part of the resized image, computed from only those of its pixels that it needs.

    Args:
      source: the image.
      side: smallest side of the resized image, in pixels.
      place: position of the part: from 0, top or left, to 1, bottom or right, float32 [2]; None for
        the center.
      is_flipped: whether to flip the part horizontally.
      height: height of the part.
      width: width of the part.

    Returns:
      float32 `[height, width, channels]`; up to rounding equal to resizing the whole image by
      `aspect_preserving_resize` and cropping.
    """
    sides, part_sides = source.shape()[:2], tf.constant([height, width])
    resized = _resized_sides(sides, side)
    margin = resized - part_sides
    begin = margin // 2
    if place is not None:
        begin = tf.minimum(tf.cast(place * tf.cast(margin + 1, tf.float32), tf.int32), margin)
    step = tf.cast(sides, tf.float32) / tf.cast(resized, tf.float32)
    first = tf.cast(begin, tf.float32) * step
    last = tf.cast(begin + part_sides - 1, tf.float32) * step
    top_left = tf.cast(tf.floor(first), tf.int32)
    end = tf.minimum(tf.cast(tf.floor(last), tf.int32) + 2, sides)
    window, scale = source.window(top_left, end - top_left, (height, width))
    # Where the image is enlarged, its last row and column are repeated beyond the border.
    window = tf.cond(tf.reduce_all(step >= 1), lambda: window, lambda: _with_last_again(window))
    # A pixel of a window decoded at 1 / `scale` is at the center of `scale` pixels of the image.
    origin = tf.cast(top_left // scale, tf.float32)
    length = tf.cast(tf.shape(window)[:2] - 1, tf.float32)
    shrink = tf.cast(scale, tf.float32)
    first, last = ((place - (shrink - 1) / 2) / shrink - origin for place in (first, last))
    # Beyond the window, `crop_and_resize` would output black.
    inside = tf.maximum(first, 0.0), tf.minimum(last, length)
    (top, left), (bottom, right) = (tf.unstack(edge / length) for edge in inside)
    left, right = tf.where(is_flipped, right, left), tf.where(is_flipped, left, right)
    box = tf.stack([top, left, bottom, right])
    # TensorFlow resizes float32 faster than bytes.
    pixels = tf.cast(window, tf.float32)[tf.newaxis]
    return tf.image.crop_and_resize(pixels, box[tf.newaxis], [0], [height, width])[0]


def _with_last_again(image: tf.Tensor) -> tf.Tensor:
    """Returns the image with its last row and column repeated."""
    image = tf.concat([image, image[-1:]], 0)
    return tf.concat([image, image[:, -1:]], 1)


def _resized_sides(sides: tf.Tensor, smallest_side: int | tf.Tensor) -> tf.Tensor:
    """Returns height and width, int32 [2], after resizing the smaller one to `smallest_side`."""
    sides, target = tf.cast(sides, tf.float32), tf.cast(smallest_side, tf.float32)
    scale = target / tf.reduce_min(sides)
    # Truncated as in TF-Slim, but never below the target, which float32 rounding could cause.
    return tf.cast(tf.maximum(sides * scale, target), tf.int32)


def aspect_preserving_resize(image: tf.Tensor, smallest_side: int | tf.Tensor) -> tf.Tensor:
    """Resizes an image so that its smallest side has a certain length.

    Args:
      image: `[height, width, channels]`; one channel becomes three.
      smallest_side: the length, in pixels.

    Returns:
      `[new height, new width, 3]` in float32.
    """
    image = channels.convert(image, use_grayscale=False)
    new_height, new_width = tf.unstack(_resized_sides(tf.shape(image)[:2], smallest_side))
    return legacy_resize.resize(image, new_height, new_width)


def subtract_means(image: tf.Tensor, use_grayscale: bool) -> tf.Tensor:
    """Subtracts the mean color, then converts to grayscale, which equals subtracting its gray."""
    if image.shape.is_fully_defined():
        # TensorFlow subtracts a row from rows several times faster than a color from pixels.
        height, width, _ = image.shape
        rows = tf.reshape(image, [height, -1]) - tf.constant(MEANS * width)
        image = tf.reshape(rows, image.shape)
    else:
        image = image - tf.constant(MEANS)
    return channels.convert(image, use_grayscale)


def _check_sides(height: int, width: int, resize_side: int) -> None:
    if max(height, width) > resize_side:
        raise _checks.UserError(
            Problem(
                "height={}, width={} is larger than the resized image, whose smallest side is {}:"
                " use at most {} pixels or {}; in Python, a larger resize side",
                height,
                width,
                resize_side,
                resize_side,
                named("preprocessing_name", "inception"),
            )
        )
