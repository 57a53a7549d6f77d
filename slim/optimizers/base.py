"""Base class of the optimizers: slots in the store, by name, and updates on every replica."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from slim import parameter_servers
from slim.store import VariableStore

LearningRate = float | Callable[[tf.Tensor], tf.Tensor]


class Slot(NamedTuple):
    """A state variable of an optimizer for a variable that it updates."""

    name: str
    shape: tuple[int, ...]
    value: float


class Scalar(NamedTuple):
    """A scalar state variable of an optimizer: initial value, and the update rule
    `value * factor + addend`."""

    value: float
    factor: float = 1.0
    addend: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Updates variables by their gradients.

    Attributes:
      learning_rate: a number, or a function from the step (int64 scalar) to a float32 scalar; the
        schedules of Keras are such functions.
    """

    learning_rate: LearningRate = dataclasses.field(kw_only=False)
    slot_name: ClassVar[str] = ""

    def slot_values(self) -> tuple[float, ...]:
        """Returns the initial value of each slot of a variable's shape."""
        return ()

    def slots(self, name: str, shape: tuple[int, ...]) -> tuple[Slot, ...]:
        """Returns the slots of a variable, by default one for each of `slot_values`."""
        values = enumerate(self.slot_values())
        return tuple(
            Slot(f"{name}/{self.slot_name}" + (f"_{number}" if number else ""), shape, value)
            for number, value in values
        )

    def scalars(self) -> Mapping[str, Scalar]:
        """Returns the scalars kept in addition to the slots, by name."""
        return {}

    def update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor,
        learning_rate: tf.Tensor,
        slots: Sequence[tf.Variable],
        scalars: Sequence[tf.Tensor],
    ) -> None:
        """Updates one variable and its slots in place, on one device."""
        raise NotImplementedError(f"{type(self).__name__} must define update()")

    def build(self, store: VariableStore, variables: Mapping[str, tf.Variable]) -> None:
        """Creates the slots of `variables` in `store`, unless they exist."""
        for name, variable in variables.items():
            with parameter_servers.next_to(variable):
                for slot in self.slots(name, tuple(variable.shape)):
                    store.state(slot.name, slot.shape, variable.dtype, slot.value)
        for name, scalar in self.scalars().items():
            store.state(name, (), tf.float32, scalar.value)

    def learning_rate_at(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate of a step, a float32 scalar."""
        rate = self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate
        return tf.cast(rate, tf.float32)

    def apply(
        self,
        store: VariableStore,
        gradients: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        where: tf.Tensor | None = None,
        multipliers: Mapping[str, float] | None = None,
    ) -> None:
        """Updates variables by gradients that are already equal on every replica.

        Args:
          store: holds the variables and their slots.
          gradients: by the variable's name.
          learning_rate: float32 scalar.
          where: a boolean scalar, equal on every replica; if false, nothing changes.
          multipliers: factor of the learning rate by the variable's name.
        """
        context = tf.distribute.get_replica_context()
        arguments = (store, dict(gradients), learning_rate, dict(multipliers or {}))
        if where is None:
            context.merge_call(self._apply_everywhere, args=arguments)
        else:
            context.merge_call(self._apply_where, args=(where, *arguments))

    def _apply_where(self, strategy: tf.distribute.Strategy, where: Any, *arguments: Any) -> None:
        def update() -> tf.Tensor:
            self._apply_everywhere(strategy, *arguments)
            return tf.constant(True)

        tf.cond(strategy.experimental_local_results(where)[0], update, lambda: tf.constant(False))

    def _apply_everywhere(
        self,
        strategy: tf.distribute.Strategy,
        store: VariableStore,
        gradients: Mapping[str, Any],
        learning_rate: Any,
        multipliers: Mapping[str, float],
    ) -> None:
        scalars = [store.named_variable(name) for name in self.scalars()]
        for name, gradient in gradients.items():
            variable = store.named_variable(name)
            shape = tuple(variable.shape)
            slots = [store.named_variable(slot.name) for slot in self.slots(name, shape)]
            arguments = (gradient, learning_rate, slots, scalars, multipliers.get(name, 1.0))
            strategy.extended.update(variable, self._update, args=arguments, group=False)
        for variable, scalar in zip(scalars, self.scalars().values(), strict=True):
            arguments = (scalar.factor, scalar.addend)
            strategy.extended.update(variable, _advance, args=arguments, group=False)

    def _update(self, variable: tf.Variable, gradient: tf.Tensor, learning_rate: tf.Tensor,
                slots: Any, scalars: Any, multiplier: float) -> None:  # fmt: skip
        rate = learning_rate if multiplier == 1.0 else learning_rate * multiplier
        self.update(variable, gradient, rate, slots, scalars)


def _advance(scalar: tf.Variable, factor: float, addend: float) -> None:
    scalar.assign(scalar * factor + addend)
