"""Reads the records around large images above a limit, with stand-ins in their place."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from slim.data import record_datasets
from slim.data.large_images import LargeImage


class _Piece(NamedTuple):
    """Consecutive records to read, and what follows them.

    Attributes:
      begin: the first byte in the shard.
      count: number of records.
      stand_in: a serialized example in place of the next record.
      has_stand_in: whether there is a next record in the segment.
    """

    begin: int
    count: int
    stand_in: bytes = b""
    has_stand_in: bool = False


class Pieces:
    """Segments of shards, divided at their large images.

    Args:
      segments: for each one: shard, index of its first record, number of records, its first byte,
        and how many records to request beyond its end.
      places: offsets of each shard's records.
      images: indices of shard and record -> image, in the order of the files.
    """

    def __init__(
        self,
        segments: Iterable[tuple[int, int, int, int, int]],
        places: Sequence[Sequence[int]],
        images: Mapping[tuple[int, int], LargeImage],
    ) -> None:
        pieces: list[_Piece] = []
        ends = [0]
        numbers: dict[int, list[int]] = {}
        for shard, number in images:
            numbers.setdefault(shard, []).append(number)
        for shard, first, count, begin, beyond in segments:
            end = first + count
            of_shard = numbers.get(shard, [])
            own = slice(bisect.bisect_left(of_shard, first), bisect.bisect_left(of_shard, end))
            for number in of_shard[own]:
                stand_in = images[shard, number].example.SerializeToString()
                pieces.append(_Piece(begin, number - first, stand_in, True))
                begin, first = places[shard][number + 1], number + 1
            pieces.append(_Piece(begin, end - first + beyond))
            ends.append(len(pieces))
        begin, count, stand_in, has_stand_in = zip(*pieces, strict=True)
        self._ends = np.array(ends, np.int64)
        self._begin = np.array(begin, np.int64)
        self._count = np.array(count, np.int64)
        self._stand_in = list(stand_in)
        self._has_stand_in = np.array(has_stand_in, np.int64)

    def read(self, path: tf.Tensor, segment: tf.Tensor) -> tf.data.Dataset:
        """Returns the records of a segment, with stand-ins for those of the large images.

        Args:
          path: of its shard.
          segment: its index.
        """

        def read_piece(piece: tf.Tensor) -> tf.data.Dataset:
            begin, count = tf.gather(self._begin, piece), tf.gather(self._count, piece)
            stand_in = tf.data.Dataset.from_tensors(tf.gather(tf.constant(self._stand_in), piece))
            read = record_datasets.from_byte(path, begin).take(count)
            return read.concatenate(stand_in.take(tf.gather(self._has_stand_in, piece)))

        first, end = tf.gather(self._ends, segment), tf.gather(self._ends, segment + 1)
        return tf.data.Dataset.range(first, end).flat_map(read_piece)
