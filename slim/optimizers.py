"""The seven optimizers of the original, with TensorFlow's own update kernels.

Their slots are variables of the store under the names that TensorFlow 1 gave them
(`LeNet/conv1/weights/RMSProp_1`), so that a checkpoint holds them by name and either side can
resume the other's run. Gradients are averaged over the replicas of a `tf.distribute` strategy.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow as tf

from slim.initializers import constant_initializer
from slim.store import Record, VariableStore

LearningRate = float | Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Updates variables by their gradients.

    Attributes:
      learning_rate: a number, or a function from the step (int64 scalar) to a float32 scalar; the
        schedules of Keras are such functions.
    """

    learning_rate: LearningRate
    slot_name: ClassVar[str] = ""

    def slot_values(self) -> tuple[float, ...]:
        """Returns the initial value of each slot."""
        return ()

    def scalars(self) -> Mapping[str, float]:
        """Returns the numbers kept beside the slots: each starts at, and is multiplied by, its
        value."""
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
        """Makes the slots of `variables` in `store` (once; later calls find them)."""
        for name, variable in variables.items():
            for slot, value in zip(self.slot_names(name), self.slot_values(), strict=True):
                _create(store, slot, variable.shape, variable.dtype, value)
        for name, value in self.scalars().items():
            _create(store, name, (), tf.float32, value)

    def slot_names(self, name: str) -> tuple[str, ...]:
        """Returns the names of the slots of the variable `name`."""
        ends = ["" if i == 0 else f"_{i}" for i in range(len(self.slot_values()))]
        return tuple(f"{name}/{self.slot_name}{end}" for end in ends)

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
    ) -> None:
        """Updates variables by gradients that are already equal on every replica.

        Args:
          store: holds the variables and their slots.
          gradients: by the variable's name.
          learning_rate: float32 scalar.
          where: a boolean scalar, equal on every replica; false leaves all as it is.
        """
        context = tf.distribute.get_replica_context()
        arguments = (store, dict(gradients), learning_rate)
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
    ) -> None:
        scalars = [store.named_variable(name) for name in self.scalars()]
        for name, gradient in gradients.items():
            slots = [store.named_variable(slot) for slot in self.slot_names(name)]
            variable = store.named_variable(name)
            arguments = (gradient, learning_rate, slots, scalars)
            strategy.extended.update(variable, self.update, args=arguments, group=False)
        for scalar, factor in zip(scalars, self.scalars().values(), strict=True):
            strategy.extended.update(scalar, _multiply, args=(factor,), group=False)


def _create(store: VariableStore, name: str, shape: Any, dtype: tf.DType, value: float) -> None:
    if store.named_variable(name) is None:
        record = Record(
            name, model=False, trainable=False, regularizer=None, collections=frozenset()
        )
        store.create(record, shape, dtype, constant_initializer(value))


def _multiply(scalar: tf.Variable, factor: float) -> None:
    scalar.assign(scalar * factor)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientDescent(Optimizer):
    """variable -= learning_rate * gradient."""

    def update(self, variable, gradient, learning_rate, slots, scalars):
        tf.raw_ops.ResourceApplyGradientDescent(
            var=variable.handle, alpha=learning_rate, delta=gradient
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Momentum(Optimizer):
    """Gradient descent with a running sum of past gradients (or Nesterov's look-ahead)."""

    momentum: float = 0.9
    use_nesterov: bool = False
    slot_name: ClassVar[str] = "Momentum"

    def slot_values(self):
        return (0.0,)

    def update(self, variable, gradient, learning_rate, slots, scalars):
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=slots[0].handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.use_nesterov,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RMSProp(Optimizer):
    """Divides by a running root mean square of the gradients, with momentum (Hinton, 2012).

    `epsilon` stands under the root. The mean square starts at one, as in TensorFlow 1.
    """

    decay: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-10
    slot_name: ClassVar[str] = "RMSProp"

    def slot_values(self):
        return (1.0, 0.0)

    def update(self, variable, gradient, learning_rate, slots, scalars):
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=slots[0].handle,
            mom=slots[1].handle,
            lr=learning_rate,
            rho=self.decay,
            momentum=self.momentum,
            epsilon=self.epsilon,
            grad=gradient,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Kingma and Ba, https://arxiv.org/abs/1412.6980, with epsilon as in the paper's section 2
    end."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slot_name: ClassVar[str] = "Adam"

    def slot_values(self):
        return (0.0, 0.0)

    def scalars(self):
        return {"beta1_power": self.beta1, "beta2_power": self.beta2}

    def update(self, variable, gradient, learning_rate, slots, scalars):
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=slots[0].handle,
            v=slots[1].handle,
            beta1_power=scalars[0],
            beta2_power=scalars[1],
            lr=learning_rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            grad=gradient,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adagrad(Optimizer):
    """Divides by the root of the summed squares of the gradients (Duchi et al., 2011)."""

    initial_accumulator_value: float = 0.1
    slot_name: ClassVar[str] = "Adagrad"

    def slot_values(self):
        return (self.initial_accumulator_value,)

    def update(self, variable, gradient, learning_rate, slots, scalars):
        tf.raw_ops.ResourceApplyAdagrad(
            var=variable.handle, accum=slots[0].handle, lr=learning_rate, grad=gradient
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adadelta(Optimizer):
    """Zeiler, https://arxiv.org/abs/1212.5701."""

    rho: float = 0.95
    epsilon: float = 1e-8
    slot_name: ClassVar[str] = "Adadelta"

    def slot_values(self):
        return (0.0, 0.0)

    def update(self, variable, gradient, learning_rate, slots, scalars):
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle,
            accum=slots[0].handle,
            accum_update=slots[1].handle,
            lr=learning_rate,
            rho=self.rho,
            epsilon=self.epsilon,
            grad=gradient,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ftrl(Optimizer):
    """Follow the regularized leader (McMahan et al., 2013), with L1 and L2 of its own."""

    learning_rate_power: float = -0.5
    initial_accumulator_value: float = 0.1
    l1: float = 0.0
    l2: float = 0.0
    slot_name: ClassVar[str] = "Ftrl"

    def slot_values(self):
        return (self.initial_accumulator_value, 0.0)

    def update(self, variable, gradient, learning_rate, slots, scalars):
        tf.raw_ops.ResourceApplyFtrl(
            var=variable.handle,
            accum=slots[0].handle,
            linear=slots[1].handle,
            grad=gradient,
            lr=learning_rate,
            l1=self.l1,
            l2=self.l2,
            lr_power=self.learning_rate_power,
        )
