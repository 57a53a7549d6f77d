"""The resizing that TF-Slim's networks were trained and evaluated with.

TensorFlow 2's `tf.image.resize` places pixel centers at half coordinates, TF-Slim's at integers.
The difference shifts an image by up to half a pixel, which reduces the accuracy of published
checkpoints. The old definition is only available as `tf.compat.v1.image.resize`, which this is the
only preprocessing module to use.
"""

import tensorflow as tf

from slim._shapes import static_sizes

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
    """Resizes one image regardless of its aspect ratio, `align_corners=False`.

    Args:
      image: `[height, width, channels]`.
      height: height of the result, in pixels.
      width: width of the result, in pixels.
      method: one of `METHODS`.

    Returns:
      The resized image in float32.
    """
    resized = tf.compat.v1.image.resize(
        image, tf.stack([height, width]), _ENUM[method], align_corners=False
    )
    sizes = [side if isinstance(side, int) else None for side in (height, width)]
    return tf.ensure_shape(tf.cast(resized, tf.float32), [*sizes, static_sizes(image)[-1]])
