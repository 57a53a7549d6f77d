"""Loss scaling, which keeps small gradients from vanishing in float16."""

import functools
from collections.abc import Mapping

import tensorflow as tf

from slim.store import VariableStore

SCALE, GOOD_STEPS = "loss_scale", "loss_scale_good_steps"


class DynamicLossScale:
    """A factor on the loss: halved when a gradient overflows, doubled after many good steps.

    (Micikevicius et al., "Mixed Precision Training", 2018, section 3.2.) The factor is a power of
    two, so scaling is exact.

    Args:
      initial: initial factor.
      growth_steps: number of steps without overflow before the factor is doubled.

    Attributes:
      lowest: minimum factor; a gradient that overflows even with it is non-finite.
    """

    lowest = 1.0

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000) -> None:
        self._initial = initial
        self._growth_steps = growth_steps

    def build(self, store: VariableStore) -> None:
        """Creates the two variables, which are saved with the others."""
        create = functools.partial(
            store.state,
            shape=(),
            dtype=tf.float32,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self._scale = create(SCALE, value=self._initial)
        self._good_steps = create(GOOD_STEPS)

    def scale(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the loss to differentiate."""
        return loss * self._scale

    def unscale(self, gradients: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns the gradients of the unscaled loss, and whether all are finite."""
        unscaled = {name: gradient / self._scale for name, gradient in gradients.items()}
        finite = [tf.reduce_all(tf.math.is_finite(gradient)) for gradient in unscaled.values()]
        return unscaled, tf.reduce_all(tf.stack(finite))

    def update(self, finite: tf.Tensor) -> tf.Tensor:
        """Updates the factor after a step and returns the factor of that step."""
        used = tf.identity(self._scale)
        good = tf.where(finite, self._good_steps + 1.0, 0.0)
        grows = good >= self._growth_steps
        with tf.control_dependencies([used]):
            factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
            self._scale.assign(tf.maximum(used * factor, self.lowest))
            self._good_steps.assign(tf.where(grows, 0.0, good))
        return used
