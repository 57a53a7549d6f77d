"""Preprocessing of SSD detectors on VGG: picture, labels and boxes together.

Training takes a random part of the picture that overlaps with an object (Liu et al., "SSD: Single
Shot MultiBox Detector", section 2.2), resizes it regardless of its aspect ratio, mirrors every
other one and subtracts ImageNet's mean colour. It is a part of the library for those who train
detectors; the classification scripts have no boxes to give it, so it is not in the factory's table.

Boxes are float32 `[number, 4]`: top, left, bottom, right, in shares of the picture's sides.
"""

from typing import NamedTuple

import tensorflow as tf

from preprocessing import channels, legacy_resize
from preprocessing.vgg_preprocessing import MEANS, subtract_means
from slim import _checks

# What overlap a part must have with an object; None takes the whole picture, 0 any part.
OVERLAPS = (None, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
AREA_RANGE = (0.1, 1.0)
ASPECT_RATIO_RANGE = (0.5, 2.0)
CANDIDATES = 50

RESIZES = ("warp", "pad", "central_crop", "none")
_WHOLE = (0.0, 0.0, 1.0, 1.0)


class Detection(NamedTuple):
    """A picture with its objects.

    Attributes:
      image: float32 `[height, width, 3]`, values 0 to 255 less the mean colour.
      labels: `[number]`, of the type that was given.
      boxes: float32 `[number, 4]`, in shares of the new picture's sides.
      frame: float32 `[4]`: the part of the given picture that the new one shows, in shares of the
        given one's sides; below 0 or above 1 where it was padded. `from_frame` brings boxes back.
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
    """Distorts one picture for training.

    Args:
      image: `[height, width, channels]`, values 0 to 255.
      labels: `[number]`.
      boxes: float32 `[number, 4]`.
      height: of the result.
      width: of the result.
      seed: int32 `[2]`; the result depends on it and the picture alone.
      random_crop: False takes the whole picture.
      random_flip: False mirrors none.

    Returns:
      the part, with the objects whose centres lie in it; their boxes are cut at its border.
    """
    part_seed, flip_seed = tf.unstack(tf.random.split(seed))
    frame = random_part(boxes, part_seed) if random_crop else tf.constant(_WHOLE)
    labels, boxes = within(labels, boxes, frame)
    image = _shown(image, frame, height, width)
    if random_flip:
        is_mirrored = tf.random.stateless_uniform([], flip_seed) < 0.5
        image = tf.where(is_mirrored, image[:, ::-1], image)
        boxes = tf.where(is_mirrored, mirrored(boxes), boxes)
        top, left, bottom, right = tf.unstack(frame)
        # A frame whose right is left of its left shows the picture mirrored.
        frame = tf.where(is_mirrored, tf.stack([top, right, bottom, left]), frame)
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
    """Prepares one picture for evaluation.

    Args:
      image: `[height, width, channels]`, values 0 to 255.
      labels: `[number]`.
      boxes: float32 `[number, 4]`.
      height: of the result; not looked at with `resize="none"`.
      width: likewise.
      resize: "warp" resizes regardless of the aspect ratio; "pad" keeps it, the smaller side lying
        between bars of the mean colour; "central_crop" keeps it, cutting the longer side; "none"
        leaves the picture as large as it is.

    Returns:
      the picture with all its objects; with "central_crop", those whose centres lie in it.

    Raises:
      UserError: if `resize` is not known.
    """
    _checks.one_of("resize", resize, RESIZES)
    if resize == "none":
        image = channels.as_wanted(tf.cast(image, tf.float32), False)
        return Detection(subtract_means(image, False), labels, boxes, tf.constant(_WHOLE))
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    wanted = tf.constant([height, width], tf.float32)
    if resize == "warp":
        frame = tf.constant(_WHOLE)
    else:
        # How many of the picture's pixels one of the result's is, in either direction.
        steps = sides / wanted
        step = tf.reduce_max(steps) if resize == "pad" else tf.reduce_min(steps)
        half = wanted * step / sides / 2.0
        frame = tf.concat([0.5 - half, 0.5 + half], 0)
    labels, boxes = within(labels, boxes, frame)
    image = _shown(image, frame, height, width)
    return Detection(subtract_means(image, False), labels, boxes, frame)


def random_part(boxes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws a part of a picture that overlaps with one of its boxes.

    Args:
      boxes: `[number, 4]`; without any, or if no part is found, the whole picture is taken.
      seed: int32 `[2]`.

    Returns:
      the part as a box, `[4]`.
    """
    drawn = tf.random.stateless_uniform([4 * CANDIDATES + 1], seed)
    choice = tf.cast(drawn[0] * len(OVERLAPS), tf.int32)
    least = tf.constant([2.0 if each is None else each for each in OVERLAPS])[choice]
    area, aspect, top, left = tf.unstack(tf.reshape(drawn[1:], [4, CANDIDATES]))
    area = AREA_RANGE[0] + area * (AREA_RANGE[1] - AREA_RANGE[0])
    aspect = tf.pow(ASPECT_RATIO_RANGE[1], 2.0 * aspect - 1.0)
    high = tf.minimum(tf.sqrt(area / aspect), 1.0)
    wide = tf.minimum(tf.sqrt(area * aspect), 1.0)
    top, left = top * (1.0 - high), left * (1.0 - wide)
    parts = tf.stack([top, left, top + high, left + wide], axis=-1)
    fits = overlaps(parts, boxes) >= least
    fits &= _holds_centre(parts[:, tf.newaxis], boxes)
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
    """Returns the objects whose centres lie in a frame; boxes in its terms, cut at its border."""
    held = _holds_centre(frame, boxes)
    labels, boxes = tf.boolean_mask(labels, held), tf.boolean_mask(boxes, held)
    origin, size = tf.tile(frame[:2], [2]), tf.tile(frame[2:] - frame[:2], [2])
    return labels, tf.clip_by_value((boxes - origin) / size, 0.0, 1.0)


def from_frame(boxes: tf.Tensor, frame: tf.Tensor) -> tf.Tensor:
    """Returns boxes of a prepared picture in shares of the sides of the picture it was made of."""
    origin, size = tf.tile(frame[:2], [2]), tf.tile(frame[2:] - frame[:2], [2])
    boxes = boxes * size + origin
    begin, end = tf.minimum(boxes[:, :2], boxes[:, 2:]), tf.maximum(boxes[:, :2], boxes[:, 2:])
    return tf.concat([begin, end], axis=1)


def mirrored(boxes: tf.Tensor) -> tf.Tensor:
    """Returns the boxes of the mirrored picture."""
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    return tf.stack([top, 1.0 - right, bottom, 1.0 - left], axis=-1)


def _holds_centre(frames: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2.0
    return tf.reduce_all((frames[..., :2] <= centre) & (centre <= frames[..., 2:]), axis=-1)


def _shown(image: tf.Tensor, frame: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns what a frame shows, at a size; the mean colour where it is beyond the picture."""
    image = channels.as_wanted(tf.cast(image, tf.float32), False)
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
