"""Training: `create_train_op` makes a step of a loss function, `train` runs it to the end.

The loop owns time: it resumes, saves, stops on signals and on losses that are no numbers. What else
should happen (log lines, summaries, evaluation) are hooks.
"""

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim import _checks
from slim._timer import Timer
from slim.checkpoints import Checkpoints, Restored
from slim.nan_restores import NanRestores
from slim.run_lock import TrainDirLock
from slim.signals import EXIT_CODE, Preempted, StopRequest, stop_on_signals
from slim.train_op import TrainOp, clip_gradient_norms, create_train_op, multiply_gradients
from slim.workers import Workers, translated

__all__ = [
    "EXIT_CODE", "Hook", "NanRestores", "NonFiniteError", "Preempted", "Run", "TrainOp",
    "clip_gradient_norms", "create_train_op", "multiply_gradients", "train",
]  # fmt: skip


class NonFiniteError(_checks.RunError):
    """A loss or a gradient became infinite or not a number.

    Attributes:
      step: number of steps done before the one that failed.
      what: the message's first part: what is no number, and where.
      batch: number of the batch that it failed on, counted from the data's beginning.
    """

    def __init__(self, message: str, step: int, what: str = "") -> None:
        super().__init__(message)
        self.step = self.batch = step
        self.what = what or message


@dataclasses.dataclass
class Run:
    """The state of a run, as hooks see it.

    Attributes:
      train_op: the step and its variables.
      checkpoints: where they are saved.
      step: number of steps done.
      number_of_steps: at which the run ends, or None.
      restored: what the run was resumed from, or None for a fresh start.
      stop_reason: why a hook wants the run to end before `number_of_steps`, or None.
      doing: what the run is busy with: "steps", "saving", or the name of a hook's class.
      seconds_beside: how long hooks and saving have taken so far, between the steps.
    """

    train_op: TrainOp
    checkpoints: Checkpoints
    step: int
    number_of_steps: int | None
    restored: Restored | None = None
    stop_reason: str | None = None
    doing: str = "steps"
    seconds_beside: float = 0.0
    _saved: tuple[int, str] | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is no step left to do."""
        finished = self.number_of_steps is not None and self.step >= self.number_of_steps
        return finished or self.stop_reason is not None

    def went_back_to(self, step: int) -> None:
        """Notes that the variables are an older step's again."""
        self.step, self._saved = step, None

    def save(self) -> str:
        """Writes a checkpoint of this step, unless this call has, and returns its prefix."""
        if self._saved is None or self._saved[0] != self.step:
            prefix = self.checkpoints.save(self.step, self.train_op.store.named_variables)
            self._saved = self.step, prefix
        return self._saved[1]


class Hook:
    """What happens beside the steps; every method may be left as it is."""

    def begin(self, run: Run) -> None:
        """Called before the first step, after the variables are made or restored."""

    def after_steps(self, run: Run, numbers: Mapping[str, np.ndarray]) -> None:
        """Called after steps; `numbers` has a value per step, by name, for the last ones up to
        `run.step`."""

    def after_save(self, run: Run, prefix: str) -> None:
        """Called after a checkpoint was written."""

    def after_return(self, run: Run, reason: str) -> None:
        """Called when the run went back to a checkpoint, `run.step`, for a loss that is no
        number."""

    def end(self, run: Run) -> None:
        """Called once after the last step, also when the run is stopped or fails."""


def train(
    train_op: TrainOp,
    logdir: str,
    batches: Callable[[int], tf.data.Dataset] | tf.data.Dataset,
    *,
    number_of_steps: int | None = None,
    steps_per_loop: int = 1,
    init_fn: Callable[[], Any] | None = None,
    save_interval_secs: float = 600,
    save_interval_steps: int = 0,
    max_to_keep: int | None = 5,
    keep_checkpoint_every_n_hours: float | None = None,
    max_nan_restores: int = 0,
    hooks: Sequence[Hook] = (),
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Trains until `number_of_steps`, or until the data ends.

    The same call on the same directory resumes: variables, slots, averages and the step come from
    the newest readable checkpoint, and the data goes on where it stopped.

    Under a strategy of several processes each makes this call, with its own share of the batches.
    The first one alone reads and writes the directory and has hooks.

    Args:
      train_op: from `create_train_op`.
      logdir: directory of the run; checkpoints are `model.ckpt-STEP`.
      batches: a dataset of the loss function's arguments (tuples, or dicts by name), with batches
        for all replicas together; or a function from the first step to such a dataset, which then
        need not be skipped over.
      number_of_steps: counted from the beginning of the run, not of this call.
      steps_per_loop: steps between two round trips to the host.
      init_fn: called for a fresh start, after the variables are made: such as from
        `slim.checkpoints.assign_from_checkpoint_fn`.
      save_interval_secs: between checkpoints; 0 saves at the end alone.
      save_interval_steps: likewise in steps.
      max_to_keep: number of newest checkpoints that stay.
      keep_checkpoint_every_n_hours: besides, one per so many hours stays.
      max_nan_restores: how often, over all resumptions, a loss or gradient that is no number sends
        the run back to its last checkpoint. It then goes on with the batch behind the one that
        failed, so those since the checkpoint are left out; `batches` should then be a function,
        as a dataset may shuffle itself anew when it is read again.
      hooks: see `Hook`.
      clock: seconds that never go back.

    Returns:
      The loss of the last step; NaN if there was none left to do.

    Raises:
      UserError: if the directory cannot be used or another trainer uses it.
      RunError: if no checkpoint of the run can be read.
      NonFiniteError: if a loss or gradient is no number once more than `max_nan_restores` allows;
        nothing is saved then.
      Preempted: after SIGTERM, SIGINT or SIGHUP, when the state is saved.
    """
    _checks.positive(number_of_steps=number_of_steps, steps_per_loop=steps_per_loop)
    _checks.non_negative(
        save_interval_secs=save_interval_secs,
        save_interval_steps=save_interval_steps,
        max_nan_restores=max_nan_restores,
    )
    workers = Workers(train_op.strategy)
    lock = TrainDirLock(logdir) if workers.is_chief else contextlib.nullcontext()
    hooks = hooks if workers.is_chief else ()
    with lock, stop_on_signals() as stop, contextlib.ExitStack() as stack:
        checkpoints = Checkpoints(
            logdir, max_to_keep=max_to_keep, keep_every_n_hours=keep_checkpoint_every_n_hours
        )
        run = _start(train_op, checkpoints, batches, number_of_steps, init_fn, workers)
        returns = NanRestores(logdir, max_nan_restores)
        for hook in hooks:
            with _busy(run, type(hook).__name__):
                hook.begin(run)
            stack.callback(hook.end, run)
        timer = Timer(save_interval_secs, clock)
        loss, saved = math.nan, run.step if run.restored else -1
        if max_nan_restores and saved < 0 and workers.is_chief:
            saved = _save(run, hooks, logdir)  # something to go back to
        for numbers in _with_returns(run, batches, steps_per_loop, workers, returns, hooks):
            loss = float(numbers["loss"][-1])
            for hook in hooks:
                with _busy(run, type(hook).__name__):
                    hook.after_steps(run, numbers)
            by_steps = save_interval_steps and _crosses(
                run.step, len(numbers["loss"]), save_interval_steps
            )
            by_time = not by_steps and timer.is_due()
            if by_time:
                timer.restart()
            leave = workers.any(bool(stop))
            if workers.is_chief and (by_steps or by_time or leave):
                saved = _save(run, hooks, logdir)
            if leave and not workers.any(run.is_over):
                raise _preempted(stop, run)
        if workers.is_chief and saved != run.step:
            _save(run, hooks, logdir)
        workers.any(True)  # none ends before the chief has saved
        return loss


def _start(
    train_op: TrainOp,
    checkpoints: Checkpoints,
    batches: Any,
    number_of_steps: int | None,
    init_fn: Callable[[], Any] | None,
    workers: Workers,
) -> Run:
    """Makes the variables and gives them the values of the newest checkpoint, or their first
    ones."""
    train_op.build(_replica_spec(batches))
    variables = train_op.store.named_variables
    restored = checkpoints.restore_latest(variables) if workers.is_chief else None
    if restored is None:
        if init_fn is not None and workers.is_chief:
            init_fn()
        if train_op.averages is not None:
            train_op.averages.reset()
    workers.take_from_chief(variables)
    step = int(train_op.global_step.numpy())
    return Run(train_op, checkpoints, step, number_of_steps, restored)


def _replica_spec(batches: Any) -> Any:
    """Returns the parts of one replica's batch; the number of examples is left open."""
    dataset = batches(0) if callable(batches) else batches
    return tf.nest.map_structure(
        lambda spec: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype), dataset.element_spec
    )


def _with_returns(
    run: Run,
    batches: Any,
    steps_per_loop: int,
    workers: Workers,
    returns: NanRestores,
    hooks: Iterable[Hook],
) -> Iterator[Mapping[str, np.ndarray]]:
    """Runs steps like `_steps`, and goes back and on where one fails and that is allowed."""
    while True:
        skipped = workers.of_chief(returns.skipped(run.step))
        try:
            yield from _steps(run, batches, steps_per_loop, workers, run.step + skipped)
            return
        except NonFiniteError as error:
            error.batch = error.step + skipped
            if workers.of_chief(returns.count) >= returns.most:
                raise
            reason = _return_to_checkpoint(run, workers, returns, error)
        for hook in hooks:
            hook.after_return(run, reason)


def _return_to_checkpoint(
    run: Run, workers: Workers, returns: NanRestores, error: NonFiniteError
) -> str:
    """Takes the values of the last checkpoint, and returns what happened, in a line."""
    variables = run.train_op.store.named_variables
    if workers.is_chief:
        run.checkpoints.restore_latest(variables)
    workers.take_from_chief(variables)
    run.went_back_to(int(run.train_op.global_step.numpy()))
    new = returns.add(run.step, error.step) if workers.is_chief else None
    skipped = new.skipped if new else 0
    return (
        f"{error.what}: back to step {run.step} and on without the {skipped} batch(es) since then "
        f"(return {returns.count} of {returns.most})"
    )


def _steps(
    run: Run, batches: Any, steps_per_loop: int, workers: Workers, first_batch: int
) -> Iterator[Mapping[str, np.ndarray]]:
    """Runs steps and yields their numbers, until the end of the run or of the data."""
    dataset = batches(first_batch) if callable(batches) else batches.skip(first_batch)
    iterator = iter(workers.distribute(dataset))
    loss = math.nan
    while not workers.any(run.is_over):
        left = steps_per_loop if run.number_of_steps is None else run.number_of_steps - run.step
        try:
            numbers = run.train_op.run(iterator, min(steps_per_loop, left))
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
    """Refuses steps after the first `first` ones if one has no finite loss or gradient."""
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
        f"{history}). Nothing was saved over the last good checkpoint. "
        "Likely causes, in this order: a learning rate that is too high (try a tenth, or clip "
        "the gradients), labels or images out of range, an optimizer epsilon that is too small",
        step=first + at,
        what=what,
    )


def _check_variables(run: Run, done: int) -> None:
    """Refuses steps that went wrong and whose numbers are lost, as the data ended within a loop."""
    for name, variable in run.train_op.variables_to_train.items():
        if not np.isfinite(variable.numpy()).all():
            raise NonFiniteError(
                f"{name} is not finite at step {done}, where the data ended; "
                f"it went wrong after step {run.step}. "
                "Nothing was saved over the last good checkpoint",
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
        run.seconds_beside += time.monotonic() - begun


def _preempted(stop: StopRequest, run: Run) -> Preempted:
    why = stop.signal.name if stop.signal else "a signal to another worker"
    return Preempted(
        f"stopped by {why} at step {run.step}, which is saved; the same command goes on from there"
    )
