"""Adaptive clipping of gradients, and scaling of dense and sparse gradients, in a plain graph.

`tf.compat.v1` is used for the variables and summaries of a graph.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from slim import _checks
from slim.graph import in_graph

v1 = tf.compat.v1

Gradient = tf.Tensor | tf.IndexedSlices | None
Pairs = Sequence[tuple[Gradient, tf.Variable]]


def adaptive_clipping_fn(
    std_factor: float | tf.Tensor = 2.0,
    decay: float = 0.95,
    static_max_norm: float | None = None,
    global_step: tf.Tensor | None = None,
    report_summary: bool = False,
    epsilon: float = 1e-8,
    name: str | None = None,
) -> Callable[[Pairs], Pairs]:
    """Returns a function that clips gradients whose global norm is unusually large.

    Averages of the norm's logarithm and of its square give their mean and standard deviation. A
    norm above exp(mean + std_factor * deviation) is scaled to exp(mean) (Chorowski et al., "End-to-
    end Continuous Speech Recognition using Attention-based Recurrent NN", section 3.2.1,
    https://arxiv.org/abs/1412.1602).

    Args:
      std_factor: number of standard deviations above the mean.
      decay: of the averages, which are untrained variables.
      static_max_norm: upper limit for the norm; None for no limit.
      global_step: if set, the decay is at most step / (step + 1), so that the averages adapt faster
        at the beginning.
      report_summary: whether to add the limit as `global_norm/adaptive_max_gradient_norm`.
      epsilon: added to the norm before the logarithm; also the least variance.
      name: scope of the variables; "AdaptiveMaxNorm" by default.

    Returns:
      A function of (gradient, variable) pairs that returns such pairs.

    Raises:
      UserError: when that function is called outside a graph.
    """

    def clip(grads_and_vars: Pairs) -> Pairs:
        check_graph("adaptive_clipping_fn")
        norm = tf.linalg.global_norm([gradient for gradient, _ in grads_and_vars])
        with v1.variable_scope(name, "AdaptiveMaxNorm", [norm]):
            log_norm = tf.math.log(norm + epsilon)
            rate = decay
            if global_step is not None:
                step = tf.cast(global_step, tf.float32)
                rate = tf.minimum(decay, step / (step + 1.0))
            mean = _average("mean", log_norm, rate)
            variance = _average("sq_mean", tf.square(log_norm), rate) - tf.square(mean)
            deviation = tf.sqrt(tf.maximum(epsilon, variance))
            max_norm = tf.exp(mean + std_factor * deviation)
        if report_summary:
            v1.summary.scalar("global_norm/adaptive_max_gradient_norm", max_norm)
        factor = tf.where(norm < max_norm, tf.ones_like(norm), tf.exp(mean) / norm)
        if static_max_norm is not None:
            factor = tf.minimum(static_max_norm / norm, factor)
        return [(scaled(gradient, factor), variable) for gradient, variable in grads_and_vars]

    return clip


def scaled(gradient: Gradient, factor: float | tf.Tensor) -> Gradient:
    """Returns a dense, sparse or absent gradient times a factor."""
    if gradient is None:
        return None
    factor = tf.cast(factor, gradient.dtype)
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values * factor, gradient.indices, gradient.dense_shape)
    return gradient * factor


def check_graph(function: str) -> None:
    """Raises UserError outside a plain graph."""
    if not in_graph():
        raise _checks.UserError(
            f"slim.{function} adds ops to a tf.Graph, but this code runs eagerly. Write:"
            " slim.learning.create_train_op(loss_fn, slim.optimizers.Momentum(0.01, 0.9),"
            " clip_gradient_norm=4.0)"
        )


def _average(name: str, value: tf.Tensor, decay: float | tf.Tensor) -> tf.Tensor:
    """Returns a moving average that starts at 0, after its update by `value`."""
    average = v1.get_variable(
        name, value.shape, value.dtype, initializer=v1.zeros_initializer(), trainable=False
    )
    with tf.name_scope("AssignMovingAvg"):
        rate = 1.0 - decay
        return v1.assign_sub(average, (average - value) * rate)
