"""The training step of a plain graph, and the loop of a monitored session around it.

```python
train_op = slim.training.create_train_op(total_loss, tf.compat.v1.train.AdamOptimizer(0.001))
slim.training.train(train_op, logdir, hooks=[tf.compat.v1.train.StopAtStepHook(1000)])
```
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.graph import gradients
from slim.graph.gradients import clip_gradient_norms, clip_gradient_norms_fn, multiply_gradients
from slim.graph.own_optimizers import GraphOptimizer
from slim.optimizers import Optimizer

__all__ = [
    "add_gradients_summaries", "clip_gradient_norms", "clip_gradient_norms_fn", "create_train_op",
    "multiply_gradients", "train",
]  # fmt: skip

v1 = tf.compat.v1
USE_GLOBAL_STEP = 0
_log = v1.logging


def add_gradients_summaries(
    grads_and_vars: Iterable[tuple[gradients.Gradient, tf.Variable]],
) -> list[tf.Tensor]:
    """Adds `NAME_gradient`, a histogram, and `NAME_gradient_norm` to the graph's summaries.

    Args:
      grads_and_vars: pairs (gradient, variable).

    Returns:
      The summaries.
    """
    return gradients.add_gradients_summaries(grads_and_vars, separator="_")


def create_train_op(
    total_loss: tf.Tensor,
    optimizer: v1.train.Optimizer | Optimizer,
    global_step: tf.Variable | int | None = USE_GLOBAL_STEP,
    update_ops: Iterable[Any] | None = None,
    variables_to_train: Sequence[tf.Variable] | None = None,
    transform_grads_fn: Callable[[list[Any]], list[Any]] | None = None,
    summarize_gradients: bool = False,
    gate_gradients: int = v1.train.Optimizer.GATE_OP,
    aggregation_method: int | None = None,
    colocate_gradients_with_ops: bool = False,
    check_numerics: bool = True,
) -> tf.Tensor:
    """Creates the training step of a loss tensor in a plain `tf.Graph`.

    Args:
      total_loss: a scalar of the graph.
      optimizer: one of `tf.compat.v1.train`, or of `slim.optimizers`.
      global_step: the variable that counts the steps; TensorFlow 1's by default. None counts none.
      update_ops: operations that run before the loss is read; by default those of
        `tf.GraphKeys.UPDATE_OPS`, where batch norm's updates stand.
      variables_to_train: all trainable variables by default.
      transform_grads_fn: maps the list of (gradient, variable) to another one, such as
        `clip_gradient_norms_fn(4.0)`.
      summarize_gradients: whether to add summaries of the gradients.
      gate_gradients: see `tf.compat.v1.train.Optimizer.compute_gradients`.
      aggregation_method: see `tf.AggregationMethod`.
      colocate_gradients_with_ops: whether gradients are computed where their operations are.
      check_numerics: whether a NaN or infinite loss is an error of the step.

    Returns:
      A tensor that takes a step and returns the loss before it; also in `tf.GraphKeys.TRAIN_OP`.

    Raises:
      UserError: if the loss is not a tensor of a graph, the optimizer is something else, or there
        is nothing to train.
    """
    check_arguments(total_loss, optimizer)
    if isinstance(optimizer, Optimizer):
        optimizer = GraphOptimizer(optimizer)
    if global_step is USE_GLOBAL_STEP:
        global_step = v1.train.get_or_create_global_step()
    updates = _update_ops(update_ops)
    if updates:
        with tf.control_dependencies(updates):
            barrier = tf.no_op(name="update_barrier")
        total_loss = after([barrier], total_loss)
    pairs = optimizer.compute_gradients(
        total_loss,
        _trained(variables_to_train),
        gate_gradients=gate_gradients,
        aggregation_method=aggregation_method,
        colocate_gradients_with_ops=colocate_gradients_with_ops,
    )
    if transform_grads_fn:
        pairs = transform_grads_fn(pairs)
    if summarize_gradients:
        with v1.name_scope("summarize_grads"):
            add_gradients_summaries(pairs)
    applied = optimizer.apply_gradients(pairs, global_step=global_step)
    with v1.name_scope("train_op"):
        if check_numerics:
            total_loss = tf.debugging.check_numerics(total_loss, "total_loss is NaN or infinite")
        train_op = after([applied], total_loss)
    v1.add_to_collection(v1.GraphKeys.TRAIN_OP, train_op)
    return train_op


def check_arguments(total_loss: Any, optimizer: Any) -> None:
    """Raises UserError unless these are a tensor of a plain graph and an optimizer for it."""
    if not tf.is_tensor(total_loss) or not isinstance(
        getattr(total_loss, "op", None), tf.Operation
    ):
        raise _checks.UserError(
            f"total_loss is {_kind(total_loss)}, not a tensor of a tf.Graph. Without a graph, pass"
            " a function that returns it: slim.learning.create_train_op(loss_fn, optimizer)"
        )
    if not (hasattr(optimizer, "compute_gradients") or isinstance(optimizer, Optimizer)):
        name = type(optimizer).__name__
        known = name if hasattr(v1.train, f"{name}Optimizer") else "Momentum"
        raise _checks.UserError(
            f"optimizer is {_kind(optimizer)}, but a loss tensor of a tf.Graph needs one of"
            f" TensorFlow 1 or slim.optimizers: tf.compat.v1.train.{known}Optimizer(...)"
        )


def _kind(value: Any) -> str:
    kind = type(value)
    return repr(value) if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__name__}"


def _update_ops(update_ops: Iterable[Any] | None) -> list[Any]:
    """Returns the operations to run before the loss, each once."""
    collected = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
    chosen = list(dict.fromkeys(collected if update_ops is None else update_ops))
    missing = [op for op in collected if op not in chosen]
    if missing:
        _log.warning(
            "update_ops lacks %d operation(s) of tf.GraphKeys.UPDATE_OPS, such as %s",
            len(missing), missing[0].name,
        )  # fmt: skip
    return chosen


def _trained(variables: Sequence[tf.Variable] | None) -> list[tf.Variable]:
    trainable = v1.trainable_variables()
    chosen = trainable if variables is None else list(variables)
    for variable in chosen:
        if not (variable.trainable or any(variable is each for each in trainable)):
            raise _checks.UserError(
                f"variables_to_train: {variable.op.name!r} is not trainable. Trainable variables:"
                f" {_checks.listed((each.op.name for each in trainable), 10)}"
            )
    if not chosen:
        raise _checks.UserError(
            "no variables to train; the graph has: "
            + _checks.listed((each.op.name for each in v1.global_variables()), 10)
        )
    return chosen


def after(dependencies: Sequence[Any], value: tf.Tensor) -> tf.Tensor:
    """Returns `value`, to be read after the dependencies have run."""
    with value.graph.colocate_with(value.op), tf.control_dependencies(dependencies):
        return tf.identity(value, name="control_dependency")


def train(
    train_op: tf.Tensor,
    logdir: str | None,
    master: str = "",
    is_chief: bool = True,
    scaffold: v1.train.Scaffold | None = None,
    hooks: Sequence[v1.train.SessionRunHook] | None = None,
    chief_only_hooks: Sequence[v1.train.SessionRunHook] | None = None,
    save_checkpoint_secs: float | None = 600,
    save_summaries_steps: int | None = 100,
    config: v1.ConfigProto | None = None,
    max_wait_secs: float = 7200,
    run_metadata: v1.RunMetadata | None = None,
) -> Any:
    """Runs a training step in a monitored session until a hook stops it.

    Args:
      train_op: from `create_train_op`.
      logdir: directory of checkpoints and summaries; None writes neither, and needs both intervals
        to be None.
      master: address of a TensorFlow server; empty for this process.
      is_chief: whether this process initializes the variables and saves.
      scaffold: operations and functions that initialize the session.
      hooks: run with every step, such as `tf.compat.v1.train.StopAtStepHook(1000)`.
      chief_only_hooks: run with every step by the chief alone.
      save_checkpoint_secs: seconds between checkpoints. None disables.
      save_summaries_steps: steps between summaries. None disables.
      config: of the session.
      max_wait_secs: seconds a worker waits for the chief's session.
      run_metadata: filled by each step.

    Returns:
      What the last step returned: the loss. None if there was no step.

    Raises:
      UserError: without a directory, if something is to be written.
    """
    if logdir is None and is_chief:
        asked = {"save_summaries_steps": save_summaries_steps}
        asked["save_checkpoint_secs"] = save_checkpoint_secs
        for name, value in asked.items():
            if value:
                raise _checks.UserError(
                    f"logdir=None, but {name}={value} writes there. Pass a logdir or {name}=None"
                )
    loss = None
    with v1.train.MonitoredTrainingSession(
        master=master,
        is_chief=is_chief,
        checkpoint_dir=logdir,
        scaffold=scaffold,
        hooks=hooks,
        chief_only_hooks=chief_only_hooks,
        save_checkpoint_secs=save_checkpoint_secs,
        save_summaries_steps=save_summaries_steps,
        config=config,
        max_wait_secs=max_wait_secs,
    ) as session:
        step = functools.partial(session.run, train_op, run_metadata=run_metadata)
        while not session.should_stop():
            loss = step()
    return loss
