"""Writes scalars, histograms and images for TensorBoard, which need not be installed.

`tf.summary.scalar` and similar functions need it; `tf.summary.write` does not. `tf.compat.v1` is
used for `SummaryMetadata`, which has no other public name.
"""

import functools
import os
from collections.abc import Mapping

import tensorflow as tf

from slim import _checks, _files


class EventFile:
    """An event file in a directory, created when something is written.

    Args:
      directory: created if it does not exist.

    Raises:
      UserError: if the path is not a directory.
    """

    def __init__(self, directory: str) -> None:
        if os.path.lexists(directory) and not os.path.isdir(directory):
            raise _checks.UserError(
                f"{directory} is {_files.kind_of(directory)}, but event files need a directory."
                " Move it away"
            )
        self._directory = directory

    @functools.cached_property
    def _writer(self) -> tf.summary.SummaryWriter:
        return tf.summary.create_file_writer(self._directory)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes scalars by name, at a training step."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                data = tf.constant(value, tf.float32)
                tf.summary.write(name, data, metadata=summary_metadata("scalars"))

    def histograms(self, step: int, buckets: Mapping[str, tf.Tensor]) -> None:
        """Writes results of `histogram` by name, at a training step."""
        with self._writer.as_default(step=step):
            for name, data in buckets.items():
                data = tf.cast(data, tf.float64)
                tf.summary.write(name, data, metadata=summary_metadata("histograms"))

    def image(self, step: int, name: str, png: bytes, size: tuple[int, int]) -> None:
        """Writes an image, encoded as PNG, of `size` (width, height), at a training step."""
        width, height = (str(side).encode() for side in size)
        with self._writer.as_default(step=step):
            data = tf.constant([width, height, png])
            tf.summary.write(name, data, metadata=summary_metadata("images"))

    def flush(self) -> None:
        """Flushes the file to disk."""
        self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file, if it was created."""
        if "_writer" in vars(self):
            self._writer.close()


def histogram(values: tf.Tensor, buckets: int = 30) -> tf.Tensor:
    """Counts values in buckets of equal width between the minimum and the maximum.

    Args:
      values: of any shape; non-finite values are ignored.
      buckets: number of buckets.

    Returns:
      TensorBoard's format, float64 [buckets, 3]: left edge, right edge and count.
    """
    values = tf.reshape(tf.cast(values, tf.float32), [-1])
    values = tf.boolean_mask(values, tf.math.is_finite(values))
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    # Equal values are in the middle bucket; without values, empty buckets around 0.
    span = tf.where(low < high, [low, high], [low - 0.5, high + 0.5])
    span = tf.where(tf.size(values) > 0, span, [-0.5, 0.5])
    counts = tf.histogram_fixed_width(values, span, buckets)
    span = tf.cast(span, tf.float64)
    edges = tf.linspace(span[0], span[1], buckets + 1)
    return tf.stack([edges[:-1], edges[1:], tf.cast(counts, tf.float64)], axis=1)


def summary_metadata(plugin: str) -> tf.compat.v1.SummaryMetadata:
    """Returns the metadata of a summary for a plugin of TensorBoard."""
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    return metadata
