"""Inception's preprocessing, used by the Inception, MobileNet and NASNet families.

Training: a random part of the picture (area 5 to 100 %, aspect ratio 3/4 to 4/3), resized
  regardless of its aspect
ratio, mirrored at random, with its colours distorted in one of four orders (Szegedy et al., "Going
Deeper with Convolutions", section 6). Evaluation: the central 87.5 % of each side. Both scale the
pixels to [-1, 1].
"""

import tensorflow as tf

from preprocessing import channels, legacy_resize
from slim import _checks
from slim.data import pictures

CENTRAL_FRACTION = 0.875
MIN_OBJECT_COVERED = 0.1
ASPECT_RATIO_RANGE = (0.75, 1.33)
AREA_RANGE = (0.05, 1.0)
MAX_ATTEMPTS = 100

MAX_BRIGHTNESS = 32.0 / 255.0
SATURATION = (0.5, 1.5)
MAX_HUE = 0.2
CONTRAST = (0.5, 1.5)

COLOR_DISTORTIONS = ("none", "fast", "full")

_FAST_ORDERS = (
    ("brightness", "saturation"),
    ("saturation", "brightness"),
    ("saturation", "brightness"),
    ("saturation", "brightness"),
)
_FULL_ORDERS = (
    ("brightness", "saturation", "hue", "contrast"),
    ("saturation", "brightness", "contrast", "hue"),
    ("contrast", "hue", "brightness", "saturation"),
    ("hue", "saturation", "contrast", "brightness"),
)
_DISTORTIONS = {
    "brightness": lambda image, seed: tf.image.stateless_random_brightness(
        image, MAX_BRIGHTNESS, seed
    ),
    "saturation": lambda image, seed: adjust_saturation(
        image, tf.random.stateless_uniform([], seed, *SATURATION)
    ),
    "hue": lambda image, seed: tf.image.stateless_random_hue(image, MAX_HUE, seed),
    "contrast": lambda image, seed: tf.image.stateless_random_contrast(image, *CONTRAST, seed),
}


def adjust_saturation(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Multiplies the saturation; as `tf.image.adjust_saturation`, in two thirds of its time.

    With V the largest channel and m the smallest, saturation is (V - m) / V. To multiply it by f,
    at most to 1, is to bring each channel c to V - (V - c) min(f, V / (V - m)): no way to HSV and
    back is needed.

    Args:
      image: `[height, width, 3]` in float32.
      factor: 0 or more.
    """
    red, green, blue = (image[..., i : i + 1] for i in range(3))
    value = tf.maximum(tf.maximum(red, green), blue)
    chroma = value - tf.minimum(tf.minimum(red, green), blue)
    ratio = tf.minimum(factor, value / tf.maximum(chroma, 1e-20))
    return value - (value - image) * tf.maximum(ratio, 0.0)


def distort_color(
    image: tf.Tensor, seed: tf.Tensor, color_ordering: int = 0, fast_mode: bool = True
) -> tf.Tensor:
    """Changes brightness and saturation, and unless `fast_mode` hue and contrast.

    Args:
      image: `[height, width, 3]` in [0, 1].
      seed: int32 `[2]`.
      color_ordering: 0 to 3, which order the changes come in; they do not commute.
      fast_mode: leaves out the slower hue and contrast.

    Returns:
      the picture, clipped to [0, 1].

    Raises:
      ValueError: if `color_ordering` is not 0 to 3.
    """
    if color_ordering not in range(4):
        raise ValueError(f"color_ordering={color_ordering!r} must be 0, 1, 2 or 3")
    order = (_FAST_ORDERS if fast_mode else _FULL_ORDERS)[color_ordering]
    for name, own_seed in zip(order, tf.unstack(tf.random.split(seed, len(order))), strict=True):
        image = _DISTORTIONS[name](image, own_seed)
    return tf.clip_by_value(image, 0.0, 1.0)


def distorted_bounding_box_crop(
    image: tf.Tensor | pictures.EncodedPicture, seed: tf.Tensor, bbox: tf.Tensor | None = None
) -> tf.Tensor:
    """Cuts out a random part that covers at least a tenth of one of the boxes.

    Args:
      image: `[height, width, channels]`, or a picture of which only the part is decoded.
      seed: int32 `[2]`.
      bbox: `[1, number, 4]` in [0, 1] as ymin, xmin, ymax, xmax; None or no box stands for the
        whole picture.

    Returns:
      the part, `[part height, part width, channels]`.
    """
    if bbox is None:
        bbox = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])

    def choose(picture: pictures.Picture) -> tf.Tensor:
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            picture.shape(),
            bbox,
            seed,
            min_object_covered=MIN_OBJECT_COVERED,
            aspect_ratio_range=ASPECT_RATIO_RANGE,
            area_range=AREA_RANGE,
            max_attempts=MAX_ATTEMPTS,
            use_image_if_no_bounding_boxes=True,
        )
        return picture.window(begin[:2], size[:2])

    return pictures.cut(image, choose)


def preprocess_for_train(
    image: tf.Tensor | pictures.EncodedPicture,
    height: int,
    width: int,
    *,
    seed: tf.Tensor,
    bbox: tf.Tensor | None = None,
    fast_mode: bool = True,
    random_crop: bool = True,
    random_flip: bool = True,
    color_distortion: str | None = None,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Distorts one picture for training.

    Args:
      image: `[height, width, channels]`; uint8, or float in [0, 1]; or an encoded picture.
      height: of the result.
      width: of the result.
      seed: int32 `[2]`; the result depends on it and the picture alone.
      bbox: as in `distorted_bounding_box_crop`.
      fast_mode: bilinear resizing alone, no changes of hue and contrast.
      random_crop: False takes the whole picture.
      random_flip: False mirrors none.
      color_distortion: "none", "fast" (brightness and saturation) or "full" (hue and contrast
        too); None: as `fast_mode` says.
      use_grayscale: gives one channel; else the result has three.

    Returns:
      `[height, width, channels]` in float32, values in [-1, 1].

    Raises:
      UserError: if `color_distortion` is not known.
    """
    colors = color_distortion or ("fast" if fast_mode else "full")
    _checks.one_of("color_distortion", colors, COLOR_DISTORTIONS)
    crop_seed, method_seed, flip_seed, order_seed, color_seed = tf.unstack(tf.random.split(seed, 5))
    if random_crop:
        part = distorted_bounding_box_crop(image, crop_seed, bbox)
    else:
        part = pictures.whole(image)
    methods = legacy_resize.METHODS[:1] if fast_mode else legacy_resize.METHODS
    # Bytes are resized as they are and scaled after: fewer pixels to convert.
    scale = 1.0 if part.dtype.is_floating else 1.0 / part.dtype.max
    image = scale * _one_of(
        [lambda m=m: legacy_resize.resize(part, height, width, m) for m in methods], method_seed
    )
    image = channels.as_wanted(image, False)
    if random_flip:
        image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if colors != "none":
        plain, fast = image, colors == "fast"
        image = _one_of(
            [lambda i=i: distort_color(plain, color_seed, i, fast) for i in range(4)], order_seed
        )
    return (channels.as_wanted(image, use_grayscale) - 0.5) * 2.0


def preprocess_for_eval(
    image: tf.Tensor,
    height: int,
    width: int,
    *,
    central_fraction: float | None = CENTRAL_FRACTION,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Prepares one picture for evaluation.

    Args:
      image: `[height, width, channels]`; uint8, or float in [0, 1].
      height: of the result.
      width: of the result.
      central_fraction: share of each side that is kept; None keeps all.
      use_grayscale: gives one channel; else the result has three.

    Returns:
      `[height, width, channels]` in float32, values in [-1, 1].
    """
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = channels.as_wanted(image, use_grayscale)
    if central_fraction:
        image = tf.image.central_crop(image, central_fraction)
    return (legacy_resize.resize(image, height, width) - 0.5) * 2.0


def preprocess_image(
    image: tf.Tensor, height: int, width: int, is_training: bool = False, **kwargs: object
) -> tf.Tensor:
    """Prepares one picture; `kwargs` go to `preprocess_for_train` or `preprocess_for_eval`."""
    prepare = preprocess_for_train if is_training else preprocess_for_eval
    return prepare(image, height, width, **kwargs)


def _one_of(branches: list, seed: tf.Tensor) -> tf.Tensor:
    """Runs one of the branches, each with the same chance."""
    if len(branches) == 1:
        return branches[0]()
    choice = tf.random.stateless_uniform([], seed, 0, len(branches), tf.int32)
    return tf.switch_case(choice, branches)
