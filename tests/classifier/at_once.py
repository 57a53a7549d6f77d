"""How many of something tf.data does side by side, seen from inside."""

import threading
import time

import numpy as np
import tensorflow as tf

from slim import _cores


def possible(asked):
    """Returns how many of so many run side by side: TensorFlow has a thread for each core."""
    return min(asked, _cores.usable_cores())


class Counter:
    """Counts how often a function runs at the same time.

    Attributes:
      most: the highest number seen.
    """

    def __init__(self) -> None:
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()

    def wrapped(self, function):
        """Returns a function of tensors that does the same, and is counted while it does."""

        def counted(*arguments, **more):
            busy = tf.numpy_function(self._count, [], tf.float32, stateful=True)
            with tf.control_dependencies([busy]):
                return tf.nest.map_structure(tf.identity, function(*arguments, **more))

        return counted

    def _count(self) -> np.float32:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        time.sleep(0.05)
        with self._lock:
            self._running -= 1
        return np.float32(0)
