"""Loss scaling, which keeps small gradients from vanishing in float16."""

from collections.abc import Mapping

import tensorflow as tf

from slim.initializers import constant_initializer
from slim.store import Record, VariableStore

SCALE, GOOD_STEPS = "loss_scale", "loss_scale_good_steps"


class DynamicLossScale:
    """A factor on the loss: halved when a gradient overflows, doubled after many good steps.

    (Micikevicius et al., "Mixed Precision Training", 2018, section 3.2.) The factor is a power of
    two, so that scaling loses no digit.

    Args:
      initial: the first factor.
      growth_steps: steps without overflow after which it is doubled.

    Attributes:
      lowest: the factor is not halved below it; a gradient that overflows even so is no number.
    """

    lowest = 1.0

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000) -> None:
        self._initial = initial
        self._growth_steps = growth_steps

    def build(self, store: VariableStore) -> None:
        """Makes the two variables, which are saved with the others."""
        self._scale = _variable(store, SCALE, self._initial)
        self._good_steps = _variable(store, GOOD_STEPS, 0.0)

    def scale(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the loss to differentiate."""
        return loss * self._scale

    def unscale(self, gradients: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns the gradients of the loss itself, and whether all of them are finite."""
        unscaled = {name: gradient / self._scale for name, gradient in gradients.items()}
        finite = [tf.reduce_all(tf.math.is_finite(gradient)) for gradient in unscaled.values()]
        return unscaled, tf.reduce_all(tf.stack(finite))

    def update(self, finite: tf.Tensor) -> tf.Tensor:
        """Adapts the factor to a step and returns the one that the step had."""
        used = tf.identity(self._scale)
        good = tf.where(finite, self._good_steps + 1.0, 0.0)
        grows = good >= self._growth_steps
        with tf.control_dependencies([used]):
            factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
            self._scale.assign(tf.maximum(used * factor, self.lowest))
            self._good_steps.assign(tf.where(grows, 0.0, good))
        return used


def _variable(store: VariableStore, name: str, value: float) -> tf.Variable:
    variable = store.named_variable(name)
    if variable is not None:
        return variable
    record = Record(name, False, False, None, frozenset())
    return store.create(
        record,
        (),
        tf.float32,
        constant_initializer(value),
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
