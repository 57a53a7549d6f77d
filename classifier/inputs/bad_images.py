"""Skips images that cannot be decoded, without changing the order of the others.

A bad example keeps its position in the batch, with weight 0. The first good example of the batch
replaces its image and label, so that batch norm and mixing see valid images.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from slim._image_limits import FORMATS

Example = dict[str, tf.Tensor]

_SHARD = 1 << 32  # more than the records of any shard
_FILENAME = "image/filename"
_KINDS = FORMATS | {b"<": "HTML or XML"}


@dataclasses.dataclass(frozen=True)
class BadImage:
    """An image that cannot be decoded.

    Attributes:
      file: its source file, or empty.
      shard: file name of the shard.
      record: its index in the shard.
      reason: its apparent format and the decoder's message.
    """

    file: str
    shard: str
    record: int
    reason: str

    def __str__(self) -> str:
        named = f" {self.file!r}" if self.file else ""
        return f"Cannot decode image{named} ({self.shard}, record {self.record}): {self.reason}"


def describe(
    example: tf.train.Example, prefix: bytes, size: int, shard: str, record: int, problem: str
) -> BadImage:
    """Returns the description of a bad image.

    Args:
      example: its record; the image itself may be missing.
      prefix: the first bytes of the image.
      size: its number of bytes.
      shard: file name of the shard.
      record: index of the record in the shard.
      problem: why it cannot be decoded.
    """
    kind = next((kind for start, kind in _KINDS.items() if prefix.startswith(start)), None)
    looks = f"with a {kind} header" if kind else f"starting with {prefix[:8]!r}"
    return BadImage(
        file=file_name(example),
        shard=shard,
        record=record,
        reason=f"{size} bytes {looks}; {problem}",
    )


def file_name(example: tf.train.Example) -> str:
    """Returns the name of a record's source file, or an empty string."""
    features = example.features.feature
    # Reading a missing key would add it.
    name = features[_FILENAME].bytes_list.value if _FILENAME in features else ()
    return name[0].decode(errors="replace") if name else ""


class BadImages:
    """The images that the pipelines of this process have skipped."""

    def __init__(self) -> None:
        self._skipped = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, -1)
        self._reported: set[int] = set()

    def attempt(
        self, shard: tf.Tensor, record: tf.Tensor, make_image: Callable[[], tf.Tensor]
    ) -> Example:
        """Returns an `image` and `weight` 1; for a bad image, zeros and 0.

        Args:
          shard: index of the image's shard, int64 [].
          record: index of its record in the shard, int64 [].
          make_image: decodes and prepares the image; its shape is static.
        """
        # Only tf.data can catch the error of an op: hence a dataset of one element.
        attempt = tf.data.Dataset.from_tensors(1.0).map(lambda weight: (make_image(), weight))
        image, weight = attempt.element_spec
        blank = tf.data.Dataset.from_tensors(0.0).map(
            lambda weight: (tf.zeros(image.shape, image.dtype), weight)
        )
        image, weight = attempt.ignore_errors().concatenate(blank).take(1).get_single_element()
        key = shard * _SHARD + record

        def remember() -> tf.Tensor:
            with tf.control_dependencies([self._skipped.insert(key, tf.ones_like(key))]):
                return tf.identity(weight)

        weight = tf.cond(weight > 0, lambda: weight, remember)
        return {"image": image, "weight": weight}

    def take_new(self) -> list[tuple[int, int]]:
        """Returns the indices of shard and record of the images skipped since the last call."""
        if int(self._skipped.size()) == len(self._reported):
            return []
        new = sorted({int(key) for key in self._skipped.export()[0].numpy()} - self._reported)
        self._reported.update(new)
        return [divmod(key, _SHARD) for key in new]


def stand_in(batch: Example) -> Example:
    """Replaces image and label of bad examples by those of the first good one in the batch."""
    is_good = batch["weight"] > 0
    places = tf.range(tf.size(is_good, tf.int64))
    places = tf.where(is_good, places, tf.argmax(tf.cast(is_good, tf.int32)))

    def replaced(value: tf.Tensor) -> tf.Tensor:
        return tf.cond(tf.reduce_all(is_good), lambda: value, lambda: tf.gather(value, places))

    return batch | {name: replaced(batch[name]) for name in ("image", "label")}
