"""Preprocessing of SSD detectors on VGG: image, labels and boxes together.

Training crops a random part of the image that overlaps with an object (Liu et al., "SSD: Single
Shot MultiBox Detector", section 2.2), resizes it regardless of its aspect ratio, flips it with
probability 0.5 and subtracts ImageNet's mean color. It is for code that trains detectors; the
classification scripts have no boxes, so it is not in the factory's table.

Boxes are float32 `[number, 4]`: top, left, bottom, right, as fractions of the image's sides.
"""

from typing import NamedTuple

import tensorflow as tf

from preprocessing import channels, legacy_resize
from preprocessing.vgg_preprocessing import MEANS, subtract_means
from slim import _checks

# Minimum overlaps of a part with an object; None uses the whole image, 0 any part.
OVERLAPS = (None, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
AREA_RANGE = (0.1, 1.0)
ASPECT_RATIO_RANGE = (0.5, 2.0)
CANDIDATES = 50

RESIZES = ("warp", "pad", "central_crop", "none")
_WHOLE = (0.0, 0.0, 1.0, 1.0)


class Detection(NamedTuple):
    """A preprocessed image with its objects.

    Attributes:
      image: float32 `[height, width, 3]`, values 0 to 255 minus the mean color.
      labels: `[number]`, of the type of the input.
      boxes: float32 `[number, 4]`, as fractions of the preprocessed image's sides.
      frame: float32 `[4]`: the part of the input image that is visible, as fractions of its sides;
        below 0 or above 1 where it was padded. `from_frame` converts boxes back.
    """

    image: tf.Tensor
    labels: tf.Tensor
    boxes: tf.Tensor
    frame: tf.Tensor


def preprocess_for_train(
    image: tf.Tensor,
    labels: tf.Tensor,
    boxes: tf.Tensor,
    height: int,
    width: int,
    *,
    seed: tf.Tensor,
    random_crop: bool = True,
    random_flip: bool = True,
) -> Detection:
    """Distorts one image for training.

    Args:
      image: `[height, width, channels]`, values 0 to 255.
      labels: `[number]`.
      boxes: float32 `[number, 4]`.
      height: height of the result.
      width: width of the result.
      seed: int32 `[2]`; the result is a function of the inputs and the seed.
      random_crop: whether to crop a random part; False uses the whole image.
      random_flip: whether to flip horizontally with probability 0.5.

    Returns:
      The part, with the objects whose centers are inside; their boxes are clipped to it.
    """
    part_seed, flip_seed = tf.unstack(tf.random.split(seed))
    frame = random_part(boxes, part_seed) if random_crop else tf.constant(_WHOLE)
    labels, boxes = within(labels, boxes, frame)
    image = _render(image, frame, height, width)
    if random_flip:
        is_flipped = tf.random.stateless_uniform([], flip_seed) < 0.5
        image = tf.where(is_flipped, image[:, ::-1], image)
        boxes = tf.where(is_flipped, mirrored(boxes), boxes)
        top, left, bottom, right = tf.unstack(frame)
        # In the frame of a flipped image, left and right are exchanged.
        frame = tf.where(is_flipped, tf.stack([top, right, bottom, left]), frame)
    return Detection(subtract_means(image, False), labels, boxes, frame)


def preprocess_for_eval(
    image: tf.Tensor,
    labels: tf.Tensor,
    boxes: tf.Tensor,
    height: int,
    width: int,
    *,
    resize: str = "warp",
) -> Detection:
    """Preprocesses one image for evaluation.

    Args:
      image: `[height, width, channels]`, values 0 to 255.
      labels: `[number]`.
      boxes: float32 `[number, 4]`.
      height: height of the result; has no effect with `resize="none"`.
      width: width of the result; has no effect with `resize="none"`.
      resize: "warp" resizes regardless of the aspect ratio; "pad" preserves it and pads the smaller
        side with the mean color; "central_crop" preserves it and crops the longer side; "none" does
        not resize.

    Returns:
      The image with all its objects; with "central_crop", those whose centers are inside.

    Raises:
      UserError: if `resize` is not known.
    """
    _checks.one_of("resize", resize, RESIZES)
    if resize == "none":
        image = channels.convert(tf.cast(image, tf.float32), False)
        return Detection(subtract_means(image, False), labels, boxes, tf.constant(_WHOLE))
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    target = tf.constant([height, width], tf.float32)
    if resize == "warp":
        frame = tf.constant(_WHOLE)
    else:
        # The input's pixels per pixel of the result, in each direction.
        steps = sides / target
        step = tf.reduce_max(steps) if resize == "pad" else tf.reduce_min(steps)
        half = target * step / sides / 2.0
        frame = tf.concat([0.5 - half, 0.5 + half], 0)
    labels, boxes = within(labels, boxes, frame)
    image = _render(image, frame, height, width)
    return Detection(subtract_means(image, False), labels, boxes, frame)


def random_part(boxes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws a part of an image that overlaps with one of its boxes.

    Args:
      boxes: `[number, 4]`; without a box or a suitable part, the result is the whole image.
      seed: int32 `[2]`.

    Returns:
      The part as a box, `[4]`.
    """
    drawn = tf.random.stateless_uniform([4 * CANDIDATES + 1], seed)
    choice = tf.cast(drawn[0] * len(OVERLAPS), tf.int32)
    minimum = tf.constant([2.0 if each is None else each for each in OVERLAPS])[choice]
    area, aspect, top, left = tf.unstack(tf.reshape(drawn[1:], [4, CANDIDATES]))
    area = AREA_RANGE[0] + area * (AREA_RANGE[1] - AREA_RANGE[0])
    aspect = tf.pow(ASPECT_RATIO_RANGE[1], 2.0 * aspect - 1.0)
    high = tf.minimum(tf.sqrt(area / aspect), 1.0)
    wide = tf.minimum(tf.sqrt(area * aspect), 1.0)
    top, left = top * (1.0 - high), left * (1.0 - wide)
    parts = tf.stack([top, left, top + high, left + wide], axis=-1)
    fits = overlaps(parts, boxes) >= minimum
    fits &= _contains_center(parts[:, tf.newaxis], boxes)
    fits = tf.reduce_any(fits, axis=1)
    first = tf.argmax(fits, output_type=tf.int32)
    return tf.where(tf.reduce_any(fits), parts[first], tf.constant(_WHOLE))


def overlaps(parts: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Returns the Jaccard overlap of each of `parts` `[m, 4]` with each of `boxes` `[n, 4]`."""
    parts, boxes = parts[:, tf.newaxis], boxes[tf.newaxis]
    begin = tf.maximum(parts[..., :2], boxes[..., :2])
    end = tf.minimum(parts[..., 2:], boxes[..., 2:])
    common = tf.reduce_prod(tf.maximum(end - begin, 0.0), axis=-1)
    areas = [tf.reduce_prod(each[..., 2:] - each[..., :2], axis=-1) for each in (parts, boxes)]
    return tf.math.divide_no_nan(common, areas[0] + areas[1] - common)


def within(labels: tf.Tensor, boxes: tf.Tensor, frame: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the objects with centers in a frame; boxes as fractions of it, clipped to it."""
    is_inside = _contains_center(frame, boxes)
    labels, boxes = tf.boolean_mask(labels, is_inside), tf.boolean_mask(boxes, is_inside)
    origin, size = tf.tile(frame[:2], [2]), tf.tile(frame[2:] - frame[:2], [2])
    return labels, tf.clip_by_value((boxes - origin) / size, 0.0, 1.0)


def from_frame(boxes: tf.Tensor, frame: tf.Tensor) -> tf.Tensor:
    """Converts boxes of a preprocessed image to fractions of the input image's sides."""
    origin, size = tf.tile(frame[:2], [2]), tf.tile(frame[2:] - frame[:2], [2])
    boxes = boxes * size + origin
    begin, end = tf.minimum(boxes[:, :2], boxes[:, 2:]), tf.maximum(boxes[:, :2], boxes[:, 2:])
    return tf.concat([begin, end], axis=1)


def mirrored(boxes: tf.Tensor) -> tf.Tensor:
    """Returns the boxes of the flipped image."""
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    return tf.stack([top, 1.0 - right, bottom, 1.0 - left], axis=-1)


def _contains_center(frames: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    center = (boxes[..., :2] + boxes[..., 2:]) / 2.0
    return tf.reduce_all((frames[..., :2] <= center) & (center <= frames[..., 2:]), axis=-1)


def _render(image: tf.Tensor, frame: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns the part in a frame, resized; the mean color where it is beyond the image."""
    image = channels.convert(tf.cast(image, tf.float32), False)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    begin = tf.cast(tf.round(frame[:2] * sides), tf.int32)
    end = tf.maximum(tf.cast(tf.round(frame[2:] * sides), tf.int32), begin + 1)
    before = tf.maximum(-begin, 0)
    after = tf.maximum(end - tf.shape(image)[:2], 0)
    padding = tf.stack([before, after], axis=1)
    mean = tf.constant(MEANS)
    padded = tf.pad(image - mean, tf.concat([padding, [[0, 0]]], 0)) + mean
    size = tf.concat([end - begin, [3]], 0)
    part = tf.slice(padded, tf.concat([begin + before, [0]], 0), size)
    return legacy_resize.resize(tf.ensure_shape(part, [None, None, 3]), height, width)
