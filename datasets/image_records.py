"""Records of images that are read in place: byte for byte those that the conversion would write."""

import hashlib
import itertools

import numpy as np

from datasets import images, splits, tfrecords, workers
from datasets.items import Item
from slim import _image_limits

_VERSION = 1  # of the content of records
# The file is not read completely twice: TensorFlow detects damage when it decodes.
_RULES = images.Rules(verified=False)


class ImageRecords:
    """The records of a split whose images are read in place, a `slim.data.record_source`.

    Args:
      metadata: of the split.
      max_pixels: maximum number of pixels of an image.
    """

    def __init__(
        self, metadata: splits.SplitMetadata, max_pixels: int = _image_limits.MAX_PIXELS
    ) -> None:
        self._metadata = metadata
        self._items = metadata.items
        self._firsts = [0, *itertools.accumulate(metadata.shard_counts)]
        self._rules = _RULES._replace(max_pixels=max_pixels)
        images.silence_pillow()

    @property
    def labels(self) -> np.ndarray:
        """The class of each record, int64 [number of records], in the order of the shards."""
        return np.array([item.label for item in self._items], np.int64)

    @property
    def fingerprint(self) -> str:
        """Identifies the files, with sizes and times, and the limit, in hexadecimal digits."""
        digest = hashlib.sha256(repr((_VERSION, self._rules)).encode())
        for item in self._items:
            digest.update(repr(item).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def with_max_pixels(self, max_pixels: int) -> "ImageRecords":
        """Returns the same records with another limit."""
        return type(self)(self._metadata, max_pixels)

    def read(self, shard: int, record: int) -> bytes:
        """Returns a serialized `tf.train.Example`; its image is empty if it cannot be used."""
        item = self._item(shard, record)
        prepared = workers.prepare_image(item.source, None, self._rules)
        if isinstance(prepared, str):
            prepared = images.Prepared(b"", "", 0, 0)
        example = tfrecords.image_to_tfexample(*prepared[:4], item.label, item.filename)
        return example.SerializeToString(deterministic=True)

    def problem(self, shard: int, record: int) -> str | None:
        """Returns why an image cannot be used, or None if it can."""
        rules = self._rules._replace(verified=True)
        prepared = workers.prepare_image(self._item(shard, record).source, None, rules)
        return prepared if isinstance(prepared, str) else None

    def _item(self, shard: int, record: int) -> Item:
        return self._items[self._firsts[shard] + record]
