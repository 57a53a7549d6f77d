"""Batch norm's moving averages: plain, without bias (zero debias), and of batch renormalization."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.initializers import zeros_initializer
from slim.passes import current_pass
from slim.variables import model_variable, variable, variable_scope

_CLIPPING = ("rmin", "rmax", "dmax")


def follow(average: tf.Variable, value: tf.Tensor, decay: Any) -> Any:
    """Moves an average towards a value and returns the update."""
    with tf.name_scope("AssignMovingAvg") as name:
        rate = _rate(decay, average.dtype.base_dtype)
        return current_pass().assign_sub(average, (average - value) * rate, name)


def _rate(decay: Any, dtype: tf.DType) -> tf.Tensor:
    rate = 1.0 - decay
    if isinstance(rate, float):
        return tf.constant(rate, dtype, name="decay")
    return tf.cast(rate, dtype)


@dataclasses.dataclass(frozen=True)
class Averages:
    """The averages that inference uses.

    Attributes:
      mean: `moving_mean`.
      variance: `moving_variance`.
      decay: of both.
    """

    mean: tf.Variable
    variance: tf.Variable
    decay: Any

    def update(self, mean: tf.Tensor, variance: tf.Tensor) -> Sequence[Any]:
        """Moves the averages towards a batch's statistics; returns the two updates."""
        return [
            follow(self.mean, mean, self.decay),
            follow(self.variance, variance, self.decay),
        ]


@dataclasses.dataclass(frozen=True)
class DebiasedAverages(Averages):
    """Averages whose mean is that of the batches alone, without the initial zero.

    Attributes:
      biased: the average that starts at zero.
      local_step: number of updates, in the type of the mean.
    """

    biased: tf.Variable
    local_step: tf.Variable

    @classmethod
    def of(cls, averages: Averages, name: str, model: bool) -> "DebiasedAverages":
        """Returns debiased averages of the layer `name`.

        Its name comes twice in the names of the new variables, as in TF-Slim's checkpoints.

        Args:
          averages: those that are updated.
          name: of the layer.
          model: whether the new variables are the model's, as in TF-Slim without the fused kernel.
        """
        dtype = averages.mean.dtype.base_dtype
        with variable_scope(f"{name}/moving_mean"):
            biased, local_step = (
                (model_variable if model else variable)(
                    leaf, shape, dtype, zeros_initializer(), trainable=False,
                    synchronization=tf.VariableSynchronization.ON_READ,
                    aggregation=tf.VariableAggregation.MEAN,
                )
                for leaf, shape in (("biased", averages.mean.shape), ("local_step", []))
            )  # fmt: skip
        return cls(averages.mean, averages.variance, averages.decay, biased, local_step)

    def update(self, mean: tf.Tensor, variance: tf.Tensor) -> Sequence[Any]:
        """Moves the averages towards a batch's statistics; returns the two updates."""
        with tf.name_scope("AssignMovingAvg") as name:
            rate = _rate(self.decay, mean.dtype)
            # Updates are read as the new values.
            biased = self.biased.assign_sub((self.biased - mean) * rate)
            step = self.local_step.assign_add(1.0)
            fraction = 1.0 - tf.pow(1.0 - rate, step)
            update = self.mean.assign(biased / fraction, name=name)
        return [update, follow(self.variance, variance, self.decay)]


@dataclasses.dataclass(frozen=True)
class RenormAverages(Averages):
    """Averages of batch renormalization (Ioffe, https://arxiv.org/abs/1702.03275).

    Attributes:
      epsilon: of the layer.
      moving_stddev: its square is the variance of inference.
      renorm_mean: average of the mean that corrects training.
      renorm_stddev: average of the standard deviation that corrects training.
      renorm_decay: of these two.
      clipping: limits of the correction by "rmin", "rmax" and "dmax".
    """

    epsilon: float
    moving_stddev: tf.Variable
    renorm_mean: tf.Variable
    renorm_stddev: tf.Variable
    renorm_decay: Any
    clipping: Mapping[str, Any]

    def correction(self, mean: tf.Tensor, variance: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the factor and the offset of the normalized values."""
        stddev = tf.maximum(self.renorm_stddev, tf.sqrt(self.epsilon))
        factor = tf.sqrt(variance + self.epsilon) / stddev
        offset = (mean - self.renorm_mean) / stddev
        rmin, rmax, dmax = (self.clipping.get(name) for name in _CLIPPING)
        factor = factor if rmin is None else tf.maximum(factor, rmin)
        factor = factor if rmax is None else tf.minimum(factor, rmax)
        offset = offset if dmax is None else tf.clip_by_value(offset, -dmax, dmax)
        return tf.stop_gradient(factor), tf.stop_gradient(offset)

    def update(self, mean: tf.Tensor, variance: tf.Tensor) -> Sequence[Any]:
        """Moves all averages towards a batch's statistics; returns the inference's updates."""
        one_pass = current_pass()
        stddev = tf.sqrt(variance + self.epsilon)
        corrections = [
            follow(self.renorm_mean, mean, self.renorm_decay),
            follow(self.renorm_stddev, stddev, self.renorm_decay),
        ]
        # These run with those of the inference's averages.
        mean, stddev = one_pass.after_updates(corrections, [mean, stddev])
        mean_update = follow(self.mean, mean, self.decay)
        stddev = tf.convert_to_tensor(follow(self.moving_stddev, stddev, self.decay))
        value = tf.nn.relu(tf.square(stddev) - self.epsilon)
        return [mean_update, self.variance.assign(value, name="AssignNewValue")]


def check_clipping(clipping: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Returns the limits of a correction, a dict.

    Raises:
      ValueError: for another key than the three.
    """
    for name in clipping or {}:
        _checks.one_of("renorm_clipping key", name, _CLIPPING)
    return clipping or {}
