"""The operations that AutoAugment and RandAugment choose from (Cubuk et al., "AutoAugment: Learning
Augmentation Strategies from Data", table 6), as pure functions.

Each accepts an image, float32 `[height, width, channels]` with values 0 to 255, and a strength from
-1 to 1. Operations without a direction use its absolute value, and some have no strength at all. At
strength 0 the others do not change the image.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from slim._shapes import static_sizes

MAX_ANGLE = 30.0  # degrees
MAX_SHEAR = 0.3
MAX_SHIFT = 0.45  # fraction of the side
MAX_CHANGE = 0.9  # the factor of color, contrast, brightness and sharpness is 1 +- this
MAX_DROPPED_BITS = 4
# Value of the pixels beyond the border.
FILL = 128.0

_LUMA = (0.299, 0.587, 0.114)
_SMOOTHING = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))


def blend(other: tf.Tensor, image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Interpolates between `other` (factor 0) and the image (1), or extrapolates beyond it."""
    return tf.clip_by_value(other + factor * (image - other), 0.0, 255.0)


def _gray(image: tf.Tensor) -> tf.Tensor:
    if static_sizes(image)[-1] == 1:
        return image
    return tf.reduce_sum(image * tf.constant(_LUMA), axis=-1, keepdims=True)


def _factor(strength: tf.Tensor) -> tf.Tensor:
    return 1.0 + MAX_CHANGE * strength


def identity(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Returns the image unchanged."""
    del strength
    return image


def color(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Decreases or increases the saturation."""
    return blend(_gray(image), image, _factor(strength))


def contrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Moves the pixels towards the image's mean gray, or away from it."""
    return blend(tf.reduce_mean(_gray(image)), image, _factor(strength))


def brightness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Darkens or brightens the image."""
    return blend(tf.zeros_like(image), image, _factor(strength))


def sharpness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Blurs or sharpens; the outermost pixels do not change."""
    count = static_sizes(image)[-1]
    kernel = tf.constant(_SMOOTHING) / 13.0
    kernel = tf.tile(kernel[:, :, tf.newaxis, tf.newaxis], [1, 1, count, 1])
    smooth = tf.nn.depthwise_conv2d(image[tf.newaxis], kernel, [1, 1, 1, 1], "VALID")[0]
    inner = tf.pad(tf.ones_like(smooth), [[1, 1], [1, 1], [0, 0]])
    smooth = tf.pad(smooth, [[1, 1], [1, 1], [0, 0]])
    return blend(tf.where(inner > 0, smooth, image), image, _factor(strength))


def invert(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Inverts the image."""
    del strength
    return 255.0 - image


def solarize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Inverts the pixels at or above a threshold: 256 at strength 0, 0 at 1."""
    return tf.where(image < 256.0 * (1.0 - tf.abs(strength)), image, 255.0 - image)


def posterize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Clears the lowest bits of each value: none at strength 0, four at 1."""
    step = tf.pow(2.0, tf.round(MAX_DROPPED_BITS * tf.abs(strength)))
    return tf.floor(tf.floor(image) / step) * step


def auto_contrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to 0..255; a constant channel does not change."""
    del strength
    low = tf.reduce_min(image, axis=[0, 1])
    spread = tf.reduce_max(image, axis=[0, 1]) - low
    stretched = (image - low) * 255.0 / tf.maximum(spread, 1e-6)
    return tf.where(spread > 0.0, stretched, image)


def equalize(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Equalizes each channel's histogram over 0..255."""
    del strength
    values = tf.cast(tf.clip_by_value(image, 0.0, 255.0), tf.int32)
    channels = [_equalized(values[..., channel]) for channel in range(static_sizes(image)[-1])]
    return tf.cast(tf.stack(channels, axis=-1), tf.float32)


def _equalized(values: tf.Tensor) -> tf.Tensor:
    """Maps int32 values by the fraction of pixels below them."""
    counts = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    highest = tf.reduce_max(values)
    step = (tf.reduce_sum(counts) - counts[highest]) // 255
    below = tf.cumsum(counts, exclusive=True)
    table = tf.clip_by_value((below + step // 2) // tf.maximum(step, 1), 0, 255)
    return tf.where(step > 0, tf.gather(table, values), values)


def _moved(image: tf.Tensor, rows: list[tf.Tensor | float]) -> tf.Tensor:
    """Returns an image whose pixel (x, y) is that of `image` at (a x + b y + c, d x + e y + f).

    `rows` is [a, b, c, d, e, f].
    """
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
    """Rotates the image about its center."""
    angle = strength * MAX_ANGLE * (3.141592653589793 / 180.0)
    sides = tf.cast(tf.shape(image)[:2], tf.float32)
    y, x = (sides[0] - 1.0) / 2.0, (sides[1] - 1.0) / 2.0
    cos, sin = tf.cos(angle), tf.sin(angle)
    return _moved(image, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y])


def shear_x(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Shifts each row in proportion to its index."""
    return _moved(image, [1.0, strength * MAX_SHEAR, 0.0, 0.0, 1.0, 0.0])


def shear_y(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Shifts each column in proportion to its index."""
    return _moved(image, [1.0, 0.0, 0.0, strength * MAX_SHEAR, 1.0, 0.0])


def translate_x(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Shifts the image horizontally."""
    width = tf.cast(tf.shape(image)[1], tf.float32)
    return _moved(image, [1.0, 0.0, strength * MAX_SHIFT * width, 0.0, 1.0, 0.0])


def translate_y(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Shifts the image vertically."""
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
