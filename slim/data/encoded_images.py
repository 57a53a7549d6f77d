"""Encoded images of which only a part is decoded, which is faster than decoding and then cropping.

Preprocessing functions accept a decoded tensor or an `EncodedImage`; so do `crop` and `decode`.
"""

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from slim import _image_limits
from slim.data import image_header

# Factors by which libjpeg can reduce an image while decoding.
_SCALES = (1, 2, 4, 8)


class Image(Protocol):
    """An image whose windows can be read."""

    def shape(self) -> tf.Tensor:
        """Returns height, width and channels, int32 [3]."""

    def window(
        self, begin: tf.Tensor, size: tf.Tensor, target_size: tuple[int, int] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the pixels of a window, and their scale.

        Args:
          begin: first row and column, int32 [2].
          size: height and width, int32 [2].
          target_size: height and width to which the window will be resized; None for full scale.

        Returns:
          `(pixels, scale)`. `scale` is an int32 scalar: 2, 4 or 8 for a JPEG window at least so
          many times larger than `target_size`, otherwise 1. Each pixel is then the mean of a
          square of `scale` x `scale` pixels of the image, from the square that contains `begin` to
          that of the window's last pixel.
        """


class EncodedImage:
    """An image that is not yet decoded; TensorFlow operations convert it to a decoded tensor.

    Args:
      contents: the encoded bytes, a scalar string.
      channels: channels of the decoded image, 1 or 3.
      decode: a function from the bytes to uint8 [height, width, channels], for formats other than
        JPEG; must check `max_pixels` itself.
      max_pixels: maximum number of pixels, checked before a JPEG is decoded; None if it was
        checked before.
    """

    def __init__(
        self,
        contents: tf.Tensor,
        channels: int,
        decode: Callable[[tf.Tensor], tf.Tensor],
        max_pixels: int | None = _image_limits.MAX_PIXELS,
    ) -> None:
        self.contents = contents
        self.channels = channels
        self.decode = decode
        self.max_pixels = max_pixels

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.decode(self.contents), dtype, name=name)


class _Jpeg:
    def __init__(self, contents: tf.Tensor, channels: int) -> None:
        self._contents = contents
        self._channels = channels

    def shape(self) -> tf.Tensor:
        size = tf.image.extract_jpeg_shape(self._contents)[:2]
        return tf.concat([size, [self._channels]], 0)

    def window(
        self, begin: tf.Tensor, size: tf.Tensor, target_size: tuple[int, int] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def at(scale: int) -> tf.Tensor:
            first, last = begin // scale, (begin + size - 1) // scale
            return tf.image.decode_and_crop_jpeg(
                self._contents,
                tf.concat([first, last - first + 1], 0),
                channels=self._channels,
                ratio=scale,
            )

        if target_size is None:
            return at(1), tf.constant(1)
        reduction = tf.reduce_min(size // tf.constant(target_size))
        index = tf.reduce_sum(tf.cast(reduction >= _SCALES[1:], tf.int32))
        pixels = tf.switch_case(index, [lambda scale=scale: at(scale) for scale in _SCALES])
        return pixels, tf.gather(_SCALES, index)


class _Decoded:
    def __init__(self, image: tf.Tensor) -> None:
        self._image = image

    def shape(self) -> tf.Tensor:
        return tf.shape(self._image)

    def window(
        self, begin: tf.Tensor, size: tf.Tensor, target_size: tuple[int, int] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.slice(self._image, tf.concat([begin, [0]], 0), tf.concat([size, [-1]], 0))
        return tf.ensure_shape(pixels, [None, None, self._image.shape[-1]]), tf.constant(1)


def crop(image: tf.Tensor | EncodedImage, choose: Callable[[Image], tf.Tensor]) -> tf.Tensor:
    """Returns `choose(image)`; of a JPEG, only the windows that `choose` reads are decoded.

    Args:
      image: [height, width, channels], or an encoded image. Other formats than JPEG are decoded
        completely.
      choose: returns a tensor of the same type for each kind of image.
    """
    if not isinstance(image, EncodedImage):
        return choose(_Decoded(image))

    def crop_jpeg() -> tf.Tensor:
        contents = image_header.bounded(image.contents, image.max_pixels)
        return choose(_Jpeg(contents, image.channels))

    return tf.cond(
        tf.io.is_jpeg(image.contents),
        crop_jpeg,
        lambda: choose(_Decoded(image.decode(image.contents))),
    )


def decode(image: tf.Tensor | EncodedImage) -> tf.Tensor:
    """Returns the complete decoded image, [height, width, channels]."""
    return tf.convert_to_tensor(image)


def decode_alike(contents: tf.Tensor, channels: int, number: int) -> tf.Tensor:
    """Returns PNG images for which `image_layouts.are_alike` is true, decoded and stacked.

    Args:
      contents: the encoded images, strings [number].
      channels: channels of the decoded images.
      number: number of images; a loop over an unknown number would take longer than decoding.
    """
    images: list[tf.Tensor] = []
    for each in tf.unstack(contents, number):
        # One after the other: several calls run in parallel already.
        with tf.control_dependencies(images[-1:]):
            images.append(tf.io.decode_png(each, channels))
    return tf.stack(images)
