"""Communication between processes that train a network synchronously."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slim import _checks, parameter_servers

_ABORTED = "Collective ops is aborted"


class LostWorkersError(_checks.RunError):
    """Another process ended or cannot be reached."""


class Workers:
    """The processes of a strategy, as seen by one of them.

    Every method that communicates must be called by all processes in the same order; with a single
    process it does nothing.

    Args:
      strategy: of any kind; MultiWorkerMirrored has several processes.

    Attributes:
      count: number of processes; those of parameter servers and their workers run no program.
      index: number of this one, from 0.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self._is_asynchronous = parameter_servers.is_asynchronous(strategy)
        resolver = None if self._is_asynchronous else strategy.cluster_resolver
        hosts = resolver.cluster_spec().as_dict().get("worker", []) if resolver else []
        self.count = max(1, len(hosts))
        self.index = int(resolver.task_id or 0) if hosts else 0

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run's files."""
        return self.index == 0

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set in any process."""
        if self.count == 1:
            return flag
        try:
            return bool(self._sums([tf.constant(float(flag))])[0] > 0)
        except tf.errors.OpError as error:
            raise translated(error, self) from error

    def of_chief(self, number: int) -> int:
        """Returns the first process's number."""
        if self.count == 1:
            return number
        return int(self._sums([tf.constant(number if self.is_chief else 0, tf.int64)])[0])

    def take_from_chief(self, variables: dict[str, tf.Variable]) -> None:
        """Sets variables to their values in the first process."""
        if self.count == 1:
            return
        values = [local_value(variable) for variable in variables.values()]
        # Values are summed, and only the chief's are nonzero.
        common = self._sums(values if self.is_chief else [tf.zeros_like(v) for v in values])
        for variable, value in zip(variables.values(), common, strict=True):
            variable.assign(value)

    def element_spec(self, batches: Callable[[], tf.data.Dataset]) -> Any:
        """Returns the specs of the batches that `distribute` takes."""
        if self._is_asynchronous:
            return self.distribute(batches).element_spec
        return batches().element_spec

    def distribute(self, batches: Callable[[], tf.data.Dataset]) -> Any:
        """Returns the batches distributed to the replicas, with an `element_spec`.

        Args:
          batches: returns batches for all replicas of this process; each process has its own part.
        """
        if self._is_asynchronous:
            return parameter_servers.distribute(self._strategy, batches)
        dataset = batches()
        if self.count == 1:
            return self._strategy.experimental_distribute_dataset(dataset)
        clones = len(self._strategy.extended.worker_devices)
        if clones > 1:
            size = tf.nest.flatten(dataset.element_spec)[0].shape[0]
            dataset = dataset.rebatch(size // clones)
        return self._strategy.distribute_datasets_from_function(lambda _: dataset)

    @tf.function(autograph=False)
    def _sums(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        return [self._strategy.reduce(tf.distribute.ReduceOp.SUM, v, axis=None) for v in values]


def local_value(variable: tf.Variable) -> tf.Tensor:
    """Returns the value of a variable on the first replica of this process.

    A training step keeps variables with one value per replica equal, see
    `slim.reduction.SharedAverages`; to read their mean, all processes would have to participate.
    """
    strategy = getattr(variable, "distribute_strategy", None)
    if strategy is not None:
        variable = strategy.experimental_local_results(variable)[0]
    return tf.identity(variable)


def is_lost(error: BaseException) -> bool:
    """Returns whether an error may be due to another process that ended or cannot be reached."""
    lost = (tf.errors.UnavailableError, tf.errors.CancelledError, tf.errors.AbortedError)
    if isinstance(error, (LostWorkersError, parameter_servers.ServerLostError, *lost)):
        return True
    return isinstance(error, tf.errors.OpError) and _ABORTED in str(error)


def translated(error: tf.errors.OpError, workers: Workers) -> Exception:
    """Returns the error to raise for an error during training with several workers."""
    if workers.count == 1 or not is_lost(error):
        return error
    return LostWorkersError(
        f"worker {workers.index} of {workers.count} lost the others: one of them ended or cannot "
        "be reached. The last checkpoint is intact; the same commands resume from it"
    )
