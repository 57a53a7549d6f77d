"""Going on over pictures that cannot be decoded, without shifting the order of the others.

A bad example stays where it is in its batch, with weight 0. The first good example of the batch
stands in for its picture and label, so that batch norm and mixing see nothing strange.
"""

from collections.abc import Callable

import tensorflow as tf

Example = dict[str, tf.Tensor]

_SHARD = 1 << 32  # records of a shard are fewer


class BadImages:
    """The pictures that pipelines have left out, while they run in this process."""

    def __init__(self) -> None:
        self._left_out = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, -1)
        self._told: set[int] = set()

    def attempt(self, example: Example, make_image: Callable[[], tf.Tensor]) -> Example:
        """Returns an example with its picture and `weight` 1, or of a bad picture zeros and 0.

        Args:
          example: has the numbers of its `shard` and `record`.
          make_image: decodes and prepares the picture; its shape is known.
        """
        # A dataset of one element is where TensorFlow lets an error be caught.
        made = tf.data.Dataset.from_tensors(1.0).map(lambda weight: (make_image(), weight))
        image, weight = made.element_spec
        blank = tf.data.Dataset.from_tensors(0.0).map(
            lambda weight: (tf.zeros(image.shape, image.dtype), weight)
        )
        image, weight = made.ignore_errors().concatenate(blank).take(1).get_single_element()
        key = example["shard"] * _SHARD + example["record"]

        def remember() -> tf.Tensor:
            with tf.control_dependencies([self._left_out.insert(key, tf.ones_like(key))]):
                return tf.identity(weight)

        weight = tf.cond(weight > 0, lambda: weight, remember)
        return example | {"image": image, "weight": weight}

    def take_new(self) -> list[tuple[int, int]]:
        """Returns the numbers of shard and record of those that no call has returned before."""
        if int(self._left_out.size()) == len(self._told):
            return []
        new = sorted({int(key) for key in self._left_out.export()[0].numpy()} - self._told)
        self._told.update(new)
        return [divmod(key, _SHARD) for key in new]


def stand_in(batch: Example) -> Example:
    """Gives bad examples the picture and label of the first good one of their batch."""
    is_good = batch["weight"] > 0
    places = tf.range(tf.size(is_good, tf.int64))
    places = tf.where(is_good, places, tf.argmax(tf.cast(is_good, tf.int32)))

    def replaced(value: tf.Tensor) -> tf.Tensor:
        return tf.cond(tf.reduce_all(is_good), lambda: value, lambda: tf.gather(value, places))

    return batch | {name: replaced(batch[name]) for name in ("image", "label")}
