"""Scalars for TensorBoard, written without having TensorBoard installed.

`tf.summary.scalar` needs that package; the general `tf.summary.write` does not. `tf.compat.v1` is
used for the one message class that it takes, `SummaryMetadata`, which has no other public name.
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
        metadata = tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = "scalars"
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)

    def flush(self) -> None:
        """Brings what was written to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._writer.close()
