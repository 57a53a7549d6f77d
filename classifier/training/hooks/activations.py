"""Histogram and fraction of zeros of each layer's activations."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

import slim
from slim.events import histogram


class Activations:
    """Summaries of a network's end points in training mode, computed between training steps.

    No moving average of batch norm is updated.

    Args:
      network: function from images to (logits, end points).
      batch_size: maximum number of images.
      seed: seed of dropout.
    """

    def __init__(
        self,
        network: Callable[[tf.Tensor], tuple[tf.Tensor, Mapping[str, tf.Tensor]]],
        batch_size: int,
        seed: int = 0,
    ) -> None:
        self._network = network
        self._batch_size = batch_size
        self._seed = seed
        self._function: Callable[..., dict[str, tuple[tf.Tensor, tf.Tensor]]] | None = None

    def __call__(
        self, store: slim.VariableStore, step: int, images: np.ndarray
    ) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """Returns {end point: (histogram, fraction of zeros)}.

        Args:
          store: the network's variables.
          step: number of completed steps.
          images: float32 `[number, height, width, channels]`.
        """
        images = images[: self._batch_size]
        if self._function is None:
            spec = tf.TensorSpec([None, *images.shape[1:]], images.dtype)

            def measure(images: tf.Tensor, seed: tf.Tensor) -> dict[str, tuple]:
                with store.as_default(seed, step=seed[1]) as one_pass:
                    one_pass.is_replay = True
                    _, end_points = self._network(images)
                return {
                    name: (histogram(tensor), tf.math.zero_fraction(tensor))
                    for name, tensor in end_points.items()
                }

            self._function = tf.function(
                measure, input_signature=[spec, tf.TensorSpec([2], tf.int32)], autograph=False
            )
        return self._function(images, [self._seed, step])
