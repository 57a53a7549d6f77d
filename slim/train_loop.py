"""The training loop of a `TrainOp`.

It resumes, saves, and stops on signals and non-finite losses. Everything else (log lines,
summaries, evaluation) is done by hooks.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim import _checks, parameter_servers
from slim._timer import Timer
from slim.checkpoints import Checkpoints
from slim.hooks import Hook, LossLog, Run, ScalarSummaries
from slim.nan_restores import NanRestores
from slim.run_input import RunInput
from slim.run_lock import TrainDirLock
from slim.signals import Preempted, StopRequest, stop_on_signals
from slim.train_op import TrainOp
from slim.workers import Workers, translated


class NonFiniteError(_checks.RunError):
    """A loss or a gradient became NaN or infinite.

    Attributes:
      step: number of completed steps before the one that failed.
      what: first part of the message: which value, at which step.
      batch: number of the batch that caused it, counted from the beginning of the data.
    """

    def __init__(self, message: str, step: int, what: str = "") -> None:
        super().__init__(message)
        self.step = self.batch = step
        self.what = what or message


def train(
    train_op: TrainOp,
    logdir: str | None,
    batches: Callable[[int], tf.data.Dataset] | tf.data.Dataset,
    *,
    number_of_steps: int | None = None,
    steps_per_loop: int = 1,
    init_fn: Callable[[], Any] | None = None,
    log_every_n_steps: int = 1,
    save_summaries_secs: float = 600,
    save_interval_secs: float = 600,
    save_interval_steps: int = 0,
    max_to_keep: int | None = 5,
    keep_checkpoint_every_n_hours: float | None = None,
    max_nan_restores: int = 0,
    hooks: Sequence[Hook] = (),
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Trains until `number_of_steps`, or until the data ends, see `slim.learning.train`."""
    _checks.positive(number_of_steps=number_of_steps, steps_per_loop=steps_per_loop)
    _checks.non_negative(
        log_every_n_steps=log_every_n_steps,
        save_summaries_secs=save_summaries_secs,
        save_interval_secs=save_interval_secs,
        save_interval_steps=save_interval_steps,
        max_nan_restores=max_nan_restores,
    )
    if logdir is None and max_nan_restores:
        raise _checks.UserError(
            f"logdir=None, but max_nan_restores={max_nan_restores} needs checkpoints. Pass a logdir"
        )
    workers = Workers(train_op.strategy)
    run_input = RunInput(batches, train_op.strategy, workers)
    saves = workers.is_chief and logdir is not None
    lock = TrainDirLock(logdir) if saves else contextlib.nullcontext()
    with lock, stop_on_signals() as stop, contextlib.ExitStack() as stack:
        checkpoints = logdir and Checkpoints(
            logdir, max_to_keep=max_to_keep, keep_every_n_hours=keep_checkpoint_every_n_hours
        )
        restores = NanRestores(logdir, max_nan_restores)
        run = _start(
            train_op, checkpoints or None, run_input, restores, number_of_steps, steps_per_loop,
            init_fn, workers,
        )  # fmt: skip
        if workers.is_chief:
            own = _own_hooks(logdir, log_every_n_steps, save_summaries_secs, clock)
            hooks = [*own, *hooks]
        else:
            hooks = []
        for hook in hooks:
            with _busy(run, type(hook).__name__):
                hook.begin(run)
            stack.callback(hook.end, run)
        timer = Timer(save_interval_secs, clock)
        loss, saved = math.nan, run.step if run.restored else -1
        if max_nan_restores and saved < 0 and saves:
            saved = _save(run, hooks, logdir)  # the first rollback needs a checkpoint
        run.is_stopped = lambda: bool(stop)
        for numbers in _steps_with_rollback(
            run, run_input, steps_per_loop, workers, restores, hooks
        ):
            steps = len(numbers["loss"])
            loss = float(numbers["loss"][-1]) if steps else loss
            for hook in hooks if steps else ():
                with _busy(run, type(hook).__name__):
                    hook.after_steps(run, numbers)
            by_steps = save_interval_steps and _crosses(run.step, steps, save_interval_steps)
            by_time = not by_steps and timer.is_due()
            if by_time:
                timer.restart()
            leave = workers.any(bool(stop))
            if saves and (by_steps or by_time or leave):
                saved = _save(run, hooks, logdir)
            if leave and not workers.any(run.is_over):
                raise _preempted(stop, run)
        if saves and saved != run.step:
            _save(run, hooks, logdir)
        workers.any(True)  # no worker may end before the chief has saved
        return loss


def _own_hooks(
    logdir: str | None, every: int, summaries_secs: float, clock: Callable[[], float]
) -> Iterator[Hook]:
    """Yields the hooks of every run: log lines and summaries."""
    if every:
        yield LossLog(every, clock)
    if logdir is not None and summaries_secs:
        yield ScalarSummaries(logdir, summaries_secs, clock)


def _start(
    train_op: TrainOp,
    checkpoints: Checkpoints | None,
    run_input: RunInput,
    restores: NanRestores,
    number_of_steps: int | None,
    steps_per_loop: int,
    init_fn: Callable[[], Any] | None,
    workers: Workers,
) -> Run:
    """Creates the variables and restores them from the newest checkpoint, if there is one."""
    reads = workers.is_chief and checkpoints is not None
    # The input pipeline that the run will continue with, unless that checkpoint is unreadable.
    saved = checkpoints.all_steps() if reads else []
    newest = saved[-1] if saved else 0
    first = newest + restores.skipped(newest)
    element_spec = run_input.element_spec(first)
    steps = _loop_steps(newest, number_of_steps, steps_per_loop)
    if train_op.can_trace and steps > 0:
        run_input.open(first)
        train_op.trace(element_spec, steps)
    else:
        train_op.build(_replica_spec(element_spec))
    variables = train_op.store.named_variables
    restored = checkpoints.restore_latest(variables) if reads else None
    if restored is None:
        if init_fn is not None and workers.is_chief:
            init_fn()
        if train_op.averages is not None:
            train_op.averages.reset()
    workers.take_from_chief(variables)
    step = int(train_op.global_step.numpy())
    return Run(train_op, checkpoints, step, number_of_steps, restored)


def _loop_steps(step: int, number_of_steps: int | None, steps_per_loop: int) -> int:
    """Returns the number of steps of the next round trip."""
    left = steps_per_loop if number_of_steps is None else number_of_steps - step
    return min(steps_per_loop, left)


def _replica_spec(element_spec: Any) -> Any:
    """Returns the specs of one replica's batch, with any number of examples."""
    return tf.nest.map_structure(
        lambda spec: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype), element_spec
    )


def _steps_with_rollback(
    run: Run,
    run_input: RunInput,
    steps_per_loop: int,
    workers: Workers,
    restores: NanRestores,
    hooks: Iterable[Hook],
) -> Iterator[Mapping[str, np.ndarray]]:
    """Runs steps as `_steps`, with a rollback after a non-finite one while any is left."""
    while True:
        skipped = workers.of_chief(restores.skipped(run.step))
        try:
            yield from _steps(run, run_input, steps_per_loop, workers, run.step + skipped)
            return
        except NonFiniteError as error:
            error.batch = error.step + skipped
            if workers.of_chief(restores.count) >= restores.most:
                raise
            reason = _roll_back(run, workers, restores, error)
        for hook in hooks:
            hook.after_rollback(run, reason)


def _roll_back(run: Run, workers: Workers, restores: NanRestores, error: NonFiniteError) -> str:
    """Restores the last checkpoint and returns one line to log."""
    variables = run.train_op.store.named_variables
    if workers.is_chief:
        run.checkpoints.restore_latest(variables)
    workers.take_from_chief(variables)
    run.rolled_back_to(int(run.train_op.global_step.numpy()))
    new = restores.add(run.step, error.step) if workers.is_chief else None
    skipped = new.skipped if new else 0
    return (
        f"{error.what}: rolled back to step {run.step}, skipping {skipped} batch(es) "
        f"(rollback {restores.count} of {restores.most})"
    )


def _steps(
    run: Run, run_input: RunInput, steps_per_loop: int, workers: Workers, first_batch: int
) -> Iterator[Mapping[str, np.ndarray]]:
    """Runs steps and yields their metrics, until the end of the run or of the data."""
    if workers.any(run.is_over):
        return  # without the seconds that creating the input pipeline takes
    iterator = run_input.iterator(first_batch)
    loss = math.nan
    while not workers.any(run.is_over):
        steps = _loop_steps(run.step, run.number_of_steps, steps_per_loop)
        try:
            numbers = run.train_op.run(iterator, steps, run.is_stopped)
        except parameter_servers.AbandonedError:
            yield {"loss": np.zeros(0)}
            return
        except (tf.errors.OutOfRangeError, StopIteration):
            done = int(run.train_op.global_step.numpy())
            if done != run.step:
                _check_variables(run, done)
            run.step = done
            return
        except tf.errors.OpError as error:
            raise translated(error, workers) from error
        _check_finite(run.step, numbers, loss)
        loss = float(numbers["loss"][-1])
        run.step += len(numbers["loss"])
        yield numbers


def _check_finite(first: int, numbers: Mapping[str, np.ndarray], before: float) -> None:
    """Raises if one of the steps after `first` has a non-finite loss or gradient."""
    names = ("loss", "gradient_norm")
    bad = ~np.isfinite([numbers[name] for name in names])
    if not bad.any():
        return
    at = int(np.flatnonzero(bad.any(axis=0))[0])
    name = names[int(np.argmax(bad[:, at]))]
    before = numbers["loss"][at - 1] if at else before
    history = "" if math.isnan(before) else f", loss before {before:.4g}"
    what = f"{name} is {numbers[name][at]} at step {first + at + 1}"
    raise NonFiniteError(
        f"{what} "
        f"(learning rate {numbers['learning_rate'][at]:.3g}, loss {numbers['loss'][at]:.4g}"
        f"{history}). Earlier checkpoints are intact. "
        "Likely causes, in this order: a learning rate that is too high (try a tenth, or clip "
        "the gradients), labels or images out of range, an optimizer epsilon that is too small",
        step=first + at,
        what=what,
    )


def _check_variables(run: Run, done: int) -> None:
    """Raises if steps whose metrics were lost, as the data ended within a loop, went wrong."""
    for name, variable in run.train_op.variables_to_train.items():
        if not np.isfinite(variable.numpy()).all():
            raise NonFiniteError(
                f"{name} is not finite at step {done}, where the data ended; "
                f"it was still finite at step {run.step}. "
                "Earlier checkpoints are intact",
                step=run.step,
            )


def _crosses(step: int, steps: int, every: int) -> bool:
    """Returns whether the last `steps` steps up to `step` passed a multiple of `every`."""
    return step // every > (step - steps) // every


def _save(run: Run, hooks: Iterable[Hook], logdir: str) -> int:
    if not os.path.isdir(logdir):  # a save would create it again, without the rest of the run
        raise _checks.RunError(f"{logdir} was removed while training; nothing more can be saved")
    with _busy(run, "saving"):
        prefix = run.save()
        for hook in hooks:
            hook.after_save(run, prefix)
    return run.step


@contextlib.contextmanager
def _busy(run: Run, what: str) -> Iterator[None]:
    before, run.doing = run.doing, what
    begun = time.monotonic()
    try:
        yield
    finally:
        run.doing = before
        run.overhead_seconds += time.monotonic() - begun


def _preempted(stop: StopRequest, run: Run) -> Preempted:
    why = stop.signal.name if stop.signal else "a signal to another worker"
    saved = "which is saved; the same command resumes it"
    if run.checkpoints is None:
        saved = "which is not saved (logdir=None)"
    return Preempted(f"stopped by {why} at step {run.step}, {saved}")
