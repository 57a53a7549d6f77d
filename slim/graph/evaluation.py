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
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.checkpoints import checkpoints_iterator

v1 = tf.compat.v1
USE_DEFAULT = 0
_log = v1.logging


def get_or_create_eval_step() -> tf.Variable:
    """Returns the variable that counts the evaluations of a session, of `tf.GraphKeys.EVAL_STEP`.

    Raises:
      UserError: if the collection has several.
    """
    steps = v1.get_collection(v1.GraphKeys.EVAL_STEP)
    if len(steps) > 1:
        raise _checks.UserError(
            f"tf.GraphKeys.EVAL_STEP has {len(steps)} variables, but must have one:"
            f" {_checks.listed(each.name for each in steps)}"
        )
    if steps:
        return steps[0]
    return v1.get_variable(
        "eval_step",
        shape=[],
        dtype=tf.int64,
        initializer=v1.zeros_initializer(),
        trainable=False,
        collections=[v1.GraphKeys.LOCAL_VARIABLES, v1.GraphKeys.EVAL_STEP],
    )


class StopAfterNEvalsHook(v1.train.SessionRunHook):
    """Ends an evaluation after a number of batches.

    Args:
      num_evals: number of batches. None: until the data ends.
      log_progress: whether to log the progress, of 20 or more batches ten times.
    """

    def __init__(self, num_evals: int | None, log_progress: bool = True) -> None:
        self._num_evals = num_evals
        self._log_progress = log_progress
        self._log_every = 1 if num_evals is None or num_evals < 20 else num_evals // 10
        self._evals_completed: tf.Tensor | None = None

    def set_evals_completed(self, evals_completed: tf.Tensor) -> None:
        """Sets the tensor that counts the batches, this one included."""
        self._evals_completed = evals_completed

    def before_run(self, run_context: v1.train.SessionRunContext) -> v1.train.SessionRunArgs:
        """Adds the count to what the session returns."""
        return v1.train.SessionRunArgs(self._evals_completed)

    def after_run(
        self, run_context: v1.train.SessionRunContext, run_values: v1.train.SessionRunValues
    ) -> None:
        """Logs the progress and ends the evaluation after the last batch."""
        completed = run_values.results
        last = self._num_evals is not None and completed >= self._num_evals
        if self._log_progress and (last or completed % self._log_every == 0):
            of = "" if self._num_evals is None else f"/{self._num_evals}"
            _log.info("Evaluation [%d%s]", completed, of)
        if last:
            run_context.request_stop()


class SummaryAtEndHook(v1.train.SessionRunHook):
    """Writes summaries when an evaluation ends.

    Args:
      log_dir: directory of the event file.
      summary_writer: a `tf.compat.v1.summary.FileWriter` in place of `log_dir`.
      summary_op: the summaries; by default all of the graph.
      feed_dict: values of placeholders that they need.

    Raises:
      UserError: if there is neither a directory nor a writer.
    """

    def __init__(
        self,
        log_dir: str | None = None,
        summary_writer: v1.summary.FileWriter | None = None,
        summary_op: tf.Tensor | None = None,
        feed_dict: dict[Any, Any] | None = None,
    ) -> None:
        if log_dir is None and summary_writer is None:
            raise _checks.UserError("SummaryAtEndHook needs a log_dir or a summary_writer")
        self._log_dir = log_dir
        self._summary_writer = summary_writer
        self._collects_summaries = summary_op is None
        self._summary_op = summary_op
        self._feed_dict = feed_dict

    def begin(self) -> None:
        """Collects the summaries of the graph, which may have none."""
        if self._collects_summaries:
            self._summary_op = v1.summary.merge_all()
        self._global_step = v1.train.get_or_create_global_step()

    def after_create_session(self, session: v1.Session, coord: v1.train.Coordinator | None) -> None:
        """Opens the event file, which has the graph."""
        if self._summary_writer is None and self._log_dir:
            self._summary_writer = v1.summary.FileWriterCache.get(self._log_dir)

    def end(self, session: v1.Session) -> None:
        """Writes the summaries."""
        if self._summary_writer is None:
            return
        if self._summary_op is not None:
            step = v1.train.global_step(session, self._global_step)
            summary = session.run(self._summary_op, self._feed_dict)
            self._summary_writer.add_summary(summary, step)
        self._summary_writer.flush()


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
        self._arguments = {"master": master, "scaffold": scaffold, "config": config}
        self._feed_dict = feed_dict
        self._final = v1.train.FinalOpsHook(final_ops, final_ops_feed_dict)
        self._hooks = [*(hooks or ()), self._final]
        step = get_or_create_eval_step()
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
