"""Inception's preprocessing, used by the Inception, MobileNet and NASNet families.

Training: a random part of the image (area 5 to 100 %, aspect ratio 3/4 to 4/3), resized regardless
of its aspect ratio, flipped at random, with color distortions in one of four orders (Szegedy et
al., "Going Deeper with Convolutions", section 6). Evaluation: the central 87.5 % of each side. Both
scale the pixels to [-1, 1].
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from preprocessing import channels, legacy_resize
from slim import _checks
from slim.data import encoded_images

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

# In fast mode, three of the four orders begin with the saturation.
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

    With V the largest channel and m the smallest, the saturation is (V - m) / V. Multiplying it by
    f, up to 1, maps each channel c to V - (V - c) min(f, V / (V - m)), without conversion to HSV
    and back.

    Args:
      image: `[height, width, 3]` in float32.
      factor: 0 or more.
    """
    red, green, blue = (image[..., i : i + 1] for i in range(3))
    value = tf.maximum(tf.maximum(red, green), blue)
    chroma = value - tf.minimum(tf.minimum(red, green), blue)
    ratio = tf.minimum(factor, value / tf.maximum(chroma, 1e-20))
    return value - (value - image) * tf.maximum(ratio, 0.0)


# Functions of the image and an amount, with the range of the amount.
_DISTORTIONS = {
    "brightness": (tf.add, (-MAX_BRIGHTNESS, MAX_BRIGHTNESS)),
    "saturation": (adjust_saturation, SATURATION),
    "hue": (tf.image.adjust_hue, (-MAX_HUE, MAX_HUE)),
    "contrast": (tf.image.adjust_contrast, CONTRAST),
}


def distort_color(
    image: tf.Tensor, seed: tf.Tensor, color_ordering: int = 0, fast_mode: bool = True
) -> tf.Tensor:
    """Changes brightness and saturation, and without `fast_mode` hue and contrast.

    Args:
      image: `[height, width, 3]` in [0, 1].
      seed: int32 `[2]`.
      color_ordering: order of the changes, 0 to 3; they do not commute.
      fast_mode: whether to skip hue and contrast, which are slower.

    Returns:
      The image, clipped to [0, 1].

    Raises:
      ValueError: if `color_ordering` is not 0 to 3.
    """
    if color_ordering not in range(4):
        raise ValueError(f"color_ordering={color_ordering!r} must be 0, 1, 2 or 3")
    order = _ORDERS["fast" if fast_mode else "full"][color_ordering]
    amounts = tf.random.stateless_uniform([len(_DISTORTIONS)], seed)
    return _changed_colors(image, order, amounts)


def _changed_colors(image: tf.Tensor, order: Sequence[str], amounts: tf.Tensor) -> tf.Tensor:
    """Changes the colors of an image in [0, 1]; `amounts` in [0, 1], in `_DISTORTIONS`' order."""
    drawn = dict(zip(_DISTORTIONS, tf.unstack(amounts), strict=True))
    for name in order:
        change, (low, high) = _DISTORTIONS[name]
        image = change(image, low + drawn[name] * (high - low))
    return tf.clip_by_value(image, 0.0, 1.0) if order else image


def distorted_bounding_box_crop(
    image: tf.Tensor | encoded_images.EncodedImage,
    seed: tf.Tensor,
    bbox: tf.Tensor | None = None,
    target_size: tuple[int, int] | None = None,
    *,
    min_object_covered: float = MIN_OBJECT_COVERED,
    aspect_ratio_range: tuple[float, float] = ASPECT_RATIO_RANGE,
    area_range: tuple[float, float] = AREA_RANGE,
    max_attempts: int = MAX_ATTEMPTS,
) -> tf.Tensor:
    """Crops a random part that covers a minimum fraction of one of the boxes.

    Args:
      image: `[height, width, channels]`, or an encoded image, of which only the part is decoded.
      seed: int32 `[2]`.
      bbox: `[1, number, 4]` in [0, 1] as ymin, xmin, ymax, xmax; None or no box stands for the
        whole image.
      target_size: height and width that the part will be resized to, in pixels: large parts of
        encoded images are then decoded at a smaller scale, see `encoded_images.Image.window`.
      min_object_covered: minimum fraction of a box that the part covers.
      aspect_ratio_range: range of the part's aspect ratio, width to height.
      area_range: range of the part's area, as a fraction of the image.
      max_attempts: maximum number of draws, after which the whole image is used.

    Returns:
      The part, `[part height, part width, channels]`.
    """
    if bbox is None:
        bbox = tf.constant([[[0.0, 0.0, 1.0, 1.0]]])

    def choose(source: encoded_images.Image) -> tf.Tensor:
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            source.shape(),
            bbox,
            seed,
            min_object_covered=min_object_covered,
            aspect_ratio_range=aspect_ratio_range,
            area_range=area_range,
            max_attempts=max_attempts,
            use_image_if_no_bounding_boxes=True,
        )
        return source.window(begin[:2], size[:2], target_size)[0]

    return encoded_images.crop(image, choose)


def preprocess_for_train(
    image: tf.Tensor | encoded_images.EncodedImage,
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
    """Distorts one image for training.

    Args:
      image: `[height, width, channels]`; uint8, or float in [0, 1]; or an encoded image.
      height: height of the result.
      width: width of the result.
      seed: int32 `[2]`; the result is a function of the image and the seed.
      bbox: see `distorted_bounding_box_crop`.
      fast_mode: whether to resize bilinearly only, without changes of hue and contrast.
      random_crop: whether to crop a random part; False uses the whole image.
      aspect_ratio_range: see `distorted_bounding_box_crop`.
      area_range: see `distorted_bounding_box_crop`.
      random_flip: whether to flip horizontally with probability 0.5.
      color_distortion: "none", "fast" (brightness and saturation) or "full" (hue and contrast
        too); default: "fast" in `fast_mode`, otherwise "full".
      distort: `fn(image, seed)` of the resized image with values 0 to 255, such as
        `augmentation.Augmentation`.
      use_grayscale: whether to convert to one channel; otherwise the result has three.

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
        part = encoded_images.decode(image)
    scale = 1.0 if part.dtype.is_floating else 1.0 / part.dtype.max
    method, flip, order, *amounts = tf.unstack(
        tf.random.stateless_uniform([3 + len(_DISTORTIONS)], draw_seed)
    )
    # TensorFlow resizes float32 faster than bytes.
    part = tf.cast(part, tf.float32)
    methods = legacy_resize.METHODS[:1] if fast_mode else legacy_resize.METHODS
    resized = _one_of(
        [lambda m=m: legacy_resize.resize(part, height, width, m) for m in methods], method
    )
    if distort is not None:
        resized = distort(channels.convert(resized, False) * (255.0 * scale), seed)
        scale = 1.0 / 255.0
    return _finish(
        resized,
        (flip < 0.5) if random_flip else tf.constant(False),
        order,
        tf.stack(amounts),
        scale=scale,
        orders=_ORDERS[colors],
        use_grayscale=use_grayscale,
    )


# Compiled to one pass over the pixels; without compilation there are a dozen.
@tf.function(jit_compile=True, autograph=False)
def _finish(
    image: tf.Tensor,
    is_flipped: tf.Tensor,
    order: tf.Tensor,
    amounts: tf.Tensor,
    *,
    scale: float,
    orders: tuple[tuple[str, ...], ...],
    use_grayscale: bool,
) -> tf.Tensor:
    """Flips, scales to [0, 1], changes the colors, and scales to [-1, 1].

    Args:
      image: `[height, width, channels]` in float32.
      is_flipped: whether to flip horizontally.
      order: selects one of `orders`, in [0, 1].
      amounts: amounts of the color changes, in [0, 1].
      scale: factor of the pixels.
      orders: possible orders of the color changes.
      use_grayscale: whether to convert to one channel; otherwise the result has three.
    """
    image = channels.convert(image, False)
    image = tf.where(is_flipped, image[:, ::-1], image) * scale

    def changed(names: tuple[str, ...]) -> tf.Tensor:
        colored = _changed_colors(image, names, amounts)
        return (channels.convert(colored, use_grayscale) - 0.5) * 2.0

    return _one_of([lambda names=names: changed(names) for names in orders], order)


def preprocess_for_eval(
    image: tf.Tensor,
    height: int,
    width: int,
    *,
    central_fraction: float | None = CENTRAL_FRACTION,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Preprocesses one image for evaluation.

    Args:
      image: `[height, width, channels]`; uint8, or float in [0, 1].
      height: height of the result.
      width: width of the result.
      central_fraction: fraction of each side to keep; None keeps everything.
      use_grayscale: whether to convert to one channel; otherwise the result has three.

    Returns:
      `[height, width, channels]` in float32, values in [-1, 1].
    """
    if central_fraction:
        image = tf.image.central_crop(image, central_fraction)
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = channels.convert(image, use_grayscale)
    return (legacy_resize.resize(image, height, width) - 0.5) * 2.0


def preprocess_image(
    image: tf.Tensor, height: int, width: int, is_training: bool = False, **kwargs: object
) -> tf.Tensor:
    """Calls `preprocess_for_train` or `preprocess_for_eval` with `kwargs`."""
    prepare = preprocess_for_train if is_training else preprocess_for_eval
    return prepare(image, height, width, **kwargs)


def _one_of(branches: Sequence[Callable[[], tf.Tensor]], place: tf.Tensor) -> tf.Tensor:
    """Runs the branch selected by `place`, from 0 for the first to 1 for the last."""
    if len(branches) == 1:
        return branches[0]()
    return tf.switch_case(tf.cast(place * len(branches), tf.int32), branches)
