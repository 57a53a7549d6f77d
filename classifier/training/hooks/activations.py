"""What a network's layers give for a batch: a histogram and the share of zeros of each."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

import slim
from slim.events import histogram


class Activations:
    """The end points of a network in training mode, beside the steps: they cost a step nothing, and
    no average of batch norm moves.

    Args:
      network: from images to (logits, end points).
      batch_at: from a step to the batch it gets.
      batch_size: images to compute, at most.
      seed: of dropout.
    """

    def __init__(
        self,
        network: Callable[[tf.Tensor], tuple[tf.Tensor, Mapping[str, tf.Tensor]]],
        batch_at: Callable[[int], Mapping[str, np.ndarray]],
        batch_size: int,
        seed: int = 0,
    ) -> None:
        self._network = network
        self._batch_at = batch_at
        self._batch_size = batch_size
        self._seed = seed
        self._function: Callable[..., dict[str, tuple[tf.Tensor, tf.Tensor]]] | None = None

    def __call__(
        self, store: slim.VariableStore, step: int
    ) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """Returns (histogram, share of zeros) by end point.

        Args:
          store: the variables.
          step: whose batch it is.
        """
        images = self._batch_at(step)["image"][: self._batch_size]
        if self._function is None:
            spec = tf.TensorSpec([None, *images.shape[1:]], images.dtype)

            def measure(images: tf.Tensor, seed: tf.Tensor) -> dict[str, tuple]:
                with store.as_default(seed, step=seed[1]) as one_pass:
                    one_pass.is_replay = True
                    _, end_points = self._network(images)
                return {name: _in_small(tensor) for name, tensor in end_points.items()}

            self._function = tf.function(
                measure, input_signature=[spec, tf.TensorSpec([2], tf.int32)], autograph=False
            )
        return self._function(images, [self._seed, step])


def _in_small(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return histogram(values), tf.math.zero_fraction(values)
