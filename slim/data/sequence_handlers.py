"""Handlers for the sparse features of a `tf.train.SequenceExample`: [time, number per frame]."""

from collections.abc import Sequence

import tensorflow as tf

from slim.data.item_handlers import Features, Item, ItemHandler, prefixed


class _Coordinates(ItemHandler):
    """Coordinates, [time, number, features], from one feature per coordinate."""

    _defaults: Sequence[str]

    def __init__(
        self,
        keys: Sequence[str] | None = None,
        prefix: str | None = None,
        return_dense: bool = True,
        default_value: float = -1.0,
    ) -> None:
        """Initializes the handler.

        Args:
          keys: names of the features, without the prefix; None for those of the class.
          prefix: common prefix, such as "image/object/bbox/".
          return_dense: whether to return a dense tensor; otherwise a sparse one.
          default_value: of the positions that a frame does not have, with `return_dense`.

        Raises:
          ValueError: if there are not as many keys as coordinates.
        """
        super().__init__(prefixed(type(self).__name__, keys, prefix, self._defaults))
        self._return_dense = return_dense
        self._default_value = default_value

    def tensors_to_item(self, keys_to_tensors: Features) -> Item:
        columns = [tf.sparse.expand_dims(keys_to_tensors[key], -1) for key in self.keys]
        item = tf.sparse.concat(2, columns)
        return tf.sparse.to_dense(item, self._default_value) if self._return_dense else item


class BoundingBoxSequence(_Coordinates):
    """Bounding boxes, [time, number, 4]: by default ymin, xmin, ymax, xmax."""

    _defaults = ("ymin", "xmin", "ymax", "xmax")


class KeypointsSequence(_Coordinates):
    """Keypoints, [time, number, 2]: by default y, x."""

    _defaults = ("y", "x")


class NumBoxesSequence(ItemHandler):
    """The number of boxes per frame, int64 [time], from sparse features of boxes."""

    def __init__(
        self, keys: str | Sequence[str] | None = None, check_consistency: bool = True
    ) -> None:
        """Initializes the handler.

        Args:
          keys: sparse features, [time, boxes]; the first one is counted.
          check_consistency: whether all features must have the same number of boxes; otherwise
            decoding raises InvalidArgumentError.

        Raises:
          ValueError: if there are no keys.
        """
        if not keys:
            raise ValueError("keys of a NumBoxesSequence must name at least one feature")
        super().__init__(keys)
        self._check_consistency = check_consistency

    def tensors_to_item(self, keys_to_tensors: Features) -> tf.Tensor:
        counted = self.keys if self._check_consistency else self.keys[:1]
        first, *others = [_boxes_per_frame(key, keys_to_tensors[key]) for key in counted]
        equal = [tf.debugging.assert_equal(first, other) for other in others]
        with tf.control_dependencies([op for op in equal if op is not None]):
            return tf.identity(first)


def _boxes_per_frame(key: str, boxes: Item) -> tf.Tensor:
    if not isinstance(boxes, tf.SparseTensor):
        raise ValueError(
            f"Feature {key!r}: its tensor must be of type tf.SparseTensor, such as that of a"
            " tf.io.VarLenFeature"
        )
    frame, box = tf.unstack(boxes.indices, num=2, axis=1)
    # The maximum over a frame without boxes is the smallest integer.
    return tf.maximum(tf.math.unsorted_segment_max(box + 1, frame, boxes.dense_shape[0]), 0)
