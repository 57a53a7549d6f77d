"""Training: `create_train_op` creates a step from a loss, `train` runs it to the end.

The loss is a function, or in a plain `tf.Graph`, as TensorFlow 1 code has it, a tensor. Without a
graph, the loop resumes, saves, and stops on signals and non-finite losses; hooks do the rest. In a
graph, optimizers, savers and sessions are those of `tf.compat.v1`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from slim import _checks, train_loop, train_op
from slim._modes import serves_both
from slim.graph import gradients as graph_gradients
from slim.graph import in_graph
from slim.graph import learning as graph_learning
from slim.graph.gradients import add_gradients_summaries
from slim.graph.learning import train_step
from slim.hooks import Hook, Run
from slim.nan_restores import NanRestores
from slim.reduction import AllReduce
from slim.signals import EXIT_CODE, Preempted
from slim.train_loop import NonFiniteError
from slim.train_op import TrainOp

__all__ = [
    "EXIT_CODE", "AllReduce", "Hook", "NanRestores", "NonFiniteError", "Preempted", "Run",
    "TrainOp", "add_gradients_summaries", "clip_gradient_norms", "create_train_op",
    "multiply_gradients", "train", "train_step",
]  # fmt: skip


@serves_both(graph=graph_learning.create_train_op, eager=train_op.create_train_op)
def create_train_op(total_loss: Any = None, *args: Any, **kwargs: Any) -> bool:
    """Creates a training step from a loss function, or from a loss tensor of a plain `tf.Graph`.

    ```python
    def loss_fn(images, labels):
        logits, _ = network(images)
        slim.losses.softmax_cross_entropy(logits, labels)
        return slim.losses.get_total_loss()

    train_op = slim.learning.create_train_op(loss_fn, slim.optimizers.Momentum(learning_rate=0.01))
    slim.learning.train(train_op, logdir, batches, number_of_steps=1000)
    ```

    Variables that the loss function uses and that are not in the store, such as those of a Keras
    layer, are added to it under their own names: they are trained and saved too.

    Args:
      total_loss: a function from the parts of a batch to a scalar, or to (scalar, {name: scalar to
        log}); or the scalar tensor of a graph.
      optimizer: one of `slim.optimizers` or `tf.compat.v1.train`, or for a loss function a Keras
        optimizer. A loss function on several replicas needs one of `slim.optimizers`.
      global_step: for a loss tensor: the variable that counts steps, TensorFlow 1's by default;
        None counts none.
      update_ops: for a loss tensor: operations that run before the loss is read, by default those
        of `tf.GraphKeys.UPDATE_OPS`.
      variables_to_train: variables or their names, or a function that selects from the names of
        the trainable variables; all of them by default. For a loss tensor, variables.
      clip_gradient_norm: maximum norm of each gradient; 0 disables.
      summarize_gradients: for a loss tensor: add summaries of the gradients.
      gate_gradients: for a loss tensor, see `tf.compat.v1.train.Optimizer.compute_gradients`.
      aggregation_method: for a loss tensor, see `tf.AggregationMethod`.
      colocate_gradients_with_ops: for a loss tensor: compute gradients where their operations are.
      gradient_multipliers: factors by variable name; for a loss tensor also by variable.
      check_numerics: for a loss tensor: make a NaN or infinite loss an error of the step.
      store: holds the variables; the current one by default.
      strategy: a `tf.distribute` strategy; the current one by default. Losses and gradients are
        averaged over its replicas.
      moving_average_decay: keep moving averages of the weights with this decay.
      loss_scale: for losses computed in float16; a step whose gradients overflow updates nothing.
      seed: of dropout, combined with the step.
      learning_rate_multipliers: factors of the learning rate by variable name, or a function that
        returns them for the names of the variables to train.
      accumulate_steps: number of equal parts in which each replica computes its batch, one after
        the other, before one update by the mean of their gradients. Batch norm uses the statistics
        of each part, and each part updates its averages.
      jit_compile: compile the network's forward and backward pass with XLA.
      recompute_gradients: trade time for memory by recomputing the activations inside the
        network's segments for the gradients, see `slim.recompute`.
      all_reduce: how replicas average their gradients, an `AllReduce`; by default in float32 and a
        single pack.
      keep_batch: keep the last batch for `TrainOp.kept_batch`, at the cost of its memory; not with
        parameter servers.
      trace_once: the loss function uses no variables but those of slim's layers. `train` then
        creates them while it traces the first step, instead of in a trace before; with a single
        replica, one part of a batch, and none of `jit_compile`, `recompute_gradients` and
        `loss_scale`.

    Returns:
      A `TrainOp`; for a loss tensor, a tensor that takes a step and returns the loss before it.

    Raises:
      UserError: if the loss or the optimizer is something else, an argument does not apply, or a
        number is out of range.
    """
    if callable(total_loss) and not tf.is_tensor(total_loss):
        if in_graph():
            raise _checks.UserError(
                f"total_loss is a function ({_name(total_loss)}), but in a tf.Graph it must be a"
                " tensor. Pass its result: slim.learning.create_train_op(loss, optimizer)"
            )
        return True
    return False  # which refuses what is not a tensor of a graph


@serves_both(graph=graph_learning.train, eager=train_loop.train)
def train(train_op: Any = None, *args: Any, **kwargs: Any) -> bool:
    """Trains until `number_of_steps`, or until the data ends.

    The same call on the same directory resumes: variables, slots, averages and the step are
    restored from the newest readable checkpoint, and the data continues at the next batch.

    Under a strategy of several processes each makes this call, with its own part of the batches.
    Only the first one reads and writes the directory and runs hooks.

    Under a `tf.distribute.ParameterServerStrategy`, whose coordinator is this process, each step is
    one batch of one worker, asynchronously, and the steps of a loop run at the same time. `batches`
    must then be a function, which is called once, in the graph of the workers' input pipelines.

    In a plain `tf.Graph`, a `tf.compat.v1.train.Supervisor` runs the steps in a session.

    Args:
      train_op: from `create_train_op`.
      logdir: directory of the run; checkpoints are `model.ckpt-STEP`. None saves nothing.
      batches: the third argument, not in a graph: a dataset of the loss function's arguments
        (tuples, or dicts by name), with batches for all replicas together; or a function from the
        first step to such a dataset, so that resuming need not read the batches before it.
      number_of_steps: counted from the beginning of the run, not of this call.
      steps_per_loop: steps per host round trip.
      init_fn: called for a new run after the variables are initialized, such as the result of
        `slim.assign_from_checkpoint_fn`; in a graph with the session.
      log_every_n_steps: steps between two log lines with the loss; 0 disables.
      save_summaries_secs: seconds between summaries; 0 disables.
      save_interval_secs: seconds between checkpoints; 0 saves only at the end.
      save_interval_steps: steps between checkpoints; 0 disables.
      max_to_keep: number of newest checkpoints to keep.
      keep_checkpoint_every_n_hours: in addition, keep one checkpoint per this many hours.
      max_nan_restores: maximum number of rollbacks to the last checkpoint, over all resumptions,
        after a non-finite loss or gradient. Training then continues after the batch that failed and
        skips those since the checkpoint; `batches` should then be a function, since a dataset may
        be shuffled differently when it is read again.
      hooks: see `Hook`.
      clock: a monotonic clock in seconds.
      train_step_fn: in a graph, as all that follow: takes a step, see `train_step`.
      train_step_kwargs: its last argument.
      graph: the default graph by default.
      master: address of a TensorFlow server; empty for this process.
      is_chief: whether this process initializes the variables and saves.
      global_step: number of completed steps; TensorFlow 1's variable by default.
      init_op: initializes a new run; all global variables by default.
      init_feed_dict: values of placeholders that `init_op` needs.
      local_init_op: initializes each session; local variables and tables by default.
      ready_op: names of variables without a value.
      summary_op: the summaries; all of the graph by default, None for none.
      summary_writer: a `tf.compat.v1.summary.FileWriter`; None writes no summaries.
      startup_delay_steps: steps to wait for before other workers than the chief begin.
      saver: of the checkpoints; all variables by default.
      sync_optimizer: one or a list of `tf.compat.v1.train.SyncReplicasOptimizer`.
      session_config: of the session; by default, operations without a kernel on their device, or
        whose device does not exist, are placed on another one.
      session_wrapper: returns the session to use, such as a debugger's.
      trace_every_n_steps: steps between two timelines `tf_trace-STEP.json`; None writes none.
      ignore_live_threads: whether threads may run on at the end.

    Returns:
      The loss of the last step; NaN if no step was left. In a graph, what the last `train_step_fn`
      returned.

    Raises:
      UserError: if the directory cannot be used or another trainer uses it.
      RunError: if no checkpoint of the run can be read.
      NonFiniteError: if a loss or gradient becomes non-finite and no rollback is left; nothing is
        saved then.
      Preempted: after SIGTERM, SIGINT or SIGHUP, when the state is saved.
    """
    if isinstance(train_op, TrainOp):
        return True
    if not in_graph() and kwargs.get("graph") is None and not _is_of_graph(train_op):
        raise _checks.UserError(
            f"train_op is {_kind(train_op)}. Pass the result of"
            " slim.learning.create_train_op(loss_fn, optimizer), or in a tf.Graph of"
            " create_train_op(total_loss, optimizer)"
        )
    return False


def clip_gradient_norms(
    gradients_to_variables: Mapping[str, tf.Tensor] | Iterable[Any], max_norm: float
) -> Any:
    """Scales down each gradient whose own Euclidean norm is above `max_norm`.

    Args:
      gradients_to_variables: gradients by variable name, or pairs (gradient, variable); the
        gradient of a pair may be None.
      max_norm: maximum norm.

    Returns:
      A dict of gradients, or a list of pairs.
    """
    if isinstance(gradients_to_variables, Mapping):
        return train_op.clip_gradient_norms(gradients_to_variables, max_norm)
    return graph_gradients.clip_gradient_norms(gradients_to_variables, max_norm)


def multiply_gradients(
    grads_and_vars: Mapping[str, tf.Tensor] | list[Any], gradient_multipliers: Mapping[Any, Any]
) -> Any:
    """Multiplies the gradients of some variables.

    With gradient descent and momentum this acts as a learning rate per variable; Adam and others
    divide by the size of the gradients and need `learning_rate_multipliers` instead.

    Args:
      grads_and_vars: gradients by variable name, or a list of pairs (gradient, variable).
      gradient_multipliers: factors by variable name; for pairs also by variable.

    Returns:
      A dict of gradients, or a list of pairs.

    Raises:
      ValueError: if a multiplier names no variable that is trained, there is none, or the gradient
        to multiply is None.
    """
    if isinstance(grads_and_vars, Mapping):
        return train_op.multiply_gradients(grads_and_vars, gradient_multipliers)
    return graph_gradients.multiply_gradients(grads_and_vars, gradient_multipliers)


def _is_of_graph(value: Any) -> bool:
    return any(
        isinstance(each, tf.Operation) or isinstance(getattr(each, "graph", None), tf.Graph)
        for each in tf.nest.flatten(value)
    )


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
