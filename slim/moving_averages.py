"""Exponential moving averages of weights, which often generalize better than the last weights."""

from collections.abc import Mapping

import tensorflow as tf

from slim import _checks, parameter_servers
from slim.store import VariableStore

SUFFIX = "ExponentialMovingAverage"


def average_name(name: str) -> str:
    """Returns a checkpoint's name for the average of the variable `name`."""
    return f"{name}/{SUFFIX}"


class MovingAverages:
    """Averages of the network's variables, kept in the same store.

    Args:
      decay: of the averages, such as 0.9999; limited to (1 + step) / (10 + step) in early steps, so
        that the initial values do not dominate.
      store: the variables.

    Raises:
      UserError: if the decay is not in [0, 1].
    """

    def __init__(self, decay: float, store: VariableStore) -> None:
        _checks.in_range(0.0, 1.0, moving_average_decay=decay)
        self.decay = decay
        self.store = store

    def build(self) -> None:
        """Creates an average for each model variable."""
        for name, variable in self._averaged().items():
            with parameter_servers.next_to(variable):
                self.store.state(average_name(name), variable.shape, variable.dtype)

    def reset(self) -> None:
        """Sets every average to its variable's value, as at the start of a run."""
        for name, variable in self._averaged().items():
            self.store.named_variable(average_name(name)).assign(variable)

    def update(self, step: tf.Tensor) -> None:
        """Updates every average, in cross-replica context.

        Args:
          step: number of completed steps before this one.
        """
        step = tf.cast(step, tf.float32)
        rest = 1.0 - tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for name, variable in self._averaged().items():
            average = self.store.named_variable(average_name(name))
            average.assign_sub((average - variable) * tf.cast(rest, average.dtype))

    def _averaged(self) -> Mapping[str, tf.Variable]:
        records, variables = self.store.records, self.store.named_variables
        return {name: variable for name, variable in variables.items() if records[name].model}
