"""Pictures of which a part is wanted: decoding it alone is cheaper than decoding all and cutting.

A function of a picture may get a decoded tensor or an `EncodedPicture`; `cut` and `whole` take
either.
"""

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from slim import _image_limits
from slim.data import image_header

# By how much libjpeg can scale a picture down while it decodes.
_SCALES = (1, 2, 4, 8)


class Picture(Protocol):
    """Pixels of which parts can be had."""

    def shape(self) -> tf.Tensor:
        """Returns height, width and channels, int32 [3]."""

    def window(
        self, begin: tf.Tensor, size: tf.Tensor, wanted: tuple[int, int] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a part of the picture, and how many of its pixels are one of the part's.

        Args:
          begin: its first row and column, int32 [2].
          size: its height and width, int32 [2].
          wanted: height and width that the part will be resized to; None takes it as it is.

        Returns:
          `(part, scale)`. `scale` is an int32 scalar: 1, and of a JPEG whose part is at least
          twice as large as wanted, 2, 4 or 8: decoding it smaller spares work. The part stays at
          least as large as wanted. It then holds the means of squares of pixels, from the square
          of `begin` to that of the last pixel.
        """


class EncodedPicture:
    """The bytes of a picture, not yet decoded; an operation that wants a tensor gets all of it.

    Args:
      contents: a scalar string.
      channels: 1 or 3, which the picture is converted to.
      decode: from the bytes to uint8 [height, width, channels], for formats other than JPEG; it
        checks `max_pixels` itself.
      max_pixels: largest number of pixels, checked before a JPEG is decoded.
    """

    def __init__(
        self,
        contents: tf.Tensor,
        channels: int,
        decode: Callable[[tf.Tensor], tf.Tensor],
        max_pixels: int = _image_limits.MAX_PIXELS,
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
        sides = tf.image.extract_jpeg_shape(self._contents)[:2]
        return tf.concat([sides, [self._channels]], 0)

    def window(
        self, begin: tf.Tensor, size: tf.Tensor, wanted: tuple[int, int] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def at(scale: int) -> tf.Tensor:
            first, last = begin // scale, (begin + size - 1) // scale
            return tf.image.decode_and_crop_jpeg(
                self._contents,
                tf.concat([first, last - first + 1], 0),
                channels=self._channels,
                ratio=scale,
            )

        if wanted is None:
            return at(1), tf.constant(1)
        too_large = tf.reduce_min(size // tf.constant(wanted))
        place = tf.reduce_sum(tf.cast(too_large >= _SCALES[1:], tf.int32))
        part = tf.switch_case(place, [lambda scale=scale: at(scale) for scale in _SCALES])
        return part, tf.gather(_SCALES, place)


class _Decoded:
    def __init__(self, image: tf.Tensor) -> None:
        self._image = image

    def shape(self) -> tf.Tensor:
        return tf.shape(self._image)

    def window(
        self, begin: tf.Tensor, size: tf.Tensor, wanted: tuple[int, int] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        part = tf.slice(self._image, tf.concat([begin, [0]], 0), tf.concat([size, [-1]], 0))
        return tf.ensure_shape(part, [None, None, self._image.shape[-1]]), tf.constant(1)


def cut(image: tf.Tensor | EncodedPicture, choose: Callable[[Picture], tf.Tensor]) -> tf.Tensor:
    """Returns what `choose` makes of a picture, of which only the windows asked for are decoded.

    Args:
      image: `[height, width, channels]`, or an encoded picture: of a JPEG only the windows are
        decoded, other formats are decoded wholly first.
      choose: gives a tensor of the same type for any kind of picture.
    """
    if not isinstance(image, EncodedPicture):
        return choose(_Decoded(image))

    def of_jpeg() -> tf.Tensor:
        contents = image_header.bounded(image.contents, image.max_pixels)
        return choose(_Jpeg(contents, image.channels))

    return tf.cond(
        tf.io.is_jpeg(image.contents),
        of_jpeg,
        lambda: choose(_Decoded(image.decode(image.contents))),
    )


def whole(image: tf.Tensor | EncodedPicture) -> tf.Tensor:
    """Returns the decoded picture, `[height, width, channels]`."""
    return tf.convert_to_tensor(image)
