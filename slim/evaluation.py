"""Evaluation of checkpoints: one, or each new one that a trainer writes.

```python
def eval_fn(images, labels):
    logits, _ = network(images)
    return {"accuracy": (tf.argmax(logits, -1), labels)}

slim.evaluation.evaluation_loop(
    train_dir, eval_dir, batches, eval_fn, {"accuracy": slim.metrics.Accuracy}
)
```
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from slim import _checks, checkpoints
from slim.checkpoints import checkpoints_iterator, wait_for_new_checkpoint
from slim.events import EventFile
from slim.store import VariableStore

__all__ = ["checkpoints_iterator", "evaluate_once", "evaluation_loop", "wait_for_new_checkpoint"]

_log = logging.getLogger(__name__)
EvalFn = Callable[..., Mapping[str, tuple[Any, ...]]]
Metrics = Mapping[str, Callable[[], Any]]


def evaluate_once(
    checkpoint_path: str,
    logdir: str | None,
    batches: tf.data.Dataset,
    eval_fn: EvalFn,
    metrics: Metrics,
    *,
    num_evals: int | None = None,
    variables_to_restore: Callable[[str], str | None] | None = None,
) -> dict[str, float]:
    """Evaluates one checkpoint.

    Args:
      checkpoint_path: a checkpoint, or a directory, whose newest is taken.
      logdir: directory for an event file with the results; None writes none.
      batches: tuples (or dicts by name) of the arguments of `eval_fn`.
      eval_fn: builds the network and returns, for each metric, the arguments of its `update`.
      metrics: for each name, a function that makes a metric, such as `slim.metrics.Accuracy`.
      num_evals: number of batches; all by default.
      variables_to_restore: from a variable's name to its name in the checkpoint, or None to leave
        the variable alone; by default every variable is restored under its own name.

    Returns:
      The result of each metric by name.

    Raises:
      UserError: if there is no checkpoint, or it does not hold the variables.
      RunError: if it cannot be read.
      ValueError: if `eval_fn` answers for other metrics than were given, or there is no batch.
    """
    _checks.positive(num_evals=num_evals)
    prefix = checkpoints.find(checkpoint_path)
    store = VariableStore(seed=0)

    def answer(batch: Any) -> Mapping[str, tuple[Any, ...]]:
        with store.as_default():
            given = eval_fn(**batch) if isinstance(batch, Mapping) else eval_fn(*batch)
        if set(given) != set(metrics):
            raise ValueError(
                f"eval_fn answers for {sorted(given)}, but the metrics are {sorted(metrics)}"
            )
        return given

    store.build(answer, batches.element_spec)
    step = _restore(prefix, store, variables_to_restore)
    measured = {name: make() for name, make in metrics.items()}

    @tf.function(autograph=False)
    def update(batch: Any) -> None:
        for name, arguments in answer(batch).items():
            measured[name].update(*arguments)

    seen = 0
    for batch in batches if num_evals is None else batches.take(num_evals):
        update(batch)
        seen += 1
    if not seen:
        raise ValueError("batches is empty: there is nothing to evaluate on")
    results = {name: metric.result() for name, metric in measured.items()}
    _log.info("%s: %s", prefix, ", ".join(f"{name} {value:.4f}" for name, value in results.items()))
    if logdir is not None:
        events = EventFile(os.fspath(logdir))
        events.scalars(step, results)
        events.close()
    return results


def evaluation_loop(
    checkpoint_dir: str,
    logdir: str | None,
    batches: tf.data.Dataset,
    eval_fn: EvalFn,
    metrics: Metrics,
    *,
    num_evals: int | None = None,
    eval_interval_secs: float = 60,
    max_number_of_evaluations: int | None = None,
    timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
    variables_to_restore: Callable[[str], str | None] | None = None,
) -> dict[str, float] | None:
    """Evaluates each new checkpoint of a directory.

    A checkpoint that the trainer removes before it is read is left out.

    Args:
      checkpoint_dir: the trainer's directory.
      logdir: as in `evaluate_once`, and likewise the other arguments not named here.
      batches: see there.
      eval_fn: see there.
      metrics: see there.
      num_evals: see there.
      eval_interval_secs: least time between the starts of two evaluations.
      max_number_of_evaluations: after which to return; None goes on.
      timeout: seconds to wait for a new checkpoint; None waits for ever.
      timeout_fn: called at a timeout, returns whether to stop.
      variables_to_restore: see there.

    Returns:
      The last results, or None if there was no checkpoint in time.
    """
    _checks.positive(max_number_of_evaluations=max_number_of_evaluations)
    results: dict[str, float] | None = None
    done = 0
    found: Iterable[str] = checkpoints_iterator(
        checkpoint_dir, eval_interval_secs, timeout, timeout_fn
    )
    for prefix in found:
        try:
            results = evaluate_once(
                prefix, logdir, batches, eval_fn, metrics,
                num_evals=num_evals, variables_to_restore=variables_to_restore,
            )  # fmt: skip
        except checkpoints.CheckpointGone:
            _log.warning("%s was removed before it could be read; taking the next", prefix)
            continue
        done += 1
        if done == max_number_of_evaluations:
            break
    return results


def _restore(prefix: str, store: VariableStore, name_of: Callable[[str], str | None] | None) -> int:
    """Gives the variables their values and returns the checkpoint's step, or 0."""
    names = {name: name if name_of is None else name_of(name) for name in store.named_variables}
    wanted = {
        there: store.named_variable(name) for name, there in names.items() if there is not None
    }
    checkpoints.restore(prefix, wanted)
    reader = checkpoints.read(prefix)
    return int(reader.get("global_step")) if "global_step" in reader else 0
