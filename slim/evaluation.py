"""Evaluation of a checkpoint, or of each new one of a training run.

```python
def eval_fn(images, labels):
    logits, _ = network(images)
    return {"accuracy": (tf.argmax(logits, -1), labels)}

slim.evaluation.evaluation_loop(
    train_dir, eval_dir, batches, eval_fn, {"accuracy": slim.metrics.Accuracy}
)
```

In a plain graph, the functions have TF-Slim's parameters, among them objects of `tf.compat.v1`.
"""

from typing import Any

from slim import _checks, evaluator
from slim._modes import serves_both
from slim.checkpoints import checkpoints_iterator, wait_for_new_checkpoint
from slim.graph import evaluation as graph_evaluation
from slim.graph import in_graph
from slim.graph.evaluation import evaluate_repeatedly, evaluation
from slim.graph.evaluation_hooks import (
    StopAfterNEvalsHook,
    SummaryAtEndHook,
    get_or_create_eval_step,
)

__all__ = [
    "StopAfterNEvalsHook", "SummaryAtEndHook", "checkpoints_iterator", "evaluate_once",
    "evaluate_repeatedly", "evaluation", "evaluation_loop", "get_or_create_eval_step",
    "wait_for_new_checkpoint",
]  # fmt: skip


@serves_both(graph=graph_evaluation.evaluate_once, eager=evaluator.evaluate_once)
def evaluate_once(*args: Any, **kwargs: Any) -> bool:
    """Evaluates one checkpoint.

    Without a graph, the parameters are `checkpoint_path`, `logdir`, `batches`, `eval_fn` and
    `metrics`, then by keyword `num_evals` and `variables_to_restore`. In a plain `tf.Graph`, they
    are TF-Slim's, of which `master` is the first.

    Args:
      checkpoint_path: a checkpoint, or a directory, whose newest one is used; in a graph the prefix
        of a checkpoint.
      logdir: directory for an event file with the results; None writes none.
      batches: tuples (or dicts by name) of the arguments of `eval_fn`.
      eval_fn: builds the network and returns, for each metric, the arguments of its `update`.
      metrics: for each name, a function that creates a metric, such as `slim.metrics.Accuracy`.
      num_evals: number of batches; all by default, in a graph 1.
      variables_to_restore: maps a variable's name to its name in the checkpoint, or to None to skip
        the variable; by default every variable is restored under its own name. In a graph, the
        variables of a `tf.compat.v1.train.Saver`.
      master: in a graph, as all that follow: address of a TensorFlow server; empty for this
        process.
      initial_op: initializes the session; all variables by default.
      initial_op_feed_dict: values of placeholders that `initial_op` needs.
      eval_op: run `num_evals` times, such as the updates of metrics.
      eval_op_feed_dict: values of placeholders that `eval_op` needs.
      final_op: run once at the end, such as the values of metrics.
      final_op_feed_dict: values of placeholders that `final_op` needs.
      summary_op: the summaries; all of the graph by default, None for none.
      summary_op_feed_dict: values of placeholders that `summary_op` needs.
      session_config: of the session.
      hooks: objects of `tf.compat.v1.train.SessionRunHook`.

    Returns:
      The result of each metric by name; in a graph the value of `final_op`.

    Raises:
      UserError: if there is no checkpoint, or it does not contain the variables.
      RunError: if it cannot be read.
      ValueError: if `eval_fn` returns other metrics than `metrics`, or there is no batch.
    """
    return _is_eager("evaluate_once", "checkpoint_path", args, kwargs)


@serves_both(graph=graph_evaluation.evaluation_loop, eager=evaluator.evaluation_loop)
def evaluation_loop(*args: Any, **kwargs: Any) -> bool:
    """Evaluates each new checkpoint of a directory.

    Checkpoints that are removed before they are read are skipped, but not in a graph.

    Args:
      checkpoint_dir: the run directory.
      logdir: see `evaluate_once`, as the next four and all that are not listed.
      batches: tuples (or dicts by name) of the arguments of `eval_fn`.
      eval_fn: builds the network and returns, for each metric, the arguments of its `update`.
      metrics: for each name, a function that creates a metric.
      num_evals: number of batches.
      eval_interval_secs: minimum time between the starts of two evaluations.
      max_number_of_evaluations: return after this many; None means no limit.
      timeout: seconds to wait for a new checkpoint; None waits indefinitely.
      timeout_fn: called after each timeout; returns whether to stop.
      init_fn: in a graph: called with the scaffold and the session in place of restoring the
        checkpoint.

    Returns:
      The last results, or None if there was no checkpoint before the timeout.
    """
    return _is_eager("evaluation_loop", "checkpoint_dir", args, kwargs)


def _is_eager(name: str, where: str, args: Any, kwargs: Any) -> bool:
    if in_graph():
        return False
    batches = kwargs.get("batches", args[2] if len(args) > 2 else None)
    if not hasattr(batches, "element_spec"):
        raise _checks.UserError(
            f"{name} outside of a tf.Graph expects batches, a tf.data.Dataset, not {batches!r}."
            f" Write slim.evaluation.{name}({where}, logdir, batches, eval_fn, metrics)"
        )
    return True
