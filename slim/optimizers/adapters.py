"""Optimizers of Keras and of TensorFlow 1 in place of slim's own.

Their slots stand in the store: those of `tf.compat.v1.train` under TensorFlow 1's names, which
are TF-Slim's in a checkpoint, such as `conv1/weights/Momentum`, and Keras' as
`conv1/weights/sgd/momentum`.
"""

import itertools
import re
import sys
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.optimizers.base import Optimizer
from slim.store import Record, VariableStore

v1_train = tf.compat.v1.train


class _Adapter:
    """An optimizer of another library, with the methods of `slim.optimizers.Optimizer`."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer

    def build(self, store: VariableStore, variables: Mapping[str, tf.Variable]) -> None:
        """Creates the slots of `variables` and adds them to `store`."""
        for name, slot in self._create_slots(variables).items():
            store.add(Record(name), slot)

    def _create_slots(self, variables: Mapping[str, tf.Variable]) -> dict[str, tf.Variable]:
        raise NotImplementedError

    def apply(
        self,
        store: VariableStore,
        gradients: Mapping[str, tf.Tensor],
        learning_rate: tf.Tensor,
        where: None = None,
        multipliers: Mapping[str, float] | None = None,
    ) -> None:
        """Updates variables by gradients; the learning rate is the optimizer's own."""
        self._optimizer.apply_gradients(
            [(gradient, store.named_variable(name)) for name, gradient in gradients.items()]
        )


class KerasAdapter(_Adapter):
    """A `keras.optimizers.Optimizer`."""

    def learning_rate_at(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate of the next update."""
        return tf.cast(tf.convert_to_tensor(self._optimizer.learning_rate), tf.float32)

    def _create_slots(self, variables: Mapping[str, tf.Variable]) -> dict[str, tf.Variable]:
        self._optimizer.build(list(variables.values()))
        # Keras names a slot by its variable, "conv1_weights_0_momentum".
        prefixes = {
            variable.name.replace("/", "_").replace(":", "_") + "_": name
            for name, variable in variables.items()
        }
        slots = {}
        kind = type(self._optimizer).__name__.lower()  # not its name: "adam_1" in a second run
        for slot in self._optimizer.variables:
            prefix = max(filter(slot.name.startswith, prefixes), key=len, default="")
            of = f"{prefixes[prefix]}/" if prefix else ""
            # A constant learning rate is an option of the call, not a state of the run.
            if slot.name != "learning_rate":
                name = f"{of}{kind}/{slot.name.removeprefix(prefix)}"
                slots[name] = slot.value
        return slots


class V1Adapter(_Adapter):
    """A `tf.compat.v1.train.Optimizer`."""

    def learning_rate_at(self, step: tf.Tensor) -> tf.Tensor:
        """Returns NaN: the learning rate cannot be read."""
        return tf.constant(float("nan"))

    def _create_slots(self, variables: Mapping[str, tf.Variable]) -> dict[str, tf.Variable]:
        """Creates the slots by an update, then undoes it."""
        before = {name: variable.numpy() for name, variable in variables.items()}
        created: list[tuple[tf.Variable, Any]] = []

        def creator(next_creator: Any, **kwargs: Any) -> tf.Variable:
            variable = next_creator(**kwargs)
            created.append((variable, variable.numpy()))
            return variable

        with tf.init_scope(), tf.variable_creator_scope(creator):
            zeros = [(tf.zeros_like(variable), variable) for variable in variables.values()]
            self._optimizer.apply_gradients(zeros)
        for name, value in before.items():
            variables[name].assign(value)
        for slot, value in created:
            slot.assign(value)
        slots: dict[str, tf.Variable] = {}
        for slot, _ in created:
            # TensorFlow counts on for each optimizer of the process: Adam_2, Adam_3, ...
            name = re.sub(r"_\d+$", "", slot.name.partition(":")[0])
            numbers = itertools.count(1)
            unique = name
            while unique in slots:
                unique = f"{name}_{next(numbers)}"
            slots[unique] = slot
        return slots


def adapt(optimizer: Any, strategy: tf.distribute.Strategy, **own: Any) -> Any:
    """Returns an optimizer with the methods of `slim.optimizers.Optimizer`.

    Args:
      optimizer: one of slim, Keras or `tf.compat.v1.train`.
      strategy: of the training step.
      **own: arguments that only slim's optimizers support, false if they are not used.

    Raises:
      UserError: if it is something else, or does not support an argument or the strategy.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(optimizer, keras.optimizers.Optimizer):
        adapter: type[_Adapter] = KerasAdapter
    elif isinstance(optimizer, v1_train.Optimizer):
        adapter = V1Adapter
    else:
        raise _checks.UserError(
            f"optimizer={optimizer!r} is not an optimizer. Pass one of slim.optimizers, such as"
            " slim.optimizers.Momentum(learning_rate=0.01), of keras.optimizers or of"
            " tf.compat.v1.train"
        )
    own["a strategy of several replicas"] = strategy.num_replicas_in_sync > 1
    for name, value in own.items():
        if value:
            kind = f"{type(optimizer).__module__}.{type(optimizer).__name__}"
            raise _checks.UserError(
                f"optimizer is a {kind}, but {name} needs one of slim.optimizers, such as"
                " slim.optimizers.Momentum(learning_rate=0.01)"
            )
    return adapter(optimizer)
