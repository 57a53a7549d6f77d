"""`slim.learning` in a plain graph: the training step of a loss tensor, and a session's loop.

```python
slim.losses.softmax_cross_entropy(logits, one_hot_labels)
optimizer = tf.compat.v1.train.MomentumOptimizer(0.01, 0.9)
train_op = slim.learning.create_train_op(slim.losses.get_total_loss(), optimizer)
slim.learning.train(train_op, logdir, number_of_steps=1000, save_summaries_secs=60)
```
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.graph import training
from slim.graph.gradients import clip_gradient_norms, multiply_gradients
from slim.graph.services import Services
from slim.graph.synchronous import Synchronous
from slim.graph.tracing import write_timeline

v1 = tf.compat.v1
USE_DEFAULT = 0
_log = v1.logging
TrainStepFn = Callable[[v1.Session, Any, tf.Tensor, dict[str, Any]], tuple[Any, Any]]


def create_train_op(
    total_loss: tf.Tensor,
    optimizer: v1.train.Optimizer,
    global_step: tf.Variable | int | None = training.USE_GLOBAL_STEP,
    update_ops: Iterable[Any] | None = None,
    variables_to_train: Sequence[tf.Variable] | None = None,
    clip_gradient_norm: float = 0,
    summarize_gradients: bool = False,
    gate_gradients: int = v1.train.Optimizer.GATE_OP,
    aggregation_method: int | None = None,
    colocate_gradients_with_ops: bool = False,
    gradient_multipliers: Mapping[Any, Any] | None = None,
    check_numerics: bool = True,
) -> tf.Tensor:
    """Creates the training step of a loss tensor, see `slim.learning.create_train_op`."""

    def transform(pairs: list[Any]) -> list[Any]:
        if gradient_multipliers:
            with v1.name_scope("multiply_grads"):
                pairs = multiply_gradients(pairs, gradient_multipliers)
        if clip_gradient_norm > 0:
            with v1.name_scope("clip_grads"):
                pairs = clip_gradient_norms(pairs, clip_gradient_norm)
        return pairs

    return training.create_train_op(
        total_loss,
        optimizer,
        global_step,
        update_ops,
        variables_to_train,
        transform,
        summarize_gradients,
        gate_gradients,
        aggregation_method,
        colocate_gradients_with_ops,
        check_numerics,
    )


def train_step(
    sess: v1.Session, train_op: Any, global_step: tf.Tensor, train_step_kwargs: dict[str, Any]
) -> tuple[Any, Any]:
    """Takes one training step in a session of a plain `tf.Graph`.

    Args:
      sess: the session.
      train_op: takes the step and returns the loss.
      global_step: number of completed steps.
      train_step_kwargs: the tensors `should_stop`, `should_log` and `should_trace`, and for traces
        `logdir` and `summary_writer`, each of them optional.

    Returns:
      The loss, and whether to stop.

    Raises:
      UserError: if there is `should_trace` without `logdir`.
    """
    start = time.time()
    options = metadata = None
    if "should_trace" in train_step_kwargs:
        if "logdir" not in train_step_kwargs:
            raise _checks.UserError("train_step_kwargs: should_trace needs logdir")
        if sess.run(train_step_kwargs["should_trace"]):
            options = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
            metadata = v1.RunMetadata()
    loss, step = sess.run([train_op, global_step], options=options, run_metadata=metadata)
    seconds = time.time() - start
    if metadata is not None:
        path = os.path.join(train_step_kwargs["logdir"], f"tf_trace-{step}.json")
        _log.info("Writing the trace of step %d to %s", step, path)
        write_timeline(path, metadata)
        if "summary_writer" in train_step_kwargs:
            writer = train_step_kwargs["summary_writer"]
            writer.add_run_metadata(metadata, f"run_metadata-{step}")
    if "should_log" in train_step_kwargs and sess.run(train_step_kwargs["should_log"]):
        _log.info("global step %d: loss = %.4f (%.3f sec/step)", step, loss, seconds)
    stop = "should_stop" in train_step_kwargs and sess.run(train_step_kwargs["should_stop"])
    return loss, stop


def train(
    train_op: Any,
    logdir: str | None,
    train_step_fn: TrainStepFn = train_step,
    train_step_kwargs: dict[str, Any] | int = USE_DEFAULT,
    log_every_n_steps: int = 1,
    graph: tf.Graph | None = None,
    master: str = "",
    is_chief: bool = True,
    global_step: tf.Tensor | None = None,
    number_of_steps: int | None = None,
    init_op: Any = USE_DEFAULT,
    init_feed_dict: Mapping[Any, Any] | None = None,
    local_init_op: Any = USE_DEFAULT,
    init_fn: Callable[[v1.Session], Any] | None = None,
    ready_op: Any = USE_DEFAULT,
    summary_op: Any = USE_DEFAULT,
    save_summaries_secs: float = 600,
    summary_writer: Any = USE_DEFAULT,
    startup_delay_steps: int = 0,
    saver: v1.train.Saver | None = None,
    save_interval_secs: float = 600,
    sync_optimizer: Any = None,
    session_config: v1.ConfigProto | None = None,
    session_wrapper: Callable[[v1.Session], Any] | None = None,
    trace_every_n_steps: int | None = None,
    ignore_live_threads: bool = False,
) -> Any:
    """Runs training steps in a session until `number_of_steps` or the end of the data, see
    `slim.learning.train`."""
    if train_op is None:
        raise _checks.UserError("train_op is None. Pass the result of create_train_op")
    if logdir is None:
        own_summaries = None if summary_op is USE_DEFAULT else summary_op
        _check_nothing_is_written(
            summary_op=own_summaries, saver=saver, trace_every_n_steps=trace_every_n_steps
        )
    _checks.positive(number_of_steps=number_of_steps)
    synchronous = Synchronous(sync_optimizer, startup_delay_steps, is_chief)
    graph = graph or getattr(train_op, "graph", None) or v1.get_default_graph()
    with graph.as_default():
        global_step = v1.train.get_or_create_global_step() if global_step is None else global_step
        saver = saver or v1.train.Saver()
        init_ops = _init_ops(init_op, ready_op, local_init_op, synchronous)
        summary_op = _default(summary_op, v1.summary.merge_all)
        synchronous.prepare()
        if train_step_kwargs is USE_DEFAULT:
            traced = trace_every_n_steps if is_chief else None
            train_step_kwargs = _train_step_kwargs(
                global_step, number_of_steps, log_every_n_steps, traced, logdir
            )
        supervisor = v1.train.Supervisor(
            graph=graph,
            is_chief=is_chief,
            logdir=logdir,
            init_feed_dict=init_feed_dict,
            init_fn=init_fn,
            **init_ops,
            summary_op=summary_op,
            summary_writer=_default(summary_writer, lambda: v1.train.Supervisor.USE_DEFAULT),
            global_step=global_step,
            saver=saver,
            save_summaries_secs=0,  # see `Services`
            save_model_secs=0,
        )
    if summary_writer is not None:
        train_step_kwargs["summary_writer"] = supervisor.summary_writer
    delay = 0 if is_chief else min(startup_delay_steps, number_of_steps or sys.maxsize)
    seconds = (save_summaries_secs, save_interval_secs) if logdir and is_chief else (0, 0)
    services = Services(supervisor, graph, synchronous, delay, *seconds)

    def run(session: v1.Session) -> Any:
        session = session if session_wrapper is None else session_wrapper(session)
        services.start(session)
        arguments = (session, train_op, global_step, train_step_kwargs)
        loss = _run_steps(supervisor, lambda: train_step_fn(*arguments))
        if logdir and is_chief:
            _log.info("Training finished; saving the model to %s", logdir)
            services.finish(session, ignore_live_threads)
        return loss

    with graph.as_default():
        return _run_in_session(supervisor, master, session_config, run)


def _run_in_session(
    supervisor: v1.train.Supervisor, master: str, config: Any, run: Callable[[v1.Session], Any]
) -> Any:
    """Returns the result of `run` in a session, a new one after a restart of a server."""
    # TF-Slim's scripts place operations on /gpu:0, also on a machine without GPUs.
    config = config or v1.ConfigProto(allow_soft_placement=True)
    while True:
        try:
            with supervisor.managed_session(
                master, start_standard_services=False, config=config
            ) as session:
                return run(session)
        except tf.errors.AbortedError:
            _log.info("A TensorFlow server was restarted; training again from the last checkpoint")


def _run_steps(supervisor: v1.train.Supervisor, step: Callable[[], tuple[Any, Any]]) -> Any:
    """Takes steps until one of them, or the supervisor, stops; returns the last loss."""
    loss = None
    try:
        while not supervisor.should_stop():
            loss, stop = step()
            if stop:
                supervisor.request_stop()
    except tf.errors.OutOfRangeError as error:
        _log.info("Stopping at the end of the data: %s", error)
    return loss


def _check_nothing_is_written(**values: Any) -> None:
    for name, value in values.items():
        if value is not None:
            raise _checks.UserError(f"logdir=None, but {name} writes there. Pass a logdir")


def _default(value: Any, make: Callable[[], Any]) -> Any:
    """Returns `value`, or a new default in place of `USE_DEFAULT`."""
    return make() if isinstance(value, int) and value == USE_DEFAULT else value


def _init_ops(
    init_op: Any, ready_op: Any, local_init_op: Any, synchronous: Synchronous
) -> dict[str, Any]:
    """Returns the operations that initialize a session, those that were not passed by default."""

    def local() -> tf.Operation:
        return tf.group(v1.local_variables_initializer(), v1.tables_initializer())

    with v1.name_scope("init_ops"):
        init_op = _default(init_op, v1.global_variables_initializer)
        ready_op = _default(ready_op, v1.report_uninitialized_variables)
        local_init_op, ready = synchronous.init_ops(_default(local_init_op, local))
    return {
        "init_op": init_op,
        "ready_op": ready_op,
        "local_init_op": local_init_op,
        "ready_for_local_init_op": ready,
    }


def _train_step_kwargs(
    global_step: tf.Tensor,
    number_of_steps: int | None,
    log_every_n_steps: int,
    trace_every_n_steps: int | None,
    logdir: str | None,
) -> dict[str, Any]:
    """Returns the tensors that `train_step` reads after each step."""

    def is_multiple_of(steps: int) -> tf.Tensor:
        return tf.equal(v1.mod(global_step, steps), 0)

    with v1.name_scope("train_step"):
        stop = tf.greater_equal(global_step, number_of_steps) if number_of_steps else None
        kwargs: dict[str, Any] = {"should_stop": tf.constant(False) if stop is None else stop}
        if log_every_n_steps > 0:
            kwargs["should_log"] = is_multiple_of(log_every_n_steps)
        if trace_every_n_steps is not None:
            kwargs["should_trace"] = is_multiple_of(trace_every_n_steps)
            kwargs["logdir"] = logdir
    return kwargs
