"""Inception's preprocessing, used by the Inception, MobileNet and NASNet families.

Training: a random part of the picture (area 5 to 100 %, aspect ratio 3/4 to 4/3), resized
regardless of its aspect ratio, mirrored at random, with its colours distorted in one of four orders
(Szegedy et al., "Going Deeper with Convolutions", section 6). Evaluation: the central 87.5 % of
each side. Both scale the pixels to [-1, 1].
"""

from collections.abc import Callable, Sequence

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

# In fast mode saturation comes first three times in four.
_ORDERS = {
    "none": ((),),
    "fast": (
        ("brightness", "saturation"),
        ("saturation", "brightness"),
        ("saturation", "brightness"),
        ("saturation", "brightness"),
    ),
    "full": (
        ("brightness", "saturation", "hue", "contrast"),
        ("saturation", "brightness", "contrast", "hue"),
        ("contrast", "hue", "brightness", "saturation"),
        ("hue", "saturation", "contrast", "brightness"),
    ),
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


# What changes the picture, and the range its amount is drawn from.
_DISTORTIONS = {
    "brightness": (tf.add, (-MAX_BRIGHTNESS, MAX_BRIGHTNESS)),
    "saturation": (adjust_saturation, SATURATION),
    "hue": (tf.image.adjust_hue, (-MAX_HUE, MAX_HUE)),
    "contrast": (tf.image.adjust_contrast, CONTRAST),
}


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
    order = _ORDERS["fast" if fast_mode else "full"][color_ordering]
    amounts = tf.random.stateless_uniform([len(_DISTORTIONS)], seed)
    return _changed_colors(image, order, amounts)


def _changed_colors(image: tf.Tensor, order: Sequence[str], amounts: tf.Tensor) -> tf.Tensor:
    """Changes the colours of a picture in [0, 1]; `amounts` in [0, 1], in `_DISTORTIONS`' order."""
    drawn = dict(zip(_DISTORTIONS, tf.unstack(amounts), strict=True))
    for name in order:
        change, (low, high) = _DISTORTIONS[name]
        image = change(image, low + drawn[name] * (high - low))
    return tf.clip_by_value(image, 0.0, 1.0) if order else image


def distorted_bounding_box_crop(
    image: tf.Tensor | pictures.EncodedPicture,
    seed: tf.Tensor,
    bbox: tf.Tensor | None = None,
    wanted: tuple[int, int] | None = None,
    *,
    min_object_covered: float = MIN_OBJECT_COVERED,
    aspect_ratio_range: tuple[float, float] = ASPECT_RATIO_RANGE,
    area_range: tuple[float, float] = AREA_RANGE,
    max_attempts: int = MAX_ATTEMPTS,
) -> tf.Tensor:
    """Cuts out a random part that covers so much of one of the boxes.

    Args:
      image: `[height, width, channels]`, or a picture of which only the part is decoded.
      seed: int32 `[2]`.
      bbox: `[1, number, 4]` in [0, 1] as ymin, xmin, ymax, xmax; None or no box stands for the
        whole picture.
      wanted: height and width, in pixels, that the part will be resized to: a large part of an
        encoded picture then comes smaller, as `pictures.Picture.window` says.
      min_object_covered: share of a box that the part covers at least.
      aspect_ratio_range: of the part, width to height.
      area_range: of the part, as a share of the picture.
      max_attempts: after so many draws that do not do, the whole picture is taken.

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
            min_object_covered=min_object_covered,
            aspect_ratio_range=aspect_ratio_range,
            area_range=area_range,
            max_attempts=max_attempts,
            use_image_if_no_bounding_boxes=True,
        )
        return picture.window(begin[:2], size[:2], wanted)[0]

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
    aspect_ratio_range: tuple[float, float] = ASPECT_RATIO_RANGE,
    area_range: tuple[float, float] = AREA_RANGE,
    random_flip: bool = True,
    color_distortion: str | None = None,
    distort: Callable[..., tf.Tensor] | None = None,
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
      aspect_ratio_range: as in `distorted_bounding_box_crop`.
      area_range: as in `distorted_bounding_box_crop`.
      random_flip: False mirrors none.
      color_distortion: "none", "fast" (brightness and saturation) or "full" (hue and contrast
        too); None: as `fast_mode` says.
      distort: `fn(image, seed)` of the resized picture with values 0 to 255, such as
        `augmentation.Augmentation`.
      use_grayscale: gives one channel; else the result has three.

    Returns:
      `[height, width, channels]` in float32, values in [-1, 1].

    Raises:
      UserError: if `color_distortion` is not known.
    """
    colors = color_distortion or ("fast" if fast_mode else "full")
    _checks.one_of("color_distortion", colors, COLOR_DISTORTIONS)
    crop_seed, draw_seed = tf.unstack(tf.random.split(seed))
    if random_crop:
        part = distorted_bounding_box_crop(
            image,
            crop_seed,
            bbox,
            (height, width),
            aspect_ratio_range=aspect_ratio_range,
            area_range=area_range,
        )
    else:
        part = pictures.whole(image)
    scale = 1.0 if part.dtype.is_floating else 1.0 / part.dtype.max
    method, mirror, order, *amounts = tf.unstack(
        tf.random.stateless_uniform([3 + len(_DISTORTIONS)], draw_seed)
    )
    # TensorFlow resizes float32 faster than bytes.
    part = tf.cast(part, tf.float32)
    methods = legacy_resize.METHODS[:1] if fast_mode else legacy_resize.METHODS
    resized = _one_of(
        [lambda m=m: legacy_resize.resize(part, height, width, m) for m in methods], method
    )
    if distort is not None:
        resized = distort(channels.as_wanted(resized, False) * (255.0 * scale), seed)
        scale = 1.0 / 255.0
    return _finish(
        resized,
        (mirror < 0.5) if random_flip else tf.constant(False),
        order,
        tf.stack(amounts),
        scale=scale,
        orders=_ORDERS[colors],
        use_grayscale=use_grayscale,
    )


# Compiled, what follows the resizing is one pass over the pixels; as operations it is a dozen.
@tf.function(jit_compile=True, autograph=False)
def _finish(
    image: tf.Tensor,
    is_mirrored: tf.Tensor,
    order: tf.Tensor,
    amounts: tf.Tensor,
    *,
    scale: float,
    orders: tuple[tuple[str, ...], ...],
    use_grayscale: bool,
) -> tf.Tensor:
    """Mirrors, scales to [0, 1], changes the colours, and scales to [-1, 1].

    Args:
      image: `[height, width, channels]` in float32.
      is_mirrored: whether to mirror it.
      order: in [0, 1], which of `orders` to take.
      amounts: of the changes, in [0, 1].
      scale: of the pixels.
      orders: of the changes of the colours.
      use_grayscale: gives one channel; else the result has three.
    """
    image = channels.as_wanted(image, False)
    image = tf.where(is_mirrored, image[:, ::-1], image) * scale

    def changed(names: tuple[str, ...]) -> tf.Tensor:
        colored = _changed_colors(image, names, amounts)
        return (channels.as_wanted(colored, use_grayscale) - 0.5) * 2.0

    return _one_of([lambda names=names: changed(names) for names in orders], order)


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


def _one_of(branches: Sequence[Callable[[], tf.Tensor]], place: tf.Tensor) -> tf.Tensor:
    """Runs the branch at a place, from 0 for the first up to 1, among all."""
    if len(branches) == 1:
        return branches[0]()
    return tf.switch_case(tf.cast(place * len(branches), tf.int32), branches)
