"""The resizing that the original's networks were trained and evaluated with.

TensorFlow 2's `tf.image.resize` takes pixel centres at half coordinates; the original took them at
whole ones. The difference moves a picture by up to half a pixel, which costs accuracy with
published checkpoints. The old definition is public only as `tf.compat.v1.image.resize`, so this
module, and no other of the kind, uses it.
"""

import tensorflow as tf

METHODS = ("bilinear", "nearest", "bicubic", "area")

_ENUM = {
    "bilinear": tf.compat.v1.image.ResizeMethod.BILINEAR,
    "nearest": tf.compat.v1.image.ResizeMethod.NEAREST_NEIGHBOR,
    "bicubic": tf.compat.v1.image.ResizeMethod.BICUBIC,
    "area": tf.compat.v1.image.ResizeMethod.AREA,
}


def resize(
    image: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor, method: str = "bilinear"
) -> tf.Tensor:
    """Resizes one picture without regard to its aspect ratio, `align_corners=False`.

    Args:
      image: `[height, width, channels]`.
      height: of the result, in pixels.
      width: of the result, in pixels.
      method: one of `METHODS`.

    Returns:
      the resized picture in float32.
    """
    resized = tf.compat.v1.image.resize(
        image, tf.stack([height, width]), _ENUM[method], align_corners=False
    )
    sizes = [side if isinstance(side, int) else None for side in (height, width)]
    return tf.ensure_shape(tf.cast(resized, tf.float32), [*sizes, image.shape[-1]])
