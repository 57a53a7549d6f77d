"""Asynchronous training: workers compute steps, whose variables are on parameter servers.

Each worker reads the variables, computes the gradients of a batch of its own and applies them,
without waiting for the others. Only the coordinator runs a program; workers and servers are
`tf.distribute.Server`s.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from slim import _checks

_GRACE = 10.0  # seconds for unfinished steps after a signal
_MAX_ATTEMPTS = 20  # at a step whose worker ended before its metrics were read


class ServerLostError(_checks.RunError):
    """A parameter server ended or cannot be reached, and with it its variables."""


class AbandonedError(Exception):
    """Steps did not end after a signal. They are not counted, though some may have been applied."""


def is_asynchronous(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether the strategy has parameter servers."""
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)


def next_to(variable: tf.Variable) -> contextlib.AbstractContextManager[Any]:
    """Creates variables on the parameter server of another, in the scope of a strategy."""
    strategy = tf.distribute.get_strategy()
    if not is_asynchronous(strategy):
        return contextlib.nullcontext()
    return strategy.extended.colocate_vars_with(variable)


def distribute(strategy: tf.distribute.Strategy, batches: Callable[[], tf.data.Dataset]) -> Any:
    """Returns batches that each worker reads by itself.

    Args:
      strategy: has parameter servers.
      batches: returns the dataset of a worker; called once, in a graph.

    Returns:
      an iterable, with the `element_spec` of the datasets.
    """
    function = tf.function(batches, autograph=False).get_concrete_function()
    return tf.distribute.coordinator.ClusterCoordinator(strategy).create_per_worker_dataset(
        function
    )


class RemoteSteps:
    """Runs steps on whichever worker is free.

    If a worker ends, another one repeats its step, which is then counted once, although it may have
    been applied in part. The worker continues when it has been started again.

    Args:
      strategy: has parameter servers.
      step: computes and applies a step, traced once; from the iterator of the worker's batches and
        the number of steps before it, an int64 scalar, to float32 scalars by name.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        step: Callable[[Any, tf.Tensor], dict[str, tf.Tensor]],
    ) -> None:
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self._names: list[str] = []

        def packed(batches: Any, done: tf.Tensor) -> tf.Tensor:
            result = step(batches, done)
            self._names = sorted(result)
            return tf.stack([result[name] for name in self._names])

        self._step = tf.function(packed, autograph=False)

    def __call__(
        self, batches: Any, first: int, steps: int, is_stopped: Callable[[], bool] | None
    ) -> dict[str, np.ndarray]:
        """Runs steps; the metrics are in the order of their numbers, each of shape [steps].

        Args:
          batches: an iterator of `distribute`.
          first: number of steps before these.
          steps: number of steps.
          is_stopped: returns whether to end soon.

        Raises:
          AbandonedError: if they do not end soon after `is_stopped`.
          ServerLostError: if a parameter server is lost. `tf.errors.OpError`: of the step.
        """
        rows: dict[int, np.ndarray] = {}
        try:
            for _ in range(_MAX_ATTEMPTS):
                missing = [n for n in range(first, first + steps) if n not in rows]
                if not missing:
                    break
                results = {number: self._schedule(batches, number) for number in missing}
                self._wait(is_stopped)
                for number, result in results.items():
                    # Lost with its worker, after the step: repeated, as one that was interrupted.
                    with contextlib.suppress(*_OF_A_WORKER):
                        rows[number] = result.fetch()
        except Exception as error:  # TensorFlow wraps those of the input pipeline
            raise _translated(error) from error
        if len(rows) < steps:
            raise ServerLostError("the workers end before the results of their steps are read")
        columns = np.stack([row for _, row in sorted(rows.items())], axis=1)
        return dict(zip(self._names, columns, strict=True))

    def _schedule(self, batches: Any, number: int) -> Any:
        with tf.device("CPU:0"):
            done = tf.constant(number, tf.int64)
        return self._coordinator.schedule(self._step, args=(batches, done))

    def _wait(self, is_stopped: Callable[[], bool] | None) -> None:
        """Waits for all steps, in Python, so that signals are handled."""
        pause, deadline = 0.001, None
        while not self._coordinator.done():
            time.sleep(pause)
            pause = min(pause * 1.2, 0.02)
            if deadline is None and is_stopped is not None and is_stopped():
                deadline = time.monotonic() + _GRACE
            if deadline is not None and time.monotonic() > deadline:
                raise AbandonedError


_OF_A_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InvalidArgumentError,  # a worker that was started again does not know the tensor
)


def _translated(error: Exception) -> Exception:
    """Returns the error to raise for one of the coordinator."""
    error = getattr(error, "original_exception", error)
    if isinstance(error, tf.errors.UnavailableError | tf.errors.AbortedError):
        return ServerLostError(
            "a parameter server ended or cannot be reached, and its variables are lost. The last"
            " checkpoint is intact; the same commands resume from it"
        )
    return error
