"""Reads `tf.train.Example` records without loading their largest value.

Only the nested lengths of protobuf's wire format are followed here
(https://protobuf.dev/programming-guides/encoding); TensorFlow parses the other features.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import tensorflow as tf

from slim._file_ranges import FileRange

# Of all messages in a record; each takes microseconds.
_MAX_FIELDS = 10_000
_MAX_FEATURE_BYTES = 64 << 10
# Field numbers.
_FEATURES = _ENTRY = _KEY = _BYTES_LIST = _VALUE = 1
_FEATURE = 2


class PartialExample(NamedTuple):
    """An Example without one value.

    Attributes:
      example: the requested features up to 64 KiB, and the one with the value, which is empty.
      value: place of the value in the file.
    """

    example: tf.train.Example
    value: FileRange


def read(record: FileRange, large_key: str, keys: Collection[str]) -> PartialExample | None:
    """Reads features of a record.

    Args:
      record: a serialized Example.
      large_key: key of the feature to locate instead of loading it.
      keys: keys of the other features to load.

    Returns:
      None if `large_key` is not a feature with a single bytes value, the record is damaged, or it
      has thousands of features.
    """
    wire = _Wire(record)
    example = tf.train.Example()
    try:
        features = _features(wire)
        (values,) = wire.fields(*features.pop(large_key.encode()), _BYTES_LIST)
        (value,) = wire.fields(*values, _VALUE)
        example.features.feature[large_key].bytes_list.value.append(b"")
        for key in keys:
            begin, end = features.get(key.encode(), (0, 0))
            if 0 < end - begin <= _MAX_FEATURE_BYTES:
                _parse(example.features.feature[key], record[begin:end])
    except (KeyError, ValueError):
        return None
    return PartialExample(example, record.part(*value))


def _parse(feature: tf.train.Feature, data: bytes) -> None:
    try:
        feature.MergeFromString(data)
    except Exception:  # protobuf's DecodeError, which TensorFlow does not export
        raise ValueError from None


def _features(wire: "_Wire") -> dict[bytes, tuple[int, int]]:
    """Returns key -> place of the serialized Feature; of repeated keys, the last one counts."""
    places = {}
    for features in wire.fields(0, len(wire.data), _FEATURES):
        for entry in wire.fields(*features, _ENTRY):
            ((begin, end),) = wire.fields(*entry, _KEY)
            (places[wire.data[begin : min(end, begin + _MAX_FEATURE_BYTES)]],) = wire.fields(
                *entry, _FEATURE
            )
    return places


class _Wire:
    """The fields of a serialized message.

    Args:
      data: the message.
    """

    def __init__(self, data: FileRange) -> None:
        self.data = data
        self._num_fields = 0

    def fields(self, at: int, end: int, number: int) -> Iterator[tuple[int, int]]:
        """Yields begin and end of each field of a number that has bytes: strings and messages.

        Args:
          at: begin of the message that contains them.
          end: its end.
          number: of the fields.

        Raises:
          ValueError: if this is not a message, or all messages have too many fields.
        """
        while at < end:
            self._num_fields += 1
            if self._num_fields > _MAX_FIELDS:
                raise ValueError
            tag, at = self._varint(at, end)
            kind = tag & 7
            if kind == 0:
                _, after = self._varint(at, end)
            elif kind == 2:
                size, at = self._varint(at, end)
                after = at + size
            elif kind in (1, 5):
                after = at + (8 if kind == 1 else 4)
            else:
                raise ValueError
            if after > end:
                raise ValueError
            if kind == 2 and tag >> 3 == number:
                yield at, after
            at = after

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """Returns an integer of 7 bits per byte, and its end."""
        value = 0
        for place, byte in enumerate(self.data[at : min(at + 10, end)]):
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return value, at + place + 1
        raise ValueError
