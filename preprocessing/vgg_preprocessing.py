"""VGG's preprocessing, used by the VGG and ResNet families.

The smallest side is resized (to 256 in evaluation, at random to 256..512 in training, "scale
jittering" of Simonyan and Zisserman, section 3.1), a part of the wanted size is cut out, and the
mean colour of ImageNet is subtracted.
"""

from collections.abc import Callable

import tensorflow as tf

from preprocessing import channels, legacy_resize
from slim import _checks
from slim.data import pictures

MEANS = (123.68, 116.78, 103.94)
RESIZE_SIDE_MIN = 256
RESIZE_SIDE_MAX = 512


def preprocess_for_train(
    image: tf.Tensor | pictures.EncodedPicture,
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
    """Cuts a random part out of the resized picture, and mirrors every other one.

    Args:
      image: `[height, width, channels]`, values 0 to 255; or an encoded picture.
      height: of the result.
      width: of the result.
      seed: int32 `[2]`; the result depends on it and the picture alone.
      resize_side_min: the smallest side is resized to at least this, in pixels.
      resize_side_max: and to at most this.
      random_crop: False cuts out the centre.
      random_flip: False mirrors none.
      distort: `fn(image, seed)` of the part, such as `augmentation.Augmentation`.
      use_grayscale: gives one channel; else the result has three.

    Returns:
      `[height, width, channels]` in float32: values 0 to 255 less the mean colour.

    Raises:
      UserError: if the result is to be larger than `resize_side_min`, or that than
        `resize_side_max`.
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
    is_mirrored = (draws[2] < 0.5) if random_flip else tf.constant(False)

    def choose(picture: pictures.Picture) -> tf.Tensor:
        return _part_of_resized(picture, side, place, is_mirrored, height, width)

    image = channels.as_wanted(pictures.cut(image, choose), use_grayscale=False)
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
    """Cuts the centre out of the resized picture.

    Args:
      image: `[height, width, channels]`, values 0 to 255.
      height: of the result.
      width: of the result.
      resize_side: the smallest side is resized to this, in pixels.
      use_grayscale: gives one channel; else the result has three.

    Returns:
      as `preprocess_for_train`.

    Raises:
      UserError: if the result is to be larger than `resize_side`.
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
    """Prepares one picture; `kwargs` go to `preprocess_for_train` or `preprocess_for_eval`.

    In evaluation the smallest side is resized to `resize_side_min`, and `resize_side_max` has no
    use, as in the original.
    """
    if is_training:
        sides = {"resize_side_min": resize_side_min, "resize_side_max": resize_side_max}
        return preprocess_for_train(image, height, width, **sides, **kwargs)
    return preprocess_for_eval(image, height, width, resize_side=resize_side_min, **kwargs)


def _part_of_resized(
    picture: pictures.Picture,
    side: tf.Tensor,
    place: tf.Tensor | None,
    is_mirrored: tf.Tensor,
    height: int,
    width: int,
) -> tf.Tensor:
    """Returns a part of the resized picture, made from those of its pixels alone that it needs.

    Args:
      picture: the picture.
      side: its smallest side is resized to this, in pixels.
      place: of the part among all that fit: from 0, top and left, to 1, float32 [2]; None
        for the one in the middle.
      is_mirrored: whether to mirror the part.
      height: of the part.
      width: of the part.

    Returns:
      float32 `[height, width, channels]`: what resizing the whole picture by
      `aspect_preserving_resize` and cutting gives, but for rounding.
    """
    sides, wanted = picture.shape()[:2], tf.constant([height, width])
    resized = _resized_sides(sides, side)
    begin, most = (resized - wanted) // 2, resized - wanted
    if place is not None:
        begin = tf.minimum(tf.cast(place * tf.cast(most + 1, tf.float32), tf.int32), most)
    step = tf.cast(sides, tf.float32) / tf.cast(resized, tf.float32)
    first = tf.cast(begin, tf.float32) * step
    last = tf.cast(begin + wanted - 1, tf.float32) * step
    top_left = tf.cast(tf.floor(first), tf.int32)
    end = tf.minimum(tf.cast(tf.floor(last), tf.int32) + 2, sides)
    window, scale = picture.window(top_left, end - top_left, (height, width))
    # Where it is enlarged, a picture goes on beyond its border as it ends.
    window = tf.cond(tf.reduce_all(step >= 1), lambda: window, lambda: _with_last_again(window))
    # Pixel k of a part that came smaller by `scale` lies in the middle of that many of the
    # picture's.
    origin = tf.cast(top_left // scale, tf.float32)
    length = tf.cast(tf.shape(window)[:2] - 1, tf.float32)
    shrink = tf.cast(scale, tf.float32)
    first, last = ((place - (shrink - 1) / 2) / shrink - origin for place in (first, last))
    # What lies beyond the part would be black.
    inside = tf.maximum(first, 0.0), tf.minimum(last, length)
    (top, left), (bottom, right) = (tf.unstack(edge / length) for edge in inside)
    left, right = tf.where(is_mirrored, right, left), tf.where(is_mirrored, left, right)
    box = tf.stack([top, left, bottom, right])
    return tf.image.crop_and_resize(window[tf.newaxis], box[tf.newaxis], [0], [height, width])[0]


def _with_last_again(image: tf.Tensor) -> tf.Tensor:
    """Returns the picture with its last row and column once more."""
    image = tf.concat([image, image[-1:]], 0)
    return tf.concat([image, image[:, -1:]], 1)


def _resized_sides(sides: tf.Tensor, smallest_side: int | tf.Tensor) -> tf.Tensor:
    """Returns height and width, int32 [2], with the smaller one resized to a given length."""
    sides, target = tf.cast(sides, tf.float32), tf.cast(smallest_side, tf.float32)
    scale = target / tf.reduce_min(sides)
    # The original cuts the fraction off, and float32 can land just under the target: never below
    # it.
    return tf.cast(tf.maximum(sides * scale, target), tf.int32)


def aspect_preserving_resize(image: tf.Tensor, smallest_side: int | tf.Tensor) -> tf.Tensor:
    """Resizes a picture so that its smallest side has a given length.

    Args:
      image: `[height, width, channels]`; one channel becomes three.
      smallest_side: in pixels.

    Returns:
      `[new height, new width, 3]` in float32.
    """
    image = channels.as_wanted(image, use_grayscale=False)
    new_height, new_width = tf.unstack(_resized_sides(tf.shape(image)[:2], smallest_side))
    return legacy_resize.resize(image, new_height, new_width)


def subtract_means(image: tf.Tensor, use_grayscale: bool) -> tf.Tensor:
    """Subtracts the mean colour; grayscale after it, which is the same as a gray mean."""
    return channels.as_wanted(image - tf.constant(MEANS), use_grayscale)


def _check_sides(height: int, width: int, resize_side: int) -> None:
    if max(height, width) > resize_side:
        raise _checks.UserError(
            f"a picture of height={height}, width={width} cannot be cut out of one whose smallest"
            f" side is {resize_side}: choose at most {resize_side} pixels, or"
            " preprocessing_name=inception; a call from Python may choose a larger resize side"
        )
