"""Hooks of evaluations in a plain graph, and the variable that counts the batches."""

from typing import Any

import tensorflow as tf

from slim import _checks

v1 = tf.compat.v1
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
