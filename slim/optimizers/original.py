"""TF-Slim's seven optimizers, with TensorFlow's update kernels.

Slots have the same names as in TensorFlow 1 (`LeNet/conv1/weights/RMSProp_1`), so each can resume
runs of the other.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import tensorflow as tf

from slim.optimizers.base import Optimizer, Scalar


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

    `epsilon` is added inside the root. The mean square starts at one, as in TensorFlow 1.
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
    """Kingma and Ba, https://arxiv.org/abs/1412.6980; `epsilon` is as at the end of section 2."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slot_name: ClassVar[str] = "Adam"

    def slot_values(self):
        return (0.0, 0.0)

    def scalars(self):
        return beta_powers(self.beta1, self.beta2)

    def update(self, variable, gradient, learning_rate, slots, scalars):
        apply_adam(self, variable, gradient, learning_rate, slots, scalars)


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
    """Follow the regularized leader (McMahan et al., 2013), with L1 and L2 penalties."""

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


def beta_powers(beta1: float, beta2: float) -> dict[str, Scalar]:
    """Returns the powers of Adam's decay rates, with TensorFlow 1's names."""
    return {"beta1_power": Scalar(beta1, beta1), "beta2_power": Scalar(beta2, beta2)}


def apply_adam(
    options: Any,
    variable: tf.Variable,
    gradient: tf.Tensor,
    learning_rate: tf.Tensor,
    slots: Sequence[tf.Variable],
    powers: Sequence[tf.Tensor],
) -> None:
    """Updates a variable and its two moments as in Adam, with an optimizer's `beta1`, `beta2`,
    `epsilon` and `beta_powers`."""
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=slots[0].handle,
        v=slots[1].handle,
        beta1_power=powers[0],
        beta2_power=powers[1],
        lr=learning_rate,
        beta1=options.beta1,
        beta2=options.beta2,
        epsilon=options.epsilon,
        grad=gradient,
    )
