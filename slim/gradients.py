"""Loss and gradients of one replica's batch, computed at once or in several parts."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks, outside_variables
from slim.loss_scale import DynamicLossScale
from slim.store import VariableStore

LossFn = Callable[..., tf.Tensor | tuple[tf.Tensor, Mapping[str, tf.Tensor]]]


class Backward:
    """Runs a loss function forward and backward.

    Args:
      loss_fn: see `slim.learning.create_train_op`.
      store: the variables.
      choose: from the names of all trainable variables to those to train.
      loss_scale: factor on the loss before differentiation, or None.
      accumulate_steps: number of equal parts of a batch, computed one after the other; losses and
        gradients are the means over them.
      jit_compile: compile with XLA.
      recompute: recompute the activations inside the network's segments for the gradients.
    """

    def __init__(
        self,
        loss_fn: LossFn,
        store: VariableStore,
        choose: Callable[[Sequence[str]], Sequence[str]],
        loss_scale: DynamicLossScale | None,
        accumulate_steps: int = 1,
        jit_compile: bool = False,
        recompute: bool = False,
    ) -> None:
        self.loss_fn = loss_fn
        self.store = store
        self.loss_scale = loss_scale
        self._choose = choose
        self._parts = accumulate_steps
        self._jit_compile = jit_compile
        self._recompute = recompute

    @property
    def can_create_variables(self) -> bool:
        """Whether a call may create the network's variables, as it is one plain trace."""
        plain = self._parts == 1 and not self._jit_compile and not self._recompute
        return plain and self.loss_scale is None

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """The variables to train, by name."""
        trainable = [name for name, record in self.store.records.items() if record.trainable]
        return {name: self.store.named_variable(name) for name in self._choose(trainable)}

    def __call__(
        self,
        batch: Any,
        seed: tf.Tensor,
        step: tf.Tensor,
        replicas: int = 1,
        complete: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Returns "loss", "numbers" (by name) and "gradients" (by the variable's name).

        Args:
          batch: the arguments of the loss function.
          seed: int32 [2], from which dropout draws.
          step: number of completed steps, an integer.
          replicas: the gradients are those of the loss over this number.
          complete: called when the network's variables exist, before the gradients are computed.

        Raises:
          ValueError: if the loss depends on no variable, or the batch cannot be split equally.
          UserError: if `recompute` is set and the network has no segments.
        """
        if self._parts == 1 and not self._jit_compile:
            return self._once(batch, seed, step, replicas, complete)
        # A separate function, which XLA can compile and which the graph contains once.
        once = tf.function(self._once, autograph=False, jit_compile=self._jit_compile or None)
        once = functools.partial(once, step=step, replicas=replicas, complete=complete)
        return once(batch, seed) if self._parts == 1 else self._mean(once, batch, seed)

    def _once(
        self,
        batch: Any,
        seed: tf.Tensor,
        step: tf.Tensor,
        replicas: int,
        complete: Callable[[], None],
    ) -> dict[str, Any]:
        scaling = self.loss_scale
        entered = self.store.as_default(seed, self._recompute, step)
        with entered as one_pass, tf.GradientTape() as tape:
            loss, numbers = call(self.loss_fn, batch)
            if self._recompute and not one_pass.num_segments:
                raise _checks.UserError(
                    "recompute_gradients has no effect: the network has no segments"
                )
            target = loss if scaling is None else scaling.scale(loss)
            target = target / replicas if replicas > 1 else target
        outside_variables.check_known(self.store, tape.watched_variables())
        complete()
        gradients = tape.gradient(target, self.variables)
        present = {n: tf.convert_to_tensor(g) for n, g in gradients.items() if g is not None}
        if not present:
            raise ValueError("the loss does not depend on any of the variables to train")
        return {"loss": loss, "numbers": dict(numbers), "gradients": present}

    def _mean(self, once: Callable[..., Any], batch: Any, seed: tf.Tensor) -> dict[str, Any]:
        """Returns the mean of the results over the parts, computed one at a time."""
        parts = tf.nest.map_structure(self._cut, batch)

        def result(part: int | tf.Tensor) -> Any:
            own_seed = tf.random.experimental.stateless_fold_in(seed, part)
            return once(tf.nest.map_structure(lambda value: value[part], parts), own_seed)

        first = result(0)

        def add(part: tf.Tensor, *sums: tf.Tensor) -> list[tf.Tensor]:
            values = tf.nest.flatten(result(part))
            return [part + 1, *(total + value for total, value in zip(sums, values, strict=True))]

        _, *sums = tf.while_loop(
            lambda part, *_: part < self._parts,
            add,
            [tf.constant(1), *tf.nest.flatten(first)],
            parallel_iterations=1,
        )
        return tf.nest.pack_sequence_as(first, [total / self._parts for total in sums])

    def _cut(self, value: tf.Tensor) -> tf.Tensor:
        """Returns [parts, batch / parts, ...] of [batch, ...]."""
        size = value.shape[0]
        if size is not None and size % self._parts:
            raise ValueError(
                f"accumulate_steps={self._parts} does not divide a batch of {size} examples"
            )
        rows = tf.shape(value)[0] // self._parts if size is None else size // self._parts
        return tf.reshape(value, [self._parts, rows, *value.shape[1:]])


def call(loss_fn: LossFn, batch: Any) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
    """Returns the loss of a batch and the metrics to log."""
    if isinstance(batch, Mapping):
        result = loss_fn(**batch)
    else:
        result = loss_fn(*batch) if isinstance(batch, tuple) else loss_fn(batch)
    return result if isinstance(result, tuple) else (result, {})
