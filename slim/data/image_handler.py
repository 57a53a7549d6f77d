"""The handler of encoded images."""

import copy
import numbers
from collections.abc import Sequence

import tensorflow as tf

from slim import _image_limits, graph
from slim._decodings import TF_SLIM, Decoding
from slim.data import encoded_images, image_decoding, image_header
from slim.data.item_handlers import Features, ItemHandler

_CHANNELS = (None, 0, 1, 3, 4)


class Image(ItemHandler):
    """An encoded image: JPEG, PNG, BMP, WebP or the first frame of a GIF.

    The format is recognized by the first bytes. The format feature, which may be missing, matters
    only if it is "raw": then the bytes are pixels.
    """

    def __init__(
        self,
        image_key: str | None = None,
        format_key: str | None = None,
        shape: Sequence[int] | None = None,
        channels: int | None = 3,
        dtype: tf.DType = tf.uint8,
        repeated: bool = False,
        dct_method: str = "",
        *,
        max_pixels: int = _image_limits.MAX_PIXELS,
        decoding: Decoding = TF_SLIM,
    ) -> None:
        """Initializes the handler.

        Args:
          image_key: feature with the encoded bytes; None for "image/encoded".
          format_key: feature with the format's name; None for "image/format".
          shape: shape of all images, usually [height, width, channels]; "raw" pixels need it to be
            more than a vector. An image of another size is an error at run time.
          channels: 1 (grayscale), 3 (RGB), 4 (RGBA, not for JPEG) or None (those of the file);
            images are converted.
          dtype: of the decoded pixels. Those of a JPEG are cast; of other formats, tf.uint16 has 16
            bits per channel, and tf.float32 ranges from 0 to 1.
          repeated: whether the feature holds several images of the same size, which are stacked.
          dct_method: "INTEGER_FAST", "INTEGER_ACCURATE" or "", for JPEG.
          max_pixels: maximum number of pixels. An image with more is an error before it is decoded,
            as is one that exceeds another limit of `slim.data.image_header`.
          decoding: of `slim.data.image_decoding`; others than "tf_slim" are for uint8 images with 1
            or 3 channels.

        Raises:
          ValueError: if the number of channels is not supported, or not with the decoding.
        """
        self._image_key = image_key or "image/encoded"
        self._format_key = format_key or "image/format"
        super().__init__([self._image_key, self._format_key])
        self.optional_keys = (self._format_key,)
        if channels not in _CHANNELS:
            raise ValueError(f"channels={channels!r} of an Image must be 1, 3, 4 or None")
        self._shape = shape
        self._channels = channels or None
        self._dtype = tf.as_dtype(dtype)
        self._repeated = repeated
        self._dct_method = dct_method
        self._max_pixels = max_pixels
        self._decoding = decoding
        self._check_decoding()

    @property
    def image_key(self) -> str:
        """Key of the feature with the encoded bytes."""
        return self._image_key

    @property
    def max_pixels(self) -> int | None:
        """Maximum number of pixels; None if the images were checked before."""
        return self._max_pixels

    @property
    def is_encoded(self) -> bool:
        """Whether the feature always holds a single encoded image, never raw pixels."""
        return self._shape is None and not self._repeated

    @property
    def channels(self) -> int | None:
        """Number of channels of the images; None for those of the file."""
        return self._channels

    @property
    def is_standard(self) -> bool:
        """Whether images are uint8 with 1 or 3 channels, as `tf.io.decode_image` decodes them."""
        is_other = self._dct_method or self._decoding != TF_SLIM or not self.is_encoded
        return self._dtype == tf.uint8 and self._channels in (1, 3) and not is_other

    def with_max_pixels(self, max_pixels: int | None) -> "Image":
        """Returns the same handler with another limit."""
        other = copy.copy(self)
        other._max_pixels = max_pixels
        return other

    def with_decoding(self, decoding: Decoding) -> "Image":
        """Returns the same handler with another decoding.

        Raises:
          ValueError: if the handler's dtype, channels or `dct_method` do not support it.
        """
        other = copy.copy(self)
        other._decoding = decoding
        other._check_decoding()
        return other

    def _check_decoding(self) -> None:
        is_plain = self._dtype == tf.uint8 and self._channels in (1, 3) and not self._dct_method
        if self._decoding != TF_SLIM and not is_plain:
            raise ValueError(
                f"decoding={self._decoding!r} of an Image needs dtype=tf.uint8, channels=1 or 3,"
                " and no dct_method"
            )

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        encoded = keys_to_tensors[self._image_key]
        format_name = keys_to_tensors.get(self._format_key)
        if not self._repeated:
            return self._image(encoded, format_name)
        return tf.map_fn(
            lambda each: self._image(each, format_name), encoded, fn_output_signature=self._dtype
        )

    def encoded(self, keys_to_tensors: Features) -> tf.Tensor | encoded_images.EncodedImage:
        """Returns the image undecoded; decoded if it cannot be decoded in part."""
        if not self.is_standard:
            return self.tensors_to_item(keys_to_tensors)
        return encoded_images.EncodedImage(
            keys_to_tensors[self._image_key], self._channels, self.decode, self._max_pixels
        )

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns the image, [height, width, channels], of encoded bytes (a scalar string)."""
        contents = image_header.bounded(encoded, self._max_pixels)
        if self._decoding != TF_SLIM:
            return image_decoding.decode(contents, self._channels or 0, self._decoding)

        def any_format() -> tf.Tensor:
            return tf.io.decode_image(
                contents, self._channels or 0, self._dtype, expand_animations=False
            )

        def jpeg() -> tf.Tensor:
            pixels = tf.io.decode_jpeg(contents, self._channels or 0, dct_method=self._dct_method)
            return tf.cast(pixels, self._dtype)

        if self._dtype == tf.uint8 and not self._dct_method:
            image = any_format()
        else:
            image = tf.cond(tf.io.is_jpeg(contents), jpeg, any_format)
        image.set_shape((None, None, self._channels))
        return image

    def _image(self, encoded: tf.Tensor, format_name: tf.Tensor | None) -> tf.Tensor:
        # Without a shape, raw pixels are a vector whatever the static shape says, as in TF-Slim;
        # only code of TensorFlow 1 relies on that.
        may_be_raw = self._shape is not None or graph.in_graph()
        if format_name is None or not may_be_raw:
            return self._shaped(self.decode(encoded))
        is_raw = tf.equal(tf.strings.lower(tf.reshape(format_name, [])), "raw")
        image = tf.cond(
            is_raw, lambda: self._raw(encoded), lambda: self._shaped(self.decode(encoded))
        )
        if self._shape is None:
            image.set_shape((None, None, self._channels))
        return image

    def _raw(self, encoded: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_raw(encoded, self._dtype)
        return pixels if self._shape is None else tf.reshape(pixels, self._shape)

    def _shaped(self, image: tf.Tensor) -> tf.Tensor:
        if self._shape is None:
            return image
        if tf.is_tensor(self._shape) or not self._is_size_of_image(self._shape):
            return tf.reshape(image, self._shape)
        return tf.ensure_shape(image, self._shape)

    def _is_size_of_image(self, shape: Sequence[int]) -> bool:
        are_sizes = all(isinstance(size, numbers.Integral) and size >= 0 for size in shape)
        return are_sizes and len(shape) == 3 and shape[-1] == self._channels
