"""`slim.evaluation` in a plain graph: evaluations of checkpoints in a monitored session.

```python
values, updates = slim.metrics.aggregate_metric_map({
    "accuracy": slim.metrics.streaming_accuracy(predictions, labels),
})
slim.evaluation.evaluate_once(
    "", checkpoint_path, logdir, num_evals=10,
    eval_op=list(updates.values()), final_op=list(values.values()),
)
```
"""

import itertools
import time
from collections.abc import Callable, Sequence, ValuesView
from typing import Any

import tensorflow as tf

from slim.checkpoints import checkpoints_iterator
from slim.graph.evaluation_hooks import (
    StopAfterNEvalsHook,
    SummaryAtEndHook,
    get_or_create_eval_step,
)

v1 = tf.compat.v1
USE_DEFAULT = 0
_log = v1.logging


class _Evaluation:
    """An evaluation that can be run for each of several checkpoints."""

    def __init__(
        self,
        master: str,
        scaffold: v1.train.Scaffold | None,
        eval_ops: Any,
        feed_dict: dict[Any, Any] | None,
        final_ops: Any,
        final_ops_feed_dict: dict[Any, Any] | None,
        hooks: Sequence[v1.train.SessionRunHook] | None,
        config: v1.ConfigProto | None,
    ) -> None:
        config = config or v1.ConfigProto(allow_soft_placement=True)  # as in training
        self._arguments = {"master": master, "scaffold": scaffold, "config": config}
        self._feed_dict = feed_dict
        if isinstance(final_ops, ValuesView):
            final_ops = list(final_ops)
        self._final = v1.train.FinalOpsHook(final_ops, final_ops_feed_dict)
        self._hooks = [*(hooks or ()), self._final]
        step = get_or_create_eval_step()
        if isinstance(eval_ops, ValuesView):  # `updates.values()`, a list in Python 2
            eval_ops = list(eval_ops)
        self._eval_ops = None if eval_ops is None else (eval_ops, v1.assign_add(step, 1))
        if self._eval_ops is not None:
            with tf.control_dependencies(tf.nest.flatten(self._eval_ops)):
                completed = tf.identity(step)
            for hook in self._hooks:
                if isinstance(hook, StopAfterNEvalsHook):
                    hook.set_evals_completed(completed)

    def run(self, checkpoint_path: str) -> Any:
        """Evaluates a checkpoint and returns the values of `final_ops`."""
        _log.info("Evaluating %s", checkpoint_path)
        start = time.monotonic()
        creator = v1.train.ChiefSessionCreator(
            checkpoint_filename_with_path=checkpoint_path, **self._arguments
        )
        with v1.train.MonitoredSession(session_creator=creator, hooks=self._hooks) as session:
            while self._eval_ops is not None and not session.should_stop():
                session.run(self._eval_ops, self._feed_dict)
        _log.info("Evaluated %s in %.3f s", checkpoint_path, time.monotonic() - start)
        return self._final.final_ops_values


def evaluate_ops_once(
    checkpoint_path: str,
    master: str = "",
    scaffold: v1.train.Scaffold | None = None,
    eval_ops: Any = None,
    feed_dict: dict[Any, Any] | None = None,
    final_ops: Any = None,
    final_ops_feed_dict: dict[Any, Any] | None = None,
    hooks: Sequence[v1.train.SessionRunHook] | None = None,
    config: v1.ConfigProto | None = None,
) -> Any:
    """Evaluates a checkpoint with the tensors of a plain `tf.Graph`.

    Args:
      checkpoint_path: prefix of the checkpoint.
      master: address of a TensorFlow server; empty for this process.
      scaffold: operations and functions that initialize the session.
      eval_ops: tensors, or a structure of them, run for each batch until a hook stops, such as
        `StopAfterNEvalsHook(10)`, or the data ends. None: nothing is run.
      feed_dict: values of placeholders that `eval_ops` need.
      final_ops: tensors, or a structure of them, run once at the end.
      final_ops_feed_dict: values of placeholders that `final_ops` need.
      hooks: run with every batch.
      config: of the session.

    Returns:
      The values of `final_ops`.
    """
    arguments = (master, scaffold, eval_ops, feed_dict, final_ops, final_ops_feed_dict)
    return _Evaluation(*arguments, hooks, config).run(checkpoint_path)


def evaluate_repeatedly(
    checkpoint_dir: str,
    master: str = "",
    scaffold: v1.train.Scaffold | None = None,
    eval_ops: Any = None,
    feed_dict: dict[Any, Any] | None = None,
    final_ops: Any = None,
    final_ops_feed_dict: dict[Any, Any] | None = None,
    eval_interval_secs: float = 60,
    hooks: Sequence[v1.train.SessionRunHook] | None = None,
    config: v1.ConfigProto | None = None,
    max_number_of_evaluations: int | None = None,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Any:
    """Evaluates each new checkpoint of a directory with the tensors of a plain `tf.Graph`.

    Args:
      checkpoint_dir: the run directory.
      master: see `slim.training.evaluation.evaluate_once`, as the next five and `config`.
      scaffold: operations and functions that initialize the session.
      eval_ops: tensors that are run for each batch.
      feed_dict: values of placeholders that `eval_ops` need.
      final_ops: tensors that are run once at the end of each evaluation.
      final_ops_feed_dict: values of placeholders that `final_ops` need.
      eval_interval_secs: minimum time between the starts of two evaluations.
      hooks: run with every batch.
      config: of the session.
      max_number_of_evaluations: return after this many; None means no limit.
      timeout: seconds to wait for a new checkpoint; None waits indefinitely.
      timeout_fn: called after each timeout; returns whether to stop.

    Returns:
      The values of `final_ops` in the last evaluation; None if there was none.
    """
    arguments = (master, scaffold, eval_ops, feed_dict, final_ops, final_ops_feed_dict)
    evaluation = _Evaluation(*arguments, hooks, config)
    values = None
    paths = checkpoints_iterator(checkpoint_dir, eval_interval_secs, timeout, timeout_fn)
    for path in itertools.islice(paths, max_number_of_evaluations):
        values = evaluation.run(path)
    return values


def evaluate_once(
    master: str,
    checkpoint_path: str,
    logdir: str,
    num_evals: int | None = 1,
    initial_op: Any = None,
    initial_op_feed_dict: dict[Any, Any] | None = None,
    eval_op: Any = None,
    eval_op_feed_dict: dict[Any, Any] | None = None,
    final_op: Any = None,
    final_op_feed_dict: dict[Any, Any] | None = None,
    summary_op: Any = USE_DEFAULT,
    summary_op_feed_dict: dict[Any, Any] | None = None,
    variables_to_restore: Any = None,
    session_config: v1.ConfigProto | None = None,
    hooks: Sequence[v1.train.SessionRunHook] | None = None,
) -> Any:
    """Evaluates one checkpoint in a plain graph, see `slim.evaluation.evaluate_once`."""
    return evaluate_ops_once(
        checkpoint_path,
        master,
        _scaffold(initial_op, initial_op_feed_dict, None, variables_to_restore),
        eval_op,
        eval_op_feed_dict,
        final_op,
        final_op_feed_dict,
        _hooks(num_evals, logdir, summary_op, summary_op_feed_dict, hooks),
        session_config,
    )


def evaluation_loop(
    master: str,
    checkpoint_dir: str,
    logdir: str,
    num_evals: int | None = 1,
    initial_op: Any = None,
    initial_op_feed_dict: dict[Any, Any] | None = None,
    init_fn: Callable[..., Any] | None = None,
    eval_op: Any = None,
    eval_op_feed_dict: dict[Any, Any] | None = None,
    final_op: Any = None,
    final_op_feed_dict: dict[Any, Any] | None = None,
    summary_op: Any = USE_DEFAULT,
    summary_op_feed_dict: dict[Any, Any] | None = None,
    variables_to_restore: Any = None,
    eval_interval_secs: float = 60,
    max_number_of_evaluations: int | None = None,
    session_config: v1.ConfigProto | None = None,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
    hooks: Sequence[v1.train.SessionRunHook] | None = None,
) -> Any:
    """Evaluates each new checkpoint in a plain graph, see `slim.evaluation.evaluation_loop`."""
    return evaluate_repeatedly(
        checkpoint_dir,
        master,
        _scaffold(initial_op, initial_op_feed_dict, init_fn, variables_to_restore),
        eval_op,
        eval_op_feed_dict,
        final_op,
        final_op_feed_dict,
        eval_interval_secs,
        _hooks(num_evals, logdir, summary_op, summary_op_feed_dict, hooks),
        session_config,
        max_number_of_evaluations,
        timeout,
        timeout_fn,
    )


def evaluation(
    sess: v1.Session,
    num_evals: int = 1,
    initial_op: Any = None,
    initial_op_feed_dict: dict[Any, Any] | None = None,
    eval_op: Any = None,
    eval_op_feed_dict: dict[Any, Any] | None = None,
    final_op: Any = None,
    final_op_feed_dict: dict[Any, Any] | None = None,
    summary_op: tf.Tensor | None = None,
    summary_op_feed_dict: dict[Any, Any] | None = None,
    summary_writer: v1.summary.FileWriter | None = None,
    global_step: Any = None,
) -> Any:
    """Evaluates in an open session, whose variables are restored.

    TF-Slim had it in TensorFlow 1; `evaluate_once` restores and initializes by itself.

    Args:
      sess: the session.
      num_evals: number of runs of `eval_op`.
      initial_op: run first, such as the initialization of local variables.
      initial_op_feed_dict: values of placeholders that `initial_op` needs.
      eval_op: run `num_evals` times, such as the updates of metrics.
      eval_op_feed_dict: values of placeholders that `eval_op` needs.
      final_op: run at the end.
      final_op_feed_dict: values of placeholders that `final_op` needs.
      summary_op: a serialized summary to write at the end.
      summary_op_feed_dict: values of placeholders that `summary_op` needs.
      summary_writer: writes the summary.
      global_step: of the summary; the graph's by default.

    Returns:
      the value of `final_op`, or None.

    Raises:
      ValueError: if there is a `summary_op`, but no `summary_writer`.
    """
    if summary_op is not None and summary_writer is None:
        raise ValueError("summary_op needs a summary_writer: pass tf.summary.FileWriter(logdir)")

    def run(fetches: Any, feed_dict: dict[Any, Any] | None) -> Any:
        fetches = list(fetches) if isinstance(fetches, ValuesView) else fetches
        return None if fetches is None else sess.run(fetches, feed_dict)

    run(initial_op, initial_op_feed_dict)
    for _ in range(num_evals):
        run(eval_op, eval_op_feed_dict)
    value = run(final_op, final_op_feed_dict)
    if summary_op is not None:
        step = v1.train.get_global_step() if global_step is None else global_step
        step = step if step is None or isinstance(step, int) else int(sess.run(step))
        summary_writer.add_summary(run(summary_op, summary_op_feed_dict), step)
        summary_writer.flush()
    return value


def _scaffold(
    initial_op: Any, feed_dict: Any, init_fn: Callable[..., Any] | None, restored: Any
) -> v1.train.Scaffold:
    saver = None if restored is None else v1.train.Saver(restored)
    return v1.train.Scaffold(
        init_op=initial_op, init_feed_dict=feed_dict, init_fn=init_fn, saver=saver
    )


def _hooks(
    num_evals: int | None,
    logdir: str,
    summary_op: Any,
    feed_dict: dict[Any, Any] | None,
    hooks: Sequence[v1.train.SessionRunHook] | None,
) -> list[v1.train.SessionRunHook]:
    if isinstance(summary_op, int) and summary_op == USE_DEFAULT:
        summary_op = v1.summary.merge_all()
    own: list[v1.train.SessionRunHook] = [StopAfterNEvalsHook(num_evals)]
    if summary_op is not None:
        own.append(SummaryAtEndHook(logdir, summary_op=summary_op, feed_dict=feed_dict))
    return own + list(hooks or ())
