"""Clones of a model in a `tf.Graph`: one function builds each, and the gradients are summed.

It serves programs of TensorFlow 1, whose graph, collections and optimizers are in `tf.compat.v1`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

import slim
from deployment.config import DeploymentConfig
from slim import learning

v1 = tf.compat.v1
Gradients = list[tuple[Any, tf.Variable]]


class Clone(NamedTuple):
    """A copy of the model.

    Attributes:
      outputs: what the model's function returned.
      scope: its name scope, such as `clone_0/`, by which its losses, summaries and update ops can
        be selected from the graph's collections; empty for a single clone.
      device: its device.
    """

    outputs: Any
    scope: str
    device: str


class DeployedModel(NamedTuple):
    """A model of several clones.

    Attributes:
      train_op: the total loss after an update, or None without an optimizer.
      summary_op: all summaries of the first clone and the losses, or None.
      total_loss: the mean of the clones' losses plus regularization, or None without a loss.
      clones: the clones.
    """

    train_op: tf.Tensor | None
    summary_op: tf.Tensor | None
    total_loss: tf.Tensor | None
    clones: list[Clone]


def create_clones(
    config: DeploymentConfig,
    model_fn: Callable[..., Any],
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> list[Clone]:
    """Calls a function once per clone, on the clone's device and in its name scope.

    The first clone creates the variables, the others share them.

    Args:
      config: number of clones and their devices.
      model_fn: builds the model; its losses belong in `tf.GraphKeys.LOSSES`.
      args: positional arguments of `model_fn`.
      kwargs: keyword arguments of `model_fn`.
    """
    clones = []
    variables = [slim.model_variable, slim.variable]
    with slim.arg_scope(variables, device=config.variables_device()):
        for index in range(config.num_clones):
            device = config.clone_device(index)
            with v1.name_scope(config.clone_scope(index)) as scope, v1.device(device):
                with v1.variable_scope(v1.get_variable_scope(), reuse=True if index else None):
                    outputs = model_fn(*(args or ()), **(kwargs or {}))
            clones.append(Clone(outputs, scope, device))
    return clones


def optimize_clones(
    clones: Sequence[Clone],
    optimizer: v1.train.Optimizer,
    regularization_losses: Sequence[tf.Tensor] | None = None,
    **kwargs: Any,
) -> tuple[tf.Tensor, Gradients]:
    """Computes each clone's loss and gradients on its device, and adds them.

    Args:
      clones: of `create_clones`.
      optimizer: its `compute_gradients` is called for each clone.
      regularization_losses: added to the first clone's loss, once; by default those of the graph.
      **kwargs: arguments of `compute_gradients`.

    Returns:
      The total loss, and pairs (gradient, variable) of the variables that have one.
    """
    losses, gradients = [], []
    for clone, loss in _losses_of_clones(clones, regularization_losses):
        with v1.device(clone.device):
            losses.append(loss)
            gradients.append(optimizer.compute_gradients(loss, **kwargs))
    return tf.add_n(losses, name="total_loss"), _summed(gradients)


def deploy(
    config: DeploymentConfig,
    model_fn: Callable[..., Any],
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    optimizer: v1.train.Optimizer | None = None,
    summarize_gradients: bool = False,
) -> DeployedModel:
    """Builds a model on several devices, and its update if there is an optimizer.

    Args:
      config: the clones and the devices.
      model_fn: builds the model, see `create_clones`.
      args: positional arguments of `model_fn`.
      kwargs: keyword arguments of `model_fn`.
      optimizer: trains the model; the update includes the first clone's update ops.
      summarize_gradients: whether to add summaries of the gradients.
    """
    summaries = set(v1.get_collection(v1.GraphKeys.SUMMARIES))
    clones = create_clones(config, model_fn, args, kwargs)
    first = clones[0].scope
    updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS, first)
    train_op = total_loss = None
    with v1.device(config.optimizer_device()):
        if optimizer is None:
            losses = [loss for _, loss in _losses_of_clones(clones)]
            if losses:
                total_loss = tf.add_n(losses, name="total_loss")
        else:
            with v1.device(config.variables_device()):
                step = slim.get_or_create_global_step()
            total_loss, gradients = optimize_clones(clones, optimizer)
            if gradients:
                if summarize_gradients:
                    summaries.update(learning.add_gradients_summaries(gradients))
                updates.append(optimizer.apply_gradients(gradients, global_step=step))
                with tf.control_dependencies([tf.group(*updates)]):
                    train_op = tf.identity(total_loss, name="train_op")
        summaries.update(v1.get_collection(v1.GraphKeys.SUMMARIES, first))
        if total_loss is not None:
            summaries.add(v1.summary.scalar("total_loss", total_loss))
        # Sorted, so that the same program writes the same graph.
        ordered = sorted(summaries, key=lambda summary: summary.name)
        summary_op = v1.summary.merge(ordered, name="summary_op") if ordered else None
    return DeployedModel(train_op, summary_op, total_loss, clones)


def _losses_of_clones(
    clones: Sequence[Clone], regularization: Sequence[tf.Tensor] | None = None
) -> Iterator[tuple[Clone, tf.Tensor]]:
    """Yields each clone that has a loss, with its part of the total, in the clone's name scope."""
    if regularization is None:
        regularization = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    for clone in clones:
        with v1.name_scope(clone.scope):
            loss = _loss(clone, len(clones), regularization)
            if loss is not None:
                yield clone, loss
        regularization = ()  # counted once


def _loss(clone: Clone, num_clones: int, regularization: Sequence[tf.Tensor]) -> tf.Tensor | None:
    """Returns a clone's losses over the number of clones plus regularization, or None."""
    own = v1.get_collection(v1.GraphKeys.LOSSES, clone.scope)
    parts: dict[str, tf.Tensor] = {}
    with v1.device(clone.device):
        if own:
            loss = tf.add_n(own, name="clone_loss")
            if num_clones > 1:
                loss = tf.divide(loss, float(num_clones), name="scaled_clone_loss")
            parts["/".join(filter(None, ["Losses", clone.scope, "clone_loss"]))] = loss
        if regularization:
            penalty = tf.add_n(regularization, name="regularization_loss")
            parts["Losses/regularization_loss"] = penalty
        total = tf.add_n(list(parts.values())) if parts else None
    for name, part in parts.items():  # summaries run on the CPU
        v1.summary.scalar(name, part)
    return total


def _summed(gradients_of_clones: Sequence[Gradients]) -> Gradients:
    """Returns the sum of the clones' gradients of each variable that has one."""
    sums = []
    for pairs in zip(*gradients_of_clones, strict=True):
        variable = pairs[0][1]
        parts = [gradient for gradient, _ in pairs if gradient is not None]
        if len(parts) > 1:
            sums.append((tf.add_n(parts, name=f"{variable.op.name}/sum_grads"), variable))
        elif parts:
            sums.append((parts[0], variable))
    return sums
