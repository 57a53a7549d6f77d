"""The batches of a training run from any step on; a pipeline opens while the step is traced."""

import functools
from collections.abc import Callable
from concurrent import futures
from typing import Any

import tensorflow as tf

from slim import _checks, parameter_servers
from slim.workers import Workers


class RunInput:
    """The batches of a run, distributed to its replicas.

    Args:
      batches: a dataset, or a function from the first step to one.
      strategy: of the run.
      workers: the processes of the strategy.

    Raises:
      UserError: if `batches` is a dataset and there are parameter servers.
    """

    def __init__(
        self,
        batches: Callable[[int], tf.data.Dataset] | tf.data.Dataset,
        strategy: tf.distribute.Strategy,
        workers: Workers,
    ) -> None:
        if not parameter_servers.is_asynchronous(strategy):
            # The specs and the iterator are of the same ones. With parameter servers, each worker
            # has its own.
            if callable(batches):
                batches = functools.lru_cache(maxsize=1)(batches)
        elif not callable(batches):
            raise _checks.UserError(
                "batches is a dataset, but with parameter servers each worker creates its own. Pass"
                " a function from the first step to a dataset; it may call"
                " tf.distribute.coordinator.experimental_get_current_worker_index()"
            )
        self._batches = batches
        self._workers = workers
        self._opening: tuple[int, futures.Future[Any]] | None = None

    def element_spec(self, first: int) -> Any:
        """Returns the specs of the batches from a step on."""
        batches = self._batches
        return self._workers.element_spec(lambda: batches(first) if callable(batches) else batches)

    def open(self, first: int) -> None:
        """Starts to open the batches from a step on, in a thread; for a single process."""
        pool = futures.ThreadPoolExecutor(1)
        self._opening = first, pool.submit(self._opened, first)
        pool.shutdown(wait=False)

    def iterator(self, first: int) -> Any:
        """Returns an iterator over the batches from a step on."""
        opening, self._opening = self._opening, None
        if opening is not None:
            iterator = opening[1].result()
            if opening[0] == first:
                return iterator
        return self._opened(first)

    def _opened(self, first: int) -> Any:
        skip = self._batches if callable(self._batches) else self._batches.skip
        return iter(self._workers.distribute(lambda: skip(first)))
