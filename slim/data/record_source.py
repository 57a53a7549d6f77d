"""Records that are not in TFRecord files."""

from typing import Protocol, Self

import numpy as np


class RecordSource(Protocol):
    """Reads the records of a `Dataset` one at a time, in any order and from several threads.

    The dataset has `shard_counts` and `shard_bytes` as if its records were in TFRecord files.
    """

    @property
    def labels(self) -> np.ndarray:
        """The class of each record, int64 [number of records], in the order of the shards."""

    @property
    def fingerprint(self) -> str:
        """Identifies the content of the records, in hexadecimal digits."""

    def read(self, shard: int, record: int) -> bytes:
        """Returns a serialized `tf.train.Example`; its image is empty if it cannot be used.

        Args:
          shard: index into the dataset's `data_sources`.
          record: index of the record in the shard.
        """

    def problem(self, shard: int, record: int) -> str | None:
        """Returns why the image of a record cannot be used, or None if it can."""

    def with_max_pixels(self, max_pixels: int) -> Self:
        """Returns the same records with a limit on the number of pixels of an image."""
