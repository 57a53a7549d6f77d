"""Decodes serialized `tf.train.Example` and `SequenceExample` records to items.

An item is what a handler creates from features, such as an image or its label.
"""

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim._decodings import Decoding
from slim.data import encoded_images
from slim.data.data_decoder import DataDecoder
from slim.data.image_handler import Image
from slim.data.item_handlers import (
    BackupHandler,
    BoundingBox,
    Item,
    ItemHandler,
    ItemHandlerCallback,
    LookupTensor,
    SparseTensor,
    Tensor,
)
from slim.data.sequence_handlers import BoundingBoxSequence, KeypointsSequence, NumBoxesSequence

__all__ = [
    "BackupHandler",
    "BoundingBox",
    "BoundingBoxSequence",
    "Image",
    "ItemHandler",
    "ItemHandlerCallback",
    "KeypointsSequence",
    "LookupTensor",
    "NumBoxesSequence",
    "SparseTensor",
    "TFExampleDecoder",
    "TFSequenceExampleDecoder",
    "Tensor",
]


class _Decoder(DataDecoder):
    """Parses the features that the requested items need, and calls their handlers."""

    def __init__(
        self, keys: Collection[str], where: str, items_to_handlers: Mapping[str, ItemHandler]
    ) -> None:
        for item, handler in items_to_handlers.items():
            missing = [key for key in handler.keys if key not in {*keys, *handler.optional_keys}]
            if missing:
                raise ValueError(
                    f"item {item!r} needs the features {missing}, which are not in {where}."
                    f" Known: {_checks.listed(keys)}"
                )
        self.items_to_handlers = dict(items_to_handlers)

    def with_max_pixels(self, max_pixels: int | None) -> "_Decoder":
        """Returns the same decoder with another limit for images; None if they were checked."""
        return self._with_handlers(lambda handler: handler.with_max_pixels(max_pixels))

    def with_decoding(self, decoding: Decoding) -> "_Decoder":
        """Returns the same decoder with another decoding of images."""
        return self._with_handlers(lambda handler: handler.with_decoding(decoding))

    def _with_handlers(self, changed: Callable[[ItemHandler], ItemHandler]) -> "_Decoder":
        other = copy.copy(self)
        other.items_to_handlers = {
            item: changed(handler) for item, handler in self.items_to_handlers.items()
        }
        return other

    def list_items(self) -> list[str]:
        """Returns the names of the items, in the order of `decode`'s results."""
        return list(self.items_to_handlers)

    def decode(
        self,
        serialized_example: tf.Tensor,
        items: Sequence[str] | None = None,
        *,
        images_encoded: bool = False,
    ) -> list[Item | encoded_images.EncodedImage]:
        """Decodes one record.

        Args:
          serialized_example: a scalar string, the serialized record.
          items: names of the items; None or an empty list for all of `list_items()`. Features that
            no item needs are not parsed, and without "image" no image is decoded.
          images_encoded: whether to return images as `encoded_images.EncodedImage`.

        Returns:
          A tensor per item, in their order.

        Raises:
          UserError: if an item is unknown.
        """
        features = self.parse(serialized_example, items)
        return self.items_of(features, items, images_encoded=images_encoded)

    def parse(
        self, serialized_example: tf.Tensor, items: Sequence[str] | None = None
    ) -> Mapping[str, Item]:
        """Returns the features of one record that the items need, by their keys."""
        keys = {key for handler in self._handlers(items) for key in handler.keys}
        return self._parse(serialized_example, keys)

    def items_of(
        self,
        features: Mapping[str, Item],
        items: Sequence[str] | None = None,
        *,
        images_encoded: bool = False,
    ) -> list[Item | encoded_images.EncodedImage]:
        """Returns the items of one record from its features; see `decode`."""
        outputs = []
        for handler in self._handlers(items):
            own = {key: features[key] for key in handler.keys if key in features}
            is_encoded = images_encoded and isinstance(handler, Image)
            outputs.append(handler.encoded(own) if is_encoded else handler.tensors_to_item(own))
        return outputs

    def _handlers(self, items: Sequence[str] | None) -> list[ItemHandler]:
        return [
            self.items_to_handlers[_checks.one_of("item", name, self.items_to_handlers)]
            for name in items or self.list_items()
        ]

    def _parse(self, serialized: tf.Tensor, keys: Collection[str]) -> Mapping[str, Item]:
        raise NotImplementedError


class TFExampleDecoder(_Decoder):
    """Decodes `tf.train.Example` records into named items.

    Example:
      decoder = TFExampleDecoder(
          {"image/encoded": tf.io.FixedLenFeature([], tf.string),
           "image/class/label": tf.io.FixedLenFeature([], tf.int64)},
          {"image": Image(), "label": Tensor("image/class/label")})
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
        super().__init__(keys_to_features, "keys_to_features", items_to_handlers)
        self.keys_to_features = dict(keys_to_features)

    def parse_several(
        self, serialized_examples: tf.Tensor, items: Sequence[str]
    ) -> Mapping[str, tf.Tensor] | None:
        """Returns the features of several records that the items need, stacked.

        Returns:
          tensors `[number, ...]` by their keys; None if the size of a feature is not fixed.
        """
        keys = {key for handler in self._handlers(items) for key in handler.keys}
        features = _selected(self.keys_to_features, keys)
        if not all(isinstance(each, tf.io.FixedLenFeature) for each in features.values()):
            return None
        return tf.io.parse_example(serialized_examples, features)

    def _parse(self, serialized: tf.Tensor, keys: Collection[str]) -> Mapping[str, Item]:
        return tf.io.parse_single_example(serialized, _selected(self.keys_to_features, keys))


class TFSequenceExampleDecoder(_Decoder):
    """Decodes `tf.train.SequenceExample` records, such as videos, into named items."""

    def __init__(
        self,
        keys_to_context_features: Mapping[str, Any],
        keys_to_sequence_features: Mapping[str, Any],
        items_to_handlers: Mapping[str, ItemHandler],
    ) -> None:
        """Initializes the decoder.

        Args:
          keys_to_context_features: key of a feature of the record -> `tf.io.FixedLenFeature` ...
          keys_to_sequence_features: key of a feature of each frame ->
            `tf.io.FixedLenSequenceFeature`, `VarLenFeature` ...
          items_to_handlers: item -> handler that creates it.

        Raises:
          ValueError: if a key is in both, or a handler needs a feature that is in neither.
        """
        both = sorted({*keys_to_context_features} & {*keys_to_sequence_features})
        if both:
            raise ValueError(f"Features {both} are both context and sequence features")
        keys = [*keys_to_context_features, *keys_to_sequence_features]
        where = "keys_to_context_features or keys_to_sequence_features"
        super().__init__(keys, where, items_to_handlers)
        self.keys_to_context_features = dict(keys_to_context_features)
        self.keys_to_sequence_features = dict(keys_to_sequence_features)

    def _parse(self, serialized: tf.Tensor, keys: Collection[str]) -> Mapping[str, Item]:
        context, sequence = tf.io.parse_single_sequence_example(
            serialized,
            _selected(self.keys_to_context_features, keys),
            _selected(self.keys_to_sequence_features, keys),
        )
        return context | sequence


def _selected(features: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: feature for key, feature in features.items() if key in keys}
