"""Scalars and pictures for TensorBoard, written without having TensorBoard installed.

`tf.summary.scalar` and its like need that package; the general `tf.summary.write` does not.
`tf.compat.v1` is used for the one message class that it takes, `SummaryMetadata`, which has no
other public name.
"""

from collections.abc import Mapping

import tensorflow as tf


class EventFile:
    """An event file in a directory.

    Args:
      directory: made if it does not exist.
    """

    def __init__(self, directory: str) -> None:
        self._writer = tf.summary.create_file_writer(directory)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name, at a training step."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                data = tf.constant(value, tf.float32)
                tf.summary.write(name, data, metadata=_metadata("scalars"))

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
        """Flushes and closes the file."""
        self._writer.close()


def _metadata(plugin: str) -> tf.compat.v1.SummaryMetadata:
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    return metadata
