"""Scalars, histograms and pictures for TensorBoard, written without having TensorBoard installed.

`tf.summary.scalar` and its like need that package; the general `tf.summary.write` does not.
`tf.compat.v1` is used for the one message class that it takes, `SummaryMetadata`, which has no
other public name.
"""

import functools
import os
from collections.abc import Mapping

import tensorflow as tf

from slim import _checks, _files


class EventFile:
    """An event file in a directory, made when something is written.

    Args:
      directory: made if it does not exist.

    Raises:
      UserError: if something else is at its path.
    """

    def __init__(self, directory: str) -> None:
        if os.path.lexists(directory) and not os.path.isdir(directory):
            raise _checks.UserError(
                f"{directory} is {_files.kind_of(directory)}; event files need a directory there."
                " Move it away"
            )
        self._directory = directory

    @functools.cached_property
    def _writer(self) -> tf.summary.SummaryWriter:
        return tf.summary.create_file_writer(self._directory)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name, at a training step."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                data = tf.constant(value, tf.float32)
                tf.summary.write(name, data, metadata=_metadata("scalars"))

    def histograms(self, step: int, buckets: Mapping[str, tf.Tensor]) -> None:
        """Writes what `histogram` gave, by name, at a training step."""
        with self._writer.as_default(step=step):
            for name, data in buckets.items():
                data = tf.cast(data, tf.float64)
                tf.summary.write(name, data, metadata=_metadata("histograms"))

    def picture(self, step: int, name: str, png: bytes, size: tuple[int, int]) -> None:
        """Writes the PNG file of a picture of `size` (width, height), at a training step."""
        width, height = (str(side).encode() for side in size)
        with self._writer.as_default(step=step):
            data = tf.constant([width, height, png])
            tf.summary.write(name, data, metadata=_metadata("images"))

    def flush(self) -> None:
        """Brings what was written to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file, if it was made."""
        if "_writer" in vars(self):
            self._writer.close()


def histogram(values: tf.Tensor, buckets: int = 30) -> tf.Tensor:
    """Counts values in buckets of equal width between the smallest and the largest.

    Args:
      values: of any shape; those that are no finite numbers do not count.
      buckets: how many.

    Returns:
      float64 [buckets, 3]: left edge, right edge and count of each, as TensorBoard has them.
    """
    values = tf.reshape(tf.cast(values, tf.float32), [-1])
    values = tf.boolean_mask(values, tf.math.is_finite(values))
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    # Of equal values one bucket in the middle; of none, empty ones around 0.
    span = tf.where(low < high, [low, high], [low - 0.5, high + 0.5])
    span = tf.where(tf.size(values) > 0, span, [-0.5, 0.5])
    counts = tf.histogram_fixed_width(values, span, buckets)
    span = tf.cast(span, tf.float64)
    edges = tf.linspace(span[0], span[1], buckets + 1)
    return tf.stack([edges[:-1], edges[1:], tf.cast(counts, tf.float64)], axis=1)


def _metadata(plugin: str) -> tf.compat.v1.SummaryMetadata:
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    return metadata
