"""`optimize_loss`: the training op of `tf.contrib.layers`, in a plain graph.

`tf.compat.v1` is used for its optimizers and for the variables and summaries of a graph.
"""

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.graph.clipping import Pairs, adaptive_clipping_fn, check_graph, scaled

__all__ = ["OPTIMIZER_CLS_NAMES", "OPTIMIZER_SUMMARIES", "adaptive_clipping_fn", "optimize_loss"]

v1 = tf.compat.v1

OPTIMIZER_CLS_NAMES = {
    "Adagrad": v1.train.AdagradOptimizer,
    "Adam": v1.train.AdamOptimizer,
    "Ftrl": v1.train.FtrlOptimizer,
    "Momentum": lambda learning_rate: v1.train.MomentumOptimizer(learning_rate, momentum=0.9),
    "RMSProp": v1.train.RMSPropOptimizer,
    "SGD": v1.train.GradientDescentOptimizer,
}
OPTIMIZER_SUMMARIES = [
    "learning_rate",
    "loss",
    "gradients",
    "gradient_norm",
    "global_gradient_norm",
]

_DEFAULT_SUMMARIES = ("loss", "learning_rate", "global_gradient_norm")


def optimize_loss(
    loss: tf.Tensor,
    global_step: tf.Variable | None,
    learning_rate: float | tf.Tensor | None,
    optimizer: Any,
    gradient_noise_scale: float | None = None,
    gradient_multipliers: Mapping[Any, float] | None = None,
    clip_gradients: float | Callable[[Pairs], Pairs] | None = None,
    learning_rate_decay_fn: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    update_ops: Sequence[tf.Operation] | None = None,
    variables: Sequence[tf.Variable] | None = None,
    name: str | None = None,
    summaries: Sequence[str] | None = None,
    colocate_gradients_with_ops: bool = False,
    increment_global_step: bool = True,
) -> tf.Tensor:
    """Returns an op of a plain graph that updates variables and returns the loss.

    Eager training uses `slim.learning.create_train_op`.

    Args:
      loss: a scalar tensor.
      global_step: step counter; None uses the graph's, if it has one.
      learning_rate: a number or a scalar tensor. With None, the optimizer has its own.
      optimizer: a name of `OPTIMIZER_CLS_NAMES`; a `tf.compat.v1.train.Optimizer`; its class or a
        function that returns one, called with the learning rate unless that is None.
      gradient_noise_scale: standard deviation of truncated normal noise to add to the gradients.
      gradient_multipliers: variable or its name ("conv1/weights:0") -> factor of its gradient.
      clip_gradients: limit for the gradients' global norm, or a function of (gradient, variable)
        pairs that returns such pairs, for example `adaptive_clipping_fn()`.
      learning_rate_decay_fn: function of the learning rate and the global step that returns the
        rate to use.
      update_ops: operations to run before the update; None uses the collection `UPDATE_OPS`.
      variables: the variables to train; None trains all trainable variables.
      name: scope of the ops; "OptimizeLoss" by default.
      summaries: names of `OPTIMIZER_SUMMARIES`; None adds the loss, the learning rate (with
        `learning_rate_decay_fn`) and the global norm of the gradients.
      colocate_gradients_with_ops: whether to place gradients on the devices of their ops.
      increment_global_step: whether each update increments the global step.

    Returns:
      The loss, a scalar tensor; computing it runs the update.

    Raises:
      UserError: outside a graph, or for an unknown name, learning rate, optimizer or clipping.
      ValueError: if the loss is not a scalar.
      TypeError: if the global step is not an integer.
    """
    check_graph("optimize_loss")
    loss = tf.convert_to_tensor(loss)
    tf.debugging.assert_scalar(loss)
    if global_step is None:
        global_step = v1.train.get_global_step()
    else:
        v1.train.assert_global_step(global_step)
    summaries = _DEFAULT_SUMMARIES if summaries is None else summaries
    for summary in summaries:
        _checks.one_of("summary", summary, OPTIMIZER_SUMMARIES)
    with v1.variable_scope(name, "OptimizeLoss", [loss, global_step]):
        if update_ops is None:
            update_ops = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        loss = _after(update_ops, loss)
        rate = _learning_rate(learning_rate)
        if rate is not None and learning_rate_decay_fn is not None:
            rate = _decayed(rate, learning_rate_decay_fn, global_step)
            if "learning_rate" in summaries:
                v1.summary.scalar("learning_rate", rate)
        rule = _optimizer(optimizer, rate)
        pairs = rule.compute_gradients(
            loss,
            v1.trainable_variables() if variables is None else variables,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
        )
        pairs = _noisy(pairs, gradient_noise_scale)
        pairs = _multiplied(pairs, gradient_multipliers or {})
        _add_norm(pairs, summaries, "gradient_norm")
        pairs = _clipped(pairs, clip_gradients)
        _add_summaries(pairs, loss, summaries)
        if clip_gradients is not None:
            _add_norm(pairs, summaries, "clipped_gradient_norm")
        counter = global_step if increment_global_step else None
        return _after([rule.apply_gradients(pairs, global_step=counter, name="train")], loss)


def _after(operations: Sequence[tf.Operation], tensor: tf.Tensor) -> tf.Tensor:
    """Returns `tensor`, computed after the operations have run."""
    if not operations:
        return tensor
    with tf.control_dependencies(operations):
        return tf.identity(tensor, name="control_dependency")


def _learning_rate(value: Any) -> tf.Tensor | tf.Variable | None:
    """Returns a tensor as it is, and a number as the variable `learning_rate`."""
    if value is None or (isinstance(value, tf.Tensor | tf.Variable) and value.shape.rank == 0):
        return value
    if not isinstance(value, numbers.Real):
        raise _checks.UserError(f"learning_rate={value!r} must be a number or a scalar tensor")
    _checks.non_negative(learning_rate=value)
    initializer = v1.constant_initializer(value)
    return v1.get_variable("learning_rate", [], trainable=False, initializer=initializer)


def _decayed(rate: tf.Tensor, decay: Callable[..., tf.Tensor], step: Any) -> tf.Tensor:
    if step is None:
        raise _checks.UserError(
            "global_step is required for learning_rate_decay_fn; first call"
            " slim.create_global_step()"
        )
    return decay(rate, step)


def _optimizer(optimizer: Any, rate: tf.Tensor | None) -> v1.train.Optimizer:
    """Returns a v1 optimizer from its name, its class, a function or itself."""
    if isinstance(optimizer, v1.train.Optimizer):
        return optimizer
    create = optimizer
    if isinstance(optimizer, str):
        create = OPTIMIZER_CLS_NAMES[_checks.one_of("optimizer", optimizer, OPTIMIZER_CLS_NAMES)]
    is_class = isinstance(optimizer, type)
    is_allowed = issubclass(optimizer, v1.train.Optimizer) if is_class else callable(create)
    if rate is None and is_allowed and (is_class or isinstance(optimizer, str)):
        raise _checks.UserError(
            f"optimizer={optimizer!r} needs a learning rate, but learning_rate is None"
        )
    result = None
    if is_allowed:
        result = create() if rate is None else create(rate)
    if not isinstance(result, v1.train.Optimizer):
        raise _checks.UserError(
            f"optimizer={optimizer!r} is not an optimizer of a graph. Allowed:"
            f" {_checks.listed(OPTIMIZER_CLS_NAMES)}; a tf.compat.v1.train.Optimizer, such as"
            " tf.compat.v1.train.MomentumOptimizer(0.01, 0.9); its class or a function that returns"
            " one. slim's and Keras' optimizers train eagerly:"
            " slim.learning.create_train_op(loss_fn, optimizer)"
        )
    return result


def _noisy(pairs: Pairs, scale: float | None) -> Pairs:
    """Adds truncated normal noise to the gradients."""

    def noisy(gradient: Any) -> tf.Tensor:
        is_sparse = isinstance(gradient, tf.IndexedSlices)
        shape = gradient.dense_shape if is_sparse else gradient.shape
        noise = tf.random.truncated_normal(shape, dtype=gradient.dtype) * scale
        return gradient + noise

    if scale is None:
        return pairs
    return [(g if g is None else noisy(g), variable) for g, variable in pairs]


def _multiplied(pairs: Pairs, multipliers: Mapping[Any, float]) -> Pairs:
    """Multiplies the gradients of the variables named by a multiplier."""
    by_name = {getattr(key, "name", key): factor for key, factor in multipliers.items()}
    return [
        (
            scaled(gradient, by_name[variable.name]) if variable.name in by_name else gradient,
            variable,
        )
        for gradient, variable in pairs
    ]


def _clipped(pairs: Pairs, limit: Any) -> Pairs:
    if limit is None:
        return pairs
    if callable(limit):
        return limit(pairs)
    if not isinstance(limit, numbers.Real):
        raise _checks.UserError(
            f"clip_gradients={limit!r} must be a number or a function of (gradient, variable) pairs"
        )
    gradients, variables = zip(*pairs, strict=True)
    gradients, _ = tf.clip_by_global_norm(gradients, limit)
    return list(zip(gradients, variables, strict=True))


def _add_norm(pairs: Pairs, summaries: Sequence[str], name: str) -> None:
    if "global_gradient_norm" in summaries or "gradient_norm" in summaries:
        norm = tf.linalg.global_norm([gradient for gradient, _ in pairs])
        v1.summary.scalar(f"global_norm/{name}", norm)


def _add_summaries(pairs: Pairs, loss: tf.Tensor, summaries: Sequence[str]) -> None:
    """Adds the summaries of the loss and of each gradient."""
    if "loss" in summaries:
        v1.summary.scalar("loss", loss)
    for gradient, variable in pairs:
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        name = variable.name.replace(":", "_")
        if values is not None and "gradients" in summaries:
            v1.summary.histogram(f"gradients/{name}", values)
        if values is not None and "gradient_norm" in summaries:
            v1.summary.scalar(f"gradient_norm/{name}", tf.linalg.global_norm([values]))
