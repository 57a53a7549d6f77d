"""The operations that AutoAugment and RandAugment choose from (Cubuk et al., "AutoAugment: Learning
Augmentation Strategies from Data", table 6), as pure functions.

Each takes a picture, float32 `[height, width, channels]` with values 0 to 255, and a strength from
-1 to 1, of which those that know no direction take the size alone. At strength 0 those that take
one leave the picture as it is.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

MAX_ANGLE = 30.0  # degrees
MAX_SHEAR = 0.3
MAX_SHIFT = 0.45  # of the side
MAX_CHANGE = 0.9  # of the factor of color, contrast, brightness and sharpness, about 1
MOST_BITS_LOST = 4
# What comes into the picture from beyond its border.
FILL = 128.0

_LUMA = (0.299, 0.587, 0.114)
_SMOOTHING = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))


def blend(other: tf.Tensor, image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Returns what lies between `other` (factor 0) and the picture (1), or beyond it."""
    return tf.clip_by_value(other + factor * (image - other), 0.0, 255.0)


def _gray(image: tf.Tensor) -> tf.Tensor:
    if image.shape[-1] == 1:
        return image
    return tf.reduce_sum(image * tf.constant(_LUMA), axis=-1, keepdims=True)


def _factor(strength: tf.Tensor) -> tf.Tensor:
    return 1.0 + MAX_CHANGE * strength


def identity(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Leaves the picture as it is."""
    del strength
    return image


def color(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Makes the colours paler or stronger."""
    return blend(_gray(image), image, _factor(strength))


def contrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Brings the pixels closer to the picture's mean gray, or away from it."""
    return blend(tf.reduce_mean(_gray(image)), image, _factor(strength))


def brightness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Makes the picture darker or brighter."""
    return blend(tf.zeros_like(image), image, _factor(strength))


def sharpness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Blurs or sharpens; the outermost pixels stay as they are."""
    count = image.shape[-1]
    kernel = tf.constant(_SMOOTHING) / 13.0
    kernel = tf.tile(kernel[:, :, tf.newaxis, tf.newaxis], [1, 1, count, 1])
    smooth = tf.nn.depthwise_conv2d(image[tf.newaxis], kernel, [1, 1, 1, 1], "VALID")[0]
    inner = tf.pad(tf.ones_like(smooth), [[1, 1], [1, 1], [0, 0]])
    smooth = tf.pad(smooth, [[1, 1], [1, 1], [0, 0]])
    return blend(tf.where(inner > 0, smooth, image), image, _factor(strength))


def invert(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Makes the negative."""
    del strength
    return 255.0 - image


def solarize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Makes the negative of what is at least as bright as a threshold: 256 at strength 0."""
    return tf.where(image < 256.0 * (1.0 - tf.abs(strength)), image, 255.0 - image)


def posterize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Takes away the lowest bits of each value: none at strength 0, four at 1."""
    step = tf.pow(2.0, tf.round(MOST_BITS_LOST * tf.abs(strength)))
    return tf.floor(tf.floor(image) / step) * step


def auto_contrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to 0..255; one of a single value stays."""
    del strength
    low = tf.reduce_min(image, axis=[0, 1])
    spread = tf.reduce_max(image, axis=[0, 1]) - low
    stretched = (image - low) * 255.0 / tf.maximum(spread, 1e-6)
    return tf.where(spread > 0.0, stretched, image)


def equalize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Spreads each channel's values evenly over 0..255."""
    del strength
    values = tf.cast(tf.clip_by_value(image, 0.0, 255.0), tf.int32)
    channels = [_equalized(values[..., channel]) for channel in range(image.shape[-1])]
    return tf.cast(tf.stack(channels, axis=-1), tf.float32)


def _equalized(values: tf.Tensor) -> tf.Tensor:
    """Maps int32 values by the share of pixels below them."""
    counts = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    highest = tf.reduce_max(values)
    step = (tf.reduce_sum(counts) - counts[highest]) // 255
    below = tf.cumsum(counts, exclusive=True)
    table = tf.clip_by_value((below + step // 2) // tf.maximum(step, 1), 0, 255)
    return tf.where(step > 0, tf.gather(table, values), values)


def _moved(image: tf.Tensor, rows: list[tf.Tensor | float]) -> tf.Tensor:
    """Returns the picture whose pixel (x, y) is the given one's at `(a x + b y + c, d x + e y +
    f)`, for `rows` = [a, b, c, d, e, f]."""
    transform = tf.stack([tf.cast(each, tf.float32) for each in [*rows, 0.0, 0.0]])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=transform[tf.newaxis],
        output_shape=tf.shape(image)[:2],
        fill_value=FILL,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved[0], image.shape)


def rotate(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Turns the picture about its centre."""
    angle = strength * MAX_ANGLE * (3.141592653589793 / 180.0)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    y, x = (sides[0] - 1.0) / 2.0, (sides[1] - 1.0) / 2.0
    cos, sin = tf.cos(angle), tf.sin(angle)
    return _moved(image, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y])


def shear_x(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Shifts each row by its number times a factor."""
    return _moved(image, [1.0, strength * MAX_SHEAR, 0.0, 0.0, 1.0, 0.0])


def shear_y(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Shifts each column by its number times a factor."""
    return _moved(image, [1.0, 0.0, 0.0, strength * MAX_SHEAR, 1.0, 0.0])


def translate_x(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Shifts the picture sideways."""
    width = tf.cast(tf.shape(image)[1], tf.float32)
    return _moved(image, [1.0, 0.0, strength * MAX_SHIFT * width, 0.0, 1.0, 0.0])


def translate_y(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Shifts the picture up or down."""
    height = tf.cast(tf.shape(image)[0], tf.float32)
    return _moved(image, [1.0, 0.0, 0.0, 0.0, 1.0, strength * MAX_SHIFT * height])


OPERATIONS: Mapping[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "identity": identity,
    "auto_contrast": auto_contrast,
    "equalize": equalize,
    "rotate": rotate,
    "solarize": solarize,
    "color": color,
    "posterize": posterize,
    "contrast": contrast,
    "brightness": brightness,
    "sharpness": sharpness,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "invert": invert,
}
