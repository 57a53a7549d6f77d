"""Evaluation of a checkpoint by a function of batches."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from slim import _checks, checkpoints, outside_variables
from slim.checkpoints import checkpoints_iterator
from slim.events import EventFile
from slim.store import VariableStore

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
    """Evaluates one checkpoint, see `slim.evaluation.evaluate_once`."""
    _checks.positive(num_evals=num_evals)
    prefix = checkpoints.find(checkpoint_path)
    store = VariableStore(seed=0)

    def answer(batch: Any) -> Mapping[str, tuple[Any, ...]]:
        with store.as_default():
            arguments = eval_fn(**batch) if isinstance(batch, Mapping) else eval_fn(*batch)
        if set(arguments) != set(metrics):
            raise ValueError(
                f"eval_fn returns {sorted(arguments)}, but the metrics are {sorted(metrics)}"
            )
        return arguments

    outside_variables.build(store, answer, batches.element_spec)
    step = _restore(prefix, store, variables_to_restore)
    updated = {name: make() for name, make in metrics.items()}

    @tf.function(autograph=False)
    def update(batch: Any) -> None:
        for name, arguments in answer(batch).items():
            updated[name].update(*arguments)

    count = 0
    for batch in batches if num_evals is None else batches.take(num_evals):
        update(batch)
        count += 1
    if not count:
        raise ValueError("batches is empty")
    results = {name: metric.result() for name, metric in updated.items()}
    scalars = {name: value for name, value in results.items() if np.ndim(value) == 0}
    _log.info("%s: %s", prefix, ", ".join(f"{name} {value:.4f}" for name, value in scalars.items()))
    if logdir is not None:
        events = EventFile(os.fspath(logdir))
        events.scalars(step, scalars)
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
    """Evaluates each new checkpoint, see `slim.evaluation.evaluation_loop`."""
    _checks.positive(max_number_of_evaluations=max_number_of_evaluations)
    results: dict[str, float] | None = None
    done = 0
    prefixes: Iterable[str] = checkpoints_iterator(
        checkpoint_dir, eval_interval_secs, timeout, timeout_fn
    )
    for prefix in prefixes:
        try:
            results = evaluate_once(
                prefix, logdir, batches, eval_fn, metrics,
                num_evals=num_evals, variables_to_restore=variables_to_restore,
            )  # fmt: skip
        except checkpoints.CheckpointGone:
            _log.warning("%s was removed before it could be read; continuing with the next", prefix)
            continue
        done += 1
        if done == max_number_of_evaluations:
            break
    return results


def _restore(prefix: str, store: VariableStore, name_of: Callable[[str], str | None] | None) -> int:
    """Restores the variables and returns the checkpoint's step, or 0."""
    names = {name: name if name_of is None else name_of(name) for name in store.named_variables}
    restored = {key: store.named_variable(name) for name, key in names.items() if key is not None}
    checkpoints.restore(prefix, restored)
    reader = checkpoints.read(prefix)
    return int(reader.get("global_step")) if "global_step" in reader else 0
