"""Handlers that create an item, such as a label or boxes, from the features of a record."""

import abc
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import graph
from slim._decodings import Decoding

Features = Mapping[str, Any]
Item = tf.Tensor | tf.SparseTensor


class ItemHandler(abc.ABC):
    """Creates an item from one or more parsed features."""

    # Keys that a decoder need not have.
    optional_keys: Sequence[str] = ()

    def __init__(self, keys: str | Sequence[str]) -> None:
        """Initializes the handler with the keys of the features that it needs."""
        self._keys = [keys] if isinstance(keys, str) else list(keys)

    @property
    def keys(self) -> list[str]:
        """The features that `tensors_to_item` needs."""
        return self._keys

    @abc.abstractmethod
    def tensors_to_item(self, keys_to_tensors: Features) -> Item:
        """Returns the item.

        Args:
          keys_to_tensors: feature key -> parsed tensor, of `self.keys`.
        """

    def with_max_pixels(self, max_pixels: int | None) -> "ItemHandler":
        """Returns the same handler with another limit for images, if it decodes any.

        Args:
          max_pixels: maximum number of pixels; None if the images were checked before.
        """
        return self

    def with_decoding(self, decoding: Decoding) -> "ItemHandler":
        """Returns the same handler with another decoding of images, if it decodes any."""
        return self


class ItemHandlerCallback(ItemHandler):
    """An item that a function creates."""

    def __init__(self, keys: str | Sequence[str], func: Callable[[Features], Any]) -> None:
        """Initializes the handler.

        Args:
          keys: the features.
          func: `func(keys_to_tensors)` returns the item.
        """
        super().__init__(keys)
        self._func = func

    def tensors_to_item(self, keys_to_tensors: Features) -> Any:
        return self._func(keys_to_tensors)


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
          default_value: of missing elements of a sparse feature. A number stands for "" in a
            feature of strings, and a string for 0 in a feature of numbers.

        Raises:
          ValueError: if both `shape_keys` and `shape` are passed.
        """
        if shape_keys and shape is not None:
            raise ValueError("shape_keys and shape of a Tensor are mutually exclusive")
        self._shape_keys = [shape_keys] if isinstance(shape_keys, str) else list(shape_keys or ())
        super().__init__([tensor_key, *self._shape_keys])
        self._tensor_key = tensor_key
        self._shape = shape
        self._default_value = default_value

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        tensor = keys_to_tensors[self._tensor_key]
        if isinstance(tensor, tf.SparseTensor):
            default = self._default_value
            if isinstance(default, str | bytes) != (tensor.dtype == tf.string):
                default = tf.zeros([], tensor.dtype)
            tensor = tf.sparse.to_dense(tensor, default)
        shape = self._shape
        if self._shape_keys:
            sizes = [tf.reshape(values_of(keys_to_tensors[key]), [-1]) for key in self._shape_keys]
            shape = tf.concat(sizes, 0)
        return tensor if shape is None else tf.reshape(tensor, shape)


class LookupTensor(Tensor):
    """A feature looked up in a table (`tf.lookup`), such as a class name -> label."""

    def __init__(
        self,
        tensor_key: str,
        table: Any,
        shape_keys: str | Sequence[str] | None = None,
        shape: Sequence[int] | None = None,
        default_value: Any = "",
    ) -> None:
        """Initializes the handler; `table` has a method `lookup(keys)`. Others as in `Tensor`."""
        super().__init__(tensor_key, shape_keys, shape, default_value)
        self._table = table

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        return self._table.lookup(super().tensors_to_item(keys_to_tensors))


class BackupHandler(ItemHandler):
    """The item of a handler or, if it has no elements, of another handler."""

    def __init__(self, handler: ItemHandler, backup: ItemHandler) -> None:
        """Initializes the handler.

        Args:
          handler: the handler to use first.
          backup: creates the item if `handler` returns one without elements; of the same type.

        Raises:
          ValueError: if one of them is not an `ItemHandler`.
        """
        for name, value in (("handler", handler), ("backup", backup)):
            if not isinstance(value, ItemHandler):
                raise ValueError(f"{name}={value!r} of a BackupHandler must be an ItemHandler")
        super().__init__([*handler.keys, *backup.keys])
        self.optional_keys = (*handler.optional_keys, *backup.optional_keys)
        self._handler = handler
        self._backup = backup

    def with_max_pixels(self, max_pixels: int | None) -> "BackupHandler":
        other = copy.copy(self)
        other._handler = self._handler.with_max_pixels(max_pixels)
        other._backup = self._backup.with_max_pixels(max_pixels)
        return other

    def with_decoding(self, decoding: Decoding) -> "BackupHandler":
        other = copy.copy(self)
        other._handler = self._handler.with_decoding(decoding)
        other._backup = self._backup.with_decoding(decoding)
        return other

    def tensors_to_item(self, keys_to_tensors: Features) -> Item:
        item = self._handler.tensors_to_item(keys_to_tensors)
        return tf.cond(
            tf.equal(tf.reduce_prod(tf.shape(item)), 0),
            lambda: self._backup.tensors_to_item(keys_to_tensors),
            lambda: item,
        )


class SparseTensor(ItemHandler):
    """A sparse tensor from two features, the indices of its last axis and its values."""

    def __init__(
        self,
        indices_key: str | None = None,
        values_key: str | None = None,
        shape_key: str | None = None,
        shape: Sequence[int] | None = None,
        densify: bool = False,
        default_value: Any = 0,
    ) -> None:
        """Initializes the handler.

        Args:
          indices_key: feature of indices; None for "indices".
          values_key: feature of the values, one per index; None for "values".
          shape_key: feature with the shape; takes precedence over `shape`.
          shape: the shape. By default, large enough for the largest index; without `densify` in a
            plain `tf.Graph`, the shape of the indices, as in TF-Slim.
          densify: whether to return a dense tensor.
          default_value: of missing elements, with `densify`.
        """
        keys = [indices_key or "indices", values_key or "values"]
        super().__init__([*keys, shape_key] if shape_key else keys)
        self._shape_key = shape_key
        self._shape = shape
        self._densify = densify
        self._default_value = default_value

    def tensors_to_item(self, keys_to_tensors: Features) -> Item:
        indices, values = (keys_to_tensors[key] for key in self.keys[:2])
        if not isinstance(indices, tf.SparseTensor):
            ones = tf.sparse.from_dense(tf.ones_like(indices))
            indices = ones.with_values(tf.reshape(indices, [-1]))
        ids = tf.cast(indices.values, tf.int64)
        places = tf.concat([indices.indices[:, :-1], ids[:, tf.newaxis]], 1)
        values = tf.reshape(values_of(values), [-1])
        item = tf.SparseTensor(places, values, self._shape_of(keys_to_tensors, indices))
        return tf.sparse.to_dense(item, self._default_value) if self._densify else item

    def _shape_of(self, keys_to_tensors: Features, indices: tf.SparseTensor) -> tf.Tensor:
        if self._shape_key:
            shape = values_of(keys_to_tensors[self._shape_key])
            return tf.cast(tf.reshape(shape, [-1]), tf.int64)
        if self._shape is not None:
            return tf.cast(self._shape, tf.int64)
        if graph.in_graph() and not self._densify:
            return indices.dense_shape
        ids = tf.cast(indices.values, tf.int64)
        length = tf.reduce_max(tf.concat([ids + 1, indices.dense_shape[-1:]], 0))
        return tf.concat([indices.dense_shape[:-1], [length]], 0)


class BoundingBox(ItemHandler):
    """Bounding boxes, [number, 4], from four features: by default ymin, xmin, ymax, xmax."""

    def __init__(self, keys: Sequence[str] | None = None, prefix: str = "") -> None:
        """Initializes the handler.

        Args:
          keys: names of the four features, without the prefix; None for the names above.
          prefix: common prefix, such as "image/object/bbox/".

        Raises:
          ValueError: if there are not four keys.
        """
        super().__init__(prefixed("BoundingBox", keys, prefix, ("ymin", "xmin", "ymax", "xmax")))

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        return tf.transpose(tf.stack([values_of(keys_to_tensors[key]) for key in self.keys]))


def prefixed(
    handler: str, keys: Sequence[str] | None, prefix: str | None, defaults: Sequence[str]
) -> list[str]:
    """Returns the complete keys of a handler that needs a fixed number of features.

    Raises:
      ValueError: if there are not as many keys as defaults.
    """
    keys = defaults if keys is None else keys
    if len(keys) != len(defaults):
        raise ValueError(f"keys={tuple(keys)!r} of a {handler} must be {len(defaults)} names")
    return [(prefix or "") + key for key in keys]


def values_of(tensor: Item) -> tf.Tensor:
    """Returns the values of a sparse tensor, or the dense tensor."""
    return tensor.values if isinstance(tensor, tf.SparseTensor) else tensor
