"""AdamW, Lamb, Lion, Muon and Adafactor, equal to Keras 3's optimizers of these names.

Slots are named after their content (`LeNet/conv1/weights/AdamW_velocity`). Weight decay is
decoupled: it shrinks the weights themselves, by `learning_rate * weight_decay`, except for
variables with fewer than two dimensions (biases, batch norm's parameters).
"""

import dataclasses
import math
from typing import ClassVar

import tensorflow as tf

from slim.optimizers.base import Optimizer, Scalar, Slot
from slim.optimizers.original import apply_adam, beta_powers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoupled(Optimizer):
    """An optimizer with decoupled weight decay; subclasses define `move`."""

    weight_decay: float = 0.0
    slot_ends: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def slots(self, name, shape):
        return tuple(Slot(f"{name}/{self.slot_name}_{end}", shape, 0.0) for end in self.slot_ends)

    def update(self, variable, gradient, learning_rate, slots, scalars):
        if self.weight_decay and variable.shape.rank >= 2:
            variable.assign_sub(variable * self.weight_decay * learning_rate)
        self.move(variable, gradient, learning_rate, slots, scalars)

    def move(self, variable, gradient, learning_rate, slots, scalars):
        """Updates a variable after weight decay; arguments as in `update`."""
        raise NotImplementedError(f"{type(self).__name__} must define move()")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW(Decoupled):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7
    weight_decay: float = 0.004
    slot_name: ClassVar[str] = "AdamW"

    def scalars(self):
        return beta_powers(self.beta1, self.beta2)

    def move(self, variable, gradient, learning_rate, slots, scalars):
        apply_adam(self, variable, gradient, learning_rate, slots, scalars)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lamb(Decoupled):
    """Adam whose steps are scaled to the norm of each variable, for large batches (You et al.,
    https://arxiv.org/abs/1904.00962)."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7
    slot_name: ClassVar[str] = "Lamb"

    def scalars(self):
        return beta_powers(self.beta1, self.beta2)

    def move(self, variable, gradient, learning_rate, slots, scalars):
        momentum, velocity = slots
        first = momentum.assign_add((gradient - momentum) * (1.0 - self.beta1), read_value=True)
        second = velocity.assign_add(
            (tf.square(gradient) - velocity) * (1.0 - self.beta2), read_value=True
        )
        mean = first / (1.0 - scalars[0])
        step = mean / (tf.sqrt(second / (1.0 - scalars[1])) + self.epsilon)
        size, length = tf.norm(variable), tf.norm(step)
        both = (size > 0) & (length > 0)
        ratio = tf.where(both, size / tf.where(both, length, 1.0), 1.0)
        variable.assign_sub(ratio * learning_rate * step)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lion(Decoupled):
    """Steps of constant size, along the sign of a mean of the gradients (Chen et al.,
    https://arxiv.org/abs/2302.06675). Needs about a tenth of Adam's learning rate."""

    beta1: float = 0.9
    beta2: float = 0.99
    slot_name: ClassVar[str] = "Lion"
    slot_ends: ClassVar[tuple[str, ...]] = ("momentum",)

    def move(self, variable, gradient, learning_rate, slots, scalars):
        (momentum,) = slots
        before = momentum.read_value()
        mean = before * self.beta1 + gradient * (1.0 - self.beta1)
        variable.assign_sub(learning_rate * tf.sign(mean))
        momentum.assign(before * self.beta2 + gradient * (1.0 - self.beta2))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Muon(AdamW):
    """Momentum with orthogonalized steps (Jordan, https://kellerjordan.github.io/posts/muon,
    scaled as in https://arxiv.org/abs/2502.16982), so that AdamW's learning rates fit.

    Steps of matrices are orthogonalized, and of convolution kernels reshaped to matrices
    [height * width * inputs, outputs]. AdamW updates other variables, depthwise kernels and
    variables in `exclude_scopes` (such as the last layer). (In Keras, Adam updates all convolution
    kernels.)

    Attributes:
      momentum: decay of the running sum of gradients.
      exclude_scopes: scopes of variables that AdamW updates instead.
    """

    momentum: float = 0.95
    exclude_scopes: tuple[str, ...] = ()
    slot_name: ClassVar[str] = "Muon"
    # Coefficients of the iteration and size of a step, as in the publications.
    _coefficients: ClassVar[tuple[float, float, float]] = (3.4445, -4.7750, 2.0315)
    _iterations: ClassVar[int] = 5
    _rms: ClassVar[float] = 0.2

    def slots(self, name, shape):
        both = super().slots(name, shape)
        excluded = any(f"{name}/".startswith(f"{scope}/") for scope in self.exclude_scopes)
        is_matrix = len(shape) == 2 or (len(shape) == 4 and "depthwise" not in name)
        return both[:1] if is_matrix and not excluded else both

    def move(self, variable, gradient, learning_rate, slots, scalars):
        if len(slots) == 2:
            super().move(variable, gradient, learning_rate, slots, scalars)
            return
        (past,) = slots
        sum_of_steps = past.assign(past * self.momentum + gradient, read_value=True)
        ahead = tf.reshape(gradient + self.momentum * sum_of_steps, [-1, variable.shape[-1]])
        step = self._orthogonal(ahead) * (self._rms * math.sqrt(max(ahead.shape)))
        variable.assign_sub(learning_rate * tf.reshape(step, variable.shape))

    def _orthogonal(self, matrix: tf.Tensor) -> tf.Tensor:
        """Returns approximately the orthogonal matrix nearest to `matrix` (Newton-Schulz)."""
        a, b, c = self._coefficients
        is_tall = matrix.shape[0] > matrix.shape[1]
        x = tf.transpose(matrix) if is_tall else matrix
        x /= tf.norm(x) + 1e-7
        for _ in range(self._iterations):
            square = tf.matmul(x, x, transpose_b=True)
            x = a * x + tf.matmul(b * square + c * tf.matmul(square, square), x)
        return tf.transpose(x) if is_tall else x


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adafactor(Decoupled):
    """Adam with a fraction of its memory: means of squares by row and by column only (Shazeer
    and Stern, https://arxiv.org/abs/1804.04235). The learning rate is relative to the size of
    the weights.

    Attributes:
      beta2_decay: exponent of the step in the decay rate of the means.
      clip_threshold: largest root mean square of a step, before the learning rate.
    """

    beta2_decay: float = -0.8
    clip_threshold: float = 1.0
    slot_name: ClassVar[str] = "Adafactor"
    _smallest_square: ClassVar[float] = 1e-30
    _smallest_size: ClassVar[float] = 1e-3

    def slots(self, name, shape):
        if len(shape) < 2:
            return (Slot(f"{name}/Adafactor_velocity", shape, 0.0),)
        return (
            Slot(f"{name}/Adafactor_rows", shape[:-1], 0.0),
            Slot(f"{name}/Adafactor_columns", (*shape[:-2], shape[-1]), 0.0),
        )

    def scalars(self):
        return {"Adafactor_step": Scalar(1.0, addend=1.0)}

    def move(self, variable, gradient, learning_rate, slots, scalars):
        (number,) = scalars
        rate = tf.minimum(learning_rate, tf.math.rsqrt(number))
        kept = 1.0 - tf.pow(number, self.beta2_decay)
        square = tf.square(gradient) + self._smallest_square

        def follow(mean: tf.Variable, value: tf.Tensor) -> tf.Tensor:
            return mean.assign(kept * mean + (1.0 - kept) * value, read_value=True)

        if variable.shape.rank < 2:
            velocity = follow(slots[0], square)
        else:
            rows = follow(slots[0], tf.reduce_mean(square, -1))
            columns = follow(slots[1], tf.reduce_mean(square, -2))
            relative_rows = rows / tf.reduce_mean(rows, -1, keepdims=True)
            velocity = relative_rows[..., tf.newaxis] * columns[..., tf.newaxis, :]
        step = gradient / tf.sqrt(velocity)
        step /= tf.maximum(1.0, _rms(step) / self.clip_threshold)
        variable.assign_sub(tf.maximum(self._smallest_size, _rms(variable)) * rate * step)


def _rms(values: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_mean(tf.square(values)))
