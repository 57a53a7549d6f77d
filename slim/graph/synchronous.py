"""Synchronous training of several workers by `tf.compat.v1.train.SyncReplicasOptimizer`."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from slim import _checks

v1 = tf.compat.v1


class Synchronous:
    """What synchronous optimizers need of a session; does nothing without one.

    Args:
      optimizers: one, a list, or None.
      startup_delay_steps: steps that a worker lets the others take first.
      is_chief: whether this worker is the chief.

    Raises:
      UserError: if one of them is another optimizer, or there is a delay.
    """

    def __init__(self, optimizers: Any, startup_delay_steps: int, is_chief: bool) -> None:
        if optimizers is None:
            optimizers = []
        self._optimizers = (
            list(optimizers) if isinstance(optimizers, list | tuple) else [optimizers]
        )
        self._is_chief = is_chief
        self._token_ops: Sequence[tf.Operation] = []
        self._queue_runners: Sequence[v1.train.QueueRunner] = []
        if self._optimizers and startup_delay_steps > 0:
            raise _checks.UserError(
                f"startup_delay_steps={startup_delay_steps} must be 0 with a sync_optimizer"
            )
        for each in self._optimizers:
            if not isinstance(each, v1.train.SyncReplicasOptimizer):
                raise _checks.UserError(
                    f"sync_optimizer is a {type(each).__name__}. Pass one or a list of"
                    " tf.compat.v1.train.SyncReplicasOptimizer"
                )

    def init_ops(self, local_init_op: Any) -> tuple[Any, tf.Tensor | None]:
        """Returns the initializer of local variables, and when it may run (None: at once)."""
        if not self._optimizers:
            return local_init_op, None
        name = "chief_init_op" if self._is_chief else "local_step_init_op"
        with tf.control_dependencies([] if local_init_op is None else [local_init_op]):
            grouped = tf.group(*[getattr(each, name) for each in self._optimizers])
        ready = [each.ready_for_local_init_op for each in self._optimizers]
        return grouped, tf.concat(ready, axis=0)

    def prepare(self) -> None:
        """Creates the operations of the chief, before the supervisor finalizes the graph."""
        if self._is_chief:
            self._token_ops = [each.get_init_tokens_op() for each in self._optimizers]
            self._queue_runners = [each.get_chief_queue_runner() for each in self._optimizers]

    def start(self, supervisor: v1.train.Supervisor, session: v1.Session) -> None:
        """Starts the queues of the chief and hands out the first tokens."""
        if self._queue_runners:
            supervisor.start_queue_runners(session, self._queue_runners)
            session.run(self._token_ops)
