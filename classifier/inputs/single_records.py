"""Reads records one at a time, from a dataset's `record_source`."""

import numpy as np
import tensorflow as tf

from slim import _cores
from slim.data import dataset as dataset_lib

# Records per call of Python, which costs more than reading a small image.
_CHUNK = 64
_CHUNK_BYTES = 2 << 20


def chunk_size(dataset: dataset_lib.Dataset) -> int:
    """Returns the number of records to read per call, so that their size is about 2 MB."""
    mean = sum(dataset.shard_bytes) // max(1, sum(dataset.shard_counts))
    return max(1, min(_CHUNK, _CHUNK_BYTES // max(1, mean)))


def read(
    dataset: dataset_lib.Dataset, places: tf.data.Dataset, num_readers: int
) -> tf.data.Dataset:
    """Adds `serialized`, string [number], to dicts of `shard` and `record`, int64 [number].

    Args:
      dataset: the split, with a `record_source`.
      places: the dicts; other values are kept.
      num_readers: minimum number of calls in parallel.
    """
    source = dataset.record_source

    def read_all(shards: np.ndarray, records: np.ndarray) -> np.ndarray:
        examples = np.empty(len(shards), object)  # NumPy's strings of bytes lose trailing zeros
        examples[:] = [
            source.read(*place) for place in zip(shards.tolist(), records.tolist(), strict=True)
        ]
        return examples

    def add(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        serialized = tf.numpy_function(read_all, [row["shard"], row["record"]], tf.string)
        return {"serialized": tf.ensure_shape(serialized, row["shard"].shape), **row}

    calls = max(num_readers, _cores.usable_cores())
    return places.map(add, num_parallel_calls=calls, deterministic=True)
