"""Decodes serialized `tf.train.Example` records to items such as an image and its label."""

import abc
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks, _image_limits
from slim.data import encoded_images, image_header

Features = Mapping[str, Any]


class ItemHandler(abc.ABC):
    """Creates an item from one or more parsed features.

    Attributes:
      keys: the features that `tensors_to_item` needs.
    """

    def __init__(self, keys: str | Sequence[str]) -> None:
        self.keys = (keys,) if isinstance(keys, str) else tuple(keys)

    @abc.abstractmethod
    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor | tf.SparseTensor:
        """Returns the item.

        Args:
          keys_to_tensors: feature key -> parsed tensor, with at least `self.keys`.
        """


class Tensor(ItemHandler):
    """A feature such as a label, a file name or the encoded bytes of an image."""

    def __init__(
        self,
        tensor_key: str,
        shape_keys: str | Sequence[str] | None = None,
        shape: Sequence[int] | None = None,
        default_value: Any = 0,
    ) -> None:
        """Initializes the handler.

        Args:
          tensor_key: the feature.
          shape_keys: features with the item's shape: one, or one per axis.
          shape: the item's shape; by default, the feature's.
          default_value: of missing elements of a sparse feature.

        Raises:
          ValueError: if both `shape_keys` and `shape` are passed.
        """
        if shape_keys is not None and shape is not None:
            raise ValueError("shape_keys and shape of a Tensor are mutually exclusive")
        self._shape_keys = (shape_keys,) if isinstance(shape_keys, str) else tuple(shape_keys or ())
        super().__init__((tensor_key, *self._shape_keys))
        self._key = tensor_key
        self._shape = shape
        self._default_value = default_value

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        tensor = keys_to_tensors[self._key]
        if isinstance(tensor, tf.SparseTensor):
            default = "" if tensor.dtype == tf.string else self._default_value
            tensor = tf.sparse.to_dense(tensor, default_value=default)
        shape = self._shape
        if self._shape_keys:
            sizes = [tf.reshape(_dense(keys_to_tensors[key]), [-1]) for key in self._shape_keys]
            shape = tf.concat(sizes, 0)
        return tensor if shape is None else tf.reshape(tensor, shape)


class LookupTensor(Tensor):
    """A feature looked up in a table (`tf.lookup`), such as a class name -> label."""

    def __init__(
        self,
        tensor_key: str,
        table: Any,
        shape: Sequence[int] | None = None,
        default_value: Any = 0,
    ) -> None:
        """Initializes the handler; `table` has a method `lookup(keys)`."""
        super().__init__(tensor_key, shape=shape, default_value=default_value)
        self._table = table

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        return self._table.lookup(super().tensors_to_item(keys_to_tensors))


class SparseTensor(ItemHandler):
    """A sparse tensor from two features, its indices and its values."""

    def __init__(
        self,
        indices_key: str = "indices",
        values_key: str = "values",
        shape_key: str | None = None,
        shape: Sequence[int] | None = None,
        densify: bool = False,
        default_value: Any = 0,
    ) -> None:
        """Initializes the handler.

        Args:
          indices_key: feature of int64 indices along the single axis.
          values_key: feature of the values, one per index.
          shape_key: feature with the `[length]`.
          shape: `[length]`; by default, the largest index plus one.
          densify: whether to return a dense tensor.
          default_value: of missing elements, with `densify`.

        Raises:
          ValueError: if both `shape_key` and `shape` are passed.
        """
        if shape_key is not None and shape is not None:
            raise ValueError("shape_key and shape of a SparseTensor are mutually exclusive")
        super().__init__((indices_key, values_key, *((shape_key,) if shape_key else ())))
        self._shape_key = shape_key
        self._shape = shape
        self._densify = densify
        self._default_value = default_value

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor | tf.SparseTensor:
        indices, values = (_dense(keys_to_tensors[key]) for key in self.keys[:2])
        if self._shape_key:
            shape = tf.cast(tf.reshape(_dense(keys_to_tensors[self._shape_key]), [1]), tf.int64)
        elif self._shape is None:
            shape = tf.reduce_max(tf.concat([indices, [-1]], 0))[tf.newaxis] + 1
        else:
            shape = tf.constant(self._shape, tf.int64)
        item = tf.SparseTensor(indices[:, tf.newaxis], values, shape)
        return tf.sparse.to_dense(item, self._default_value) if self._densify else item


class BoundingBox(ItemHandler):
    """Bounding boxes, [number, 4], from four features: by default ymin, xmin, ymax, xmax."""

    def __init__(
        self,
        keys: Sequence[str] = ("ymin", "xmin", "ymax", "xmax"),
        prefix: str = "",
    ) -> None:
        """Initializes the handler.

        Args:
          keys: names of the four features, without the prefix.
          prefix: common prefix, such as "image/object/bbox/".

        Raises:
          ValueError: if there are not four keys.
        """
        if len(keys) != 4:
            raise ValueError(f"keys={tuple(keys)!r} of a BoundingBox must be 4 names")
        super().__init__([prefix + key for key in keys])

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        return tf.stack([_dense(keys_to_tensors[key]) for key in self.keys], axis=-1)


class Image(ItemHandler):
    """An encoded image: JPEG, PNG, BMP, WebP or the first frame of a GIF.

    The format is recognized by the first bytes. The format feature matters only if it is "raw":
    then the bytes are pixels.
    """

    def __init__(
        self,
        image_key: str = "image/encoded",
        format_key: str | None = "image/format",
        shape: Sequence[int] | None = None,
        channels: int = 3,
        dtype: tf.DType = tf.uint8,
        *,
        max_pixels: int = _image_limits.MAX_PIXELS,
    ) -> None:
        """Initializes the handler.

        Args:
          image_key: feature with the encoded bytes.
          format_key: feature with the format's name; None disables "raw".
          shape: [height, width, channels] of all images; required for "raw".
          channels: 1 (grayscale) or 3 (RGB); images are converted.
          dtype: of the decoded pixels: tf.uint8 or tf.uint16.
          max_pixels: maximum number of pixels. An image with more is an error before it is decoded,
            as is one that exceeds another limit of `slim.data.image_header`.

        Raises:
          ValueError: if `channels` is neither 1 nor 3, or contradicts `shape`.
        """
        super().__init__((image_key, format_key) if format_key else image_key)
        if channels not in (1, 3):
            raise ValueError(f"channels={channels!r} of an Image must be 1 or 3")
        if shape is not None and shape[-1] != channels:
            raise ValueError(f"shape={shape!r} of an Image contradicts channels={channels}")
        self._image_key = image_key
        self._format_key = format_key
        self._shape = None if shape is None else tuple(shape)
        self._channels = channels
        self._dtype = tf.as_dtype(dtype)
        self._max_pixels = max_pixels

    def with_max_pixels(self, max_pixels: int) -> "Image":
        """Returns the same handler with another limit."""
        other = copy.copy(self)
        other._max_pixels = max_pixels
        return other

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        encoded = keys_to_tensors[self._image_key]
        if self._shape is None or self._format_key is None:
            image = self.decode(encoded)
        else:
            is_raw = tf.strings.lower(keys_to_tensors[self._format_key]) == "raw"
            image = tf.cond(is_raw, lambda: self._pixels(encoded), lambda: self.decode(encoded))
        image.set_shape(self._shape or (None, None, self._channels))
        return image

    def encoded(self, keys_to_tensors: Features) -> tf.Tensor | encoded_images.EncodedImage:
        """Returns the image undecoded; decoded if its shape is fixed or its type is uint16."""
        if self._shape is not None or self._dtype != tf.uint8:
            return self.tensors_to_item(keys_to_tensors)
        return encoded_images.EncodedImage(
            keys_to_tensors[self._image_key], self._channels, self.decode, self._max_pixels
        )

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns the image, [height, width, channels], of encoded bytes (a scalar string)."""
        image = tf.io.decode_image(
            image_header.bounded(encoded, self._max_pixels),
            channels=self._channels,
            dtype=self._dtype,
            expand_animations=False,
        )
        image.set_shape((None, None, self._channels))
        return image

    def _pixels(self, encoded: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.io.decode_raw(encoded, self._dtype), self._shape)


class TFExampleDecoder:
    """Decodes `tf.train.Example` records into named items.

    Example:
      decoder = TFExampleDecoder(
          {"image/encoded": tf.io.FixedLenFeature([], tf.string),
           "image/class/label": tf.io.FixedLenFeature([], tf.int64)},
          {"image": Image(format_key=None), "label": Tensor("image/class/label")})
      image, label = decoder.decode(serialized, ["image", "label"])
    """

    def __init__(
        self,
        keys_to_features: Mapping[str, Any],
        items_to_handlers: Mapping[str, ItemHandler],
    ) -> None:
        """Initializes the decoder.

        Args:
          keys_to_features: feature key -> `tf.io.FixedLenFeature`, `VarLenFeature` ...
          items_to_handlers: item -> handler that creates it.

        Raises:
          ValueError: if a handler needs a feature that is not in `keys_to_features`.
        """
        for item, handler in items_to_handlers.items():
            missing = [key for key in handler.keys if key not in keys_to_features]
            if missing:
                raise ValueError(
                    f"item {item!r} needs the features {missing}, which are not in"
                    f" keys_to_features. Known: {_checks.listed(keys_to_features)}"
                )
        self.keys_to_features = dict(keys_to_features)
        self.items_to_handlers = dict(items_to_handlers)

    def with_max_pixels(self, max_pixels: int) -> "TFExampleDecoder":
        """Returns the same decoder with another limit for images."""
        handlers = {
            item: handler.with_max_pixels(max_pixels) if isinstance(handler, Image) else handler
            for item, handler in self.items_to_handlers.items()
        }
        return TFExampleDecoder(self.keys_to_features, handlers)

    def list_items(self) -> list[str]:
        """Returns the names of the items, in the order of `decode`'s results."""
        return list(self.items_to_handlers)

    def decode(
        self,
        serialized: tf.Tensor,
        items: Sequence[str] | None = None,
        *,
        images_encoded: bool = False,
    ) -> list[tf.Tensor | tf.SparseTensor | encoded_images.EncodedImage]:
        """Decodes one record.

        Args:
          serialized: a scalar string, the serialized `tf.train.Example`.
          items: names of the items; None for all of `list_items()`. Features that no item needs are
            not parsed, and without "image" no image is decoded.
          images_encoded: whether to return images as `encoded_images.EncodedImage`.

        Returns:
          A tensor per item, in their order.

        Raises:
          UserError: if an item is unknown.
        """
        names = self.list_items() if items is None else list(items)
        handlers = [
            self.items_to_handlers[_checks.one_of("item", name, self.items_to_handlers)]
            for name in names
        ]
        needed = {key: self.keys_to_features[key] for handler in handlers for key in handler.keys}
        parsed = tf.io.parse_single_example(serialized, needed)
        return [
            handler.encoded(parsed)
            if images_encoded and isinstance(handler, Image)
            else handler.tensors_to_item(parsed)
            for handler in handlers
        ]


def _dense(tensor: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    return tensor.values if isinstance(tensor, tf.SparseTensor) else tensor
