"""Large images that exceed a limit, found in TFRecord files without loading their records.

TensorFlow holds several copies of each record that it reads. An image cannot exceed its limit of
bytes if it has no more than `_image_limits.METADATA_BYTES`, so that smaller records are not read.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from slim import _files, _image_limits
from slim._file_ranges import FileRange
from slim.data import partial_examples, records

_PREFIX = 16  # bytes


class LargeImage(NamedTuple):
    """A large image that exceeds a limit.

    Attributes:
      record: index of its record in the file.
      example: the requested features of the record, and the image's, which is empty.
      size: number of bytes.
      prefix: the first bytes.
      problem: the limit that it exceeds.
    """

    record: int
    example: tf.train.Example
    size: int
    prefix: bytes
    problem: str


def find_rejected(
    path: str,
    offsets: Sequence[int],
    problem_of: Callable[[FileRange], str | None],
    *,
    keys: Collection[str],
    image_key: str = "image/encoded",
) -> Iterator[LargeImage]:
    """Yields the large images of a file that exceed a limit, in its order.

    Args:
      path: a TFRecord file.
      offsets: of its records, from `records.find_records`.
      problem_of: returns the problem of an image, or None; of `slim._image_limits`.
      keys: keys of the other features to load.
      image_key: key of the image's feature.
    """
    numbers = records.find_large_records(offsets, _image_limits.METADATA_BYTES)
    if not numbers:
        return
    with _files.open_regular(path) as file:
        for number in numbers:
            record = records.record_range(file, offsets, number)
            image = partial_examples.read(record, image_key, keys)
            if image is None or len(image.value) <= _image_limits.METADATA_BYTES:
                continue
            problem = problem_of(image.value)
            if problem is not None:
                prefix = image.value[:_PREFIX]
                yield LargeImage(number, image.example, len(image.value), prefix, problem)
