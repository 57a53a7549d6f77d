"""One training step: loss function, gradients, update, over a `tf.distribute` strategy."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim import _checks, _garbage, outside_variables, parameter_servers
from slim.gradient_transforms import (
    Multipliers,
    clip_gradient_norms,
    multiply_gradients,
    resolve_multipliers,
)
from slim.gradients import Backward, LossFn, call
from slim.kept_batch import KeptBatch
from slim.loss_scale import DynamicLossScale
from slim.moving_averages import MovingAverages
from slim.optimizers import Optimizer
from slim.optimizers.adapters import adapt
from slim.passes import current_store
from slim.reduction import AllReduce, SharedAverages
from slim.store import VariableStore
from slim.variables import get_or_create_global_step


class TrainOp:
    """A training step, created by `create_train_op`.

    Attributes:
      store: the variables: the network's, the optimizer's slots, the averages and the global step.
      strategy: the `tf.distribute` strategy the step runs under.
      averages: the moving averages of the weights, or None.
      kept_batch: the last batch, or None if it is not kept.
    """

    def __init__(
        self,
        backward: Backward,
        optimizer: Optimizer,
        strategy: tf.distribute.Strategy,
        transform_gradients: Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]],
        averages: MovingAverages | None,
        seed: int,
        multipliers: Multipliers,
        all_reduce: AllReduce,
        keep_batch: bool = False,
        trace_once: bool = False,
    ) -> None:
        self.store = backward.store
        self.strategy = strategy
        self.averages = averages
        is_kept = keep_batch and not parameter_servers.is_asynchronous(strategy)
        self.kept_batch = KeptBatch(strategy) if is_kept else None
        self._backward = backward
        self._optimizer = optimizer
        self._transform_gradients = transform_gradients
        self._loss_scale = backward.loss_scale
        self._seed = seed
        self._multipliers = multipliers
        self._all_reduce = all_reduce
        self._trace_once = trace_once
        self._rate_multipliers: Mapping[str, float] = {}
        self._built = False
        # Of this object: a cache of the class would keep the variables of another one alive.
        self._loop = functools.lru_cache(maxsize=8)(self._new_loop)
        # Odd while a step computes; on the host, readable by a thread while a device is busy.
        self._pulse: tf.Variable | None = None
        self._tracing = False

    @property
    def activity(self) -> str:
        """What `run` is doing, for other threads: "building", "waiting" or "computing"."""
        if self._tracing or self._pulse is None:
            return "building"
        return "computing" if int(self._pulse.numpy()) % 2 else "waiting"

    @property
    def global_step(self) -> tf.Variable:
        """Number of completed steps, an int64 variable."""
        with self.store.as_default():
            return get_or_create_global_step()

    @property
    def variables_to_train(self) -> dict[str, tf.Variable]:
        """The variables that the step updates, by name."""
        return self._backward.variables

    def build(self, batch_spec: Any) -> None:
        """Creates all variables, by tracing the loss once.

        Args:
          batch_spec: the `tf.TensorSpec` of each part of a replica's batch, as a tuple or dict.

        Raises:
          UserError: if there is nothing to train.
        """
        if self._built:
            return
        with self.strategy.scope(), _garbage.paused():
            _ = self.global_step
            loss = functools.partial(call, self._backward.loss_fn)
            outside_variables.build(self.store, loss, batch_spec)
            self._complete()

    def _complete(self) -> None:
        """Creates the variables that depend on those of the network, unless they exist."""
        if self._built:
            return
        variables = self.variables_to_train
        if not variables:
            raise _checks.UserError(
                "no variables to train; the network has: "
                + _checks.listed(self.store.named_variables, most=10)
            )
        self._rate_multipliers = resolve_multipliers(self._multipliers, variables)
        self._optimizer.build(self.store, variables)
        if self.averages is not None:
            self.averages.build()
        if self._loss_scale is not None:
            self._loss_scale.build(self.store)
        self._built = True

    @property
    def can_trace(self) -> bool:
        """Whether `trace` can take the place of `build`."""
        is_default = not tf.distribute.has_strategy()
        is_single = is_default and self.strategy is tf.distribute.get_strategy()
        is_new = self._trace_once and not self._built
        return is_single and is_new and self._backward.can_create_variables

    def trace(self, element_spec: Any, steps: int = 1) -> None:
        """Traces what `run` runs, and creates all variables meanwhile.

        Args:
          element_spec: of the batches.
          steps: number of steps, as of `run`.

        Raises:
          UserError: if there is nothing to train.
        """
        _ = self.global_step
        self._create_pulse()
        self._loop(steps).get_concrete_function(tf.data.IteratorSpec(element_spec))

    def run(
        self, batches: Any, steps: int = 1, is_stopped: Callable[[], bool] | None = None
    ) -> dict[str, np.ndarray]:
        """Runs steps on the next batches of an iterator, with one round trip to the host.

        Args:
          batches: an iterator of a (distributed) `tf.data.Dataset` whose elements are the tuple or
            dict of arguments of the loss function.
          steps: number of steps; those of one call run at the same time if there are parameter
            servers.
          is_stopped: returns whether to wait only a little longer for the workers of parameter
            servers.

        Returns:
          Metrics by name, each of shape [steps]: "loss" (with regularization), "learning_rate",
          "gradient_norm", "data_wait" (seconds), and the loss function's own.

        Raises:
          AbandonedError, ServerLostError: see `parameter_servers.RemoteSteps`.
        """
        self._create_pulse()
        if parameter_servers.is_asynchronous(self.strategy):
            return self._run_remotely(batches, steps, is_stopped)
        return {name: values.numpy() for name, values in self._loop(steps)(batches).items()}

    def _create_pulse(self) -> None:
        if self._pulse is None:
            with tf.device("CPU:0"):
                self._pulse = tf.Variable(0, dtype=tf.int64, trainable=False, name="pulse")

    def _run_remotely(
        self, batches: Any, steps: int, is_stopped: Callable[[], bool] | None
    ) -> dict[str, np.ndarray]:
        first = int(self.global_step.numpy())
        self._pulse.assign_add(1)
        try:
            numbers = self._remote_steps(batches, first, steps, is_stopped)
        finally:
            self._pulse.assign_add(1)
        # Not by the steps: one that a worker repeats for another would count twice.
        self.global_step.assign(first + steps)
        return numbers

    @functools.cached_property
    def _remote_steps(self) -> parameter_servers.RemoteSteps:
        now = _clock()

        def one(batches: Any, done: tf.Tensor) -> dict[str, tf.Tensor]:
            batch, waited = _timed(batches, now)
            return {**self._update_with(batch, done), "data_wait": waited}

        return parameter_servers.RemoteSteps(self.strategy, one)

    def _new_loop(self, steps: int) -> Callable[[Any], dict[str, tf.Tensor]]:
        now = _clock()

        def one(batches: Any) -> dict[str, tf.Tensor]:
            batch, waited = _timed(batches, now)
            with tf.control_dependencies(_components(batch)):
                beat = self._pulse.assign_add(1)
            if self.kept_batch is not None:
                self.kept_batch.keep(batch)
            result = self._step(batch)
            with tf.control_dependencies([beat, *result.values()]):
                self._pulse.assign_add(1)
            return {**result, "data_wait": waited}

        def traced(function: Callable[[Any], dict[str, tf.Tensor]], batches: Any) -> Any:
            self._tracing = True
            try:
                with _garbage.paused():
                    return function(batches)
            finally:
                self._tracing = False

        def many(batches: Any) -> dict[str, tf.Tensor]:
            results = [one(batches)]
            names = sorted(results[0])
            arrays = [tf.TensorArray(tf.float32, steps).write(0, results[0][n]) for n in names]
            _, arrays = tf.while_loop(
                lambda i, arrays: i < steps,
                lambda i, arrays: (i + 1, _written(arrays, i, one(batches), names)),
                (1, arrays),
                parallel_iterations=1,
            )
            return {name: array.stack() for name, array in zip(names, arrays, strict=True)}

        def single(batches: Any) -> dict[str, tf.Tensor]:
            return {name: tf.expand_dims(value, 0) for name, value in one(batches).items()}

        function = functools.partial(traced, single if steps == 1 else many)
        return tf.function(function, autograph=False)

    def _step(self, batch: Any) -> dict[str, tf.Tensor]:
        step = self.global_step
        result = self._update_with(batch, tf.identity(step))
        with tf.control_dependencies(list(result.values())):
            step.assign_add(1)
        return result

    def _update_with(self, batch: Any, done: tf.Tensor) -> dict[str, tf.Tensor]:
        """Updates all variables but the global step, by a batch after `done` steps."""
        values = self.strategy.run(self._replica_step, args=(batch, done))
        if self.averages is not None:
            with tf.control_dependencies(
                tf.nest.flatten(self.strategy.experimental_local_results(values))
            ):
                self.averages.update(done)
        # Equal on every replica: the loss and the metrics are averaged inside.
        return {name: self._first(value) for name, value in values.items()}

    def _first(self, value: Any) -> tf.Tensor:
        return tf.cast(self.strategy.experimental_local_results(value)[0], tf.float32)

    def _replica_step(self, batch: Any, step: tf.Tensor) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        seed = tf.random.experimental.stateless_fold_in(tf.stack([self._seed, 0]), step)
        seed = tf.random.experimental.stateless_fold_in(seed, context.replica_id_in_sync_group)
        shared = SharedAverages(self.store.named_variables)
        replicas = context.num_replicas_in_sync
        before = shared.values() if replicas > 1 else {}
        result = self._backward(batch, seed, step, replicas, self._complete)
        after = shared.values() if before else {}
        others = {
            "numbers": result["numbers"] | {"loss": result["loss"]},
            "changes": {name: after[name] - value for name, value in before.items()},
        }
        present, others = self._all_reduce(result["gradients"], others)
        shared.assign(before, others["changes"])
        numbers = others["numbers"]
        rate = self._optimizer.learning_rate_at(step)
        updated = self._update if self._loss_scale is None else self._update_scaled
        return {**numbers, "learning_rate": rate, **updated(present, rate)}

    def _update(self, gradients: Mapping[str, tf.Tensor], rate: tf.Tensor) -> dict[str, tf.Tensor]:
        norm = tf.linalg.global_norm(list(gradients.values()))
        self._apply(gradients, rate, None)
        return {"gradient_norm": norm}

    def _update_scaled(
        self, gradients: Mapping[str, tf.Tensor], rate: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Updates unless a gradient overflowed; that step then reports a norm of 0, unless the
        scale is already the lowest."""
        assert self._loss_scale is not None
        gradients, finite = self._loss_scale.unscale(gradients)
        norm = tf.linalg.global_norm(list(gradients.values()))
        self._apply(gradients, rate, finite)
        scale = self._loss_scale.update(finite)
        hidden = tf.logical_and(tf.logical_not(finite), scale > self._loss_scale.lowest)
        return {"gradient_norm": tf.where(hidden, 0.0, norm), "loss_scale": scale}

    def _apply(
        self, gradients: Mapping[str, tf.Tensor], rate: tf.Tensor, where: tf.Tensor | None
    ) -> None:
        gradients = self._transform_gradients(gradients)
        self._optimizer.apply(self.store, gradients, rate, where, self._rate_multipliers)


def _clock() -> Callable[[], tf.Tensor]:
    """Returns a function that returns the time in seconds, float64.

    TensorFlow's own clock cannot be used when its kernels must be deterministic.
    """
    with tf.init_scope():
        try:
            tf.timestamp()
        except tf.errors.FailedPreconditionError:
            return lambda: tf.numpy_function(time.perf_counter, [], tf.float64)
    return tf.timestamp


def _timed(batches: Any, now: Callable[[], tf.Tensor]) -> tuple[Any, tf.Tensor]:
    """Returns the next batch, and the seconds waited for it."""
    started = now()
    with tf.control_dependencies([started]):
        batch = next(batches)
    with tf.control_dependencies(_components(batch)):
        return batch, tf.cast(now() - started, tf.float32)


def _components(batch: Any) -> list[tf.Tensor]:
    """Returns the tensors of a batch, whose values may be per replica."""
    values = [getattr(value, "values", (value,)) for value in tf.nest.flatten(batch)]
    return [tensor for several in values for tensor in several]


def _written(arrays: Sequence[tf.TensorArray], index: tf.Tensor, result: Mapping[str, tf.Tensor],
             names: Sequence[str]) -> list[tf.TensorArray]:  # fmt: skip
    return [array.write(index, result[name]) for array, name in zip(arrays, names, strict=True)]


def create_train_op(
    total_loss: LossFn,
    optimizer: Any,
    *,
    store: VariableStore | None = None,
    strategy: tf.distribute.Strategy | None = None,
    variables_to_train: Sequence[Any] | Callable[[Sequence[str]], Sequence[str]] | None = None,
    clip_gradient_norm: float = 0,
    gradient_multipliers: Mapping[str, float] | None = None,
    moving_average_decay: float | None = None,
    loss_scale: DynamicLossScale | None = None,
    seed: int = 0,
    learning_rate_multipliers: Multipliers | None = None,
    accumulate_steps: int = 1,
    jit_compile: bool = False,
    recompute_gradients: bool = False,
    all_reduce: AllReduce | None = None,
    keep_batch: bool = False,
    trace_once: bool = False,
) -> TrainOp:
    """Creates a training step from a loss function, see `slim.learning.create_train_op`."""
    _checks.non_negative(clip_gradient_norm=clip_gradient_norm)
    _checks.positive(accumulate_steps=accumulate_steps)
    store = current_store() if store is None else store
    strategy = tf.distribute.get_strategy() if strategy is None else strategy
    multipliers = learning_rate_multipliers or {}
    optimizer = adapt(
        optimizer, strategy, learning_rate_multipliers=multipliers, loss_scale=loss_scale
    )

    def choose(names: Sequence[str]) -> Sequence[str]:
        if callable(variables_to_train):
            return variables_to_train(names)
        chosen = names if variables_to_train is None else variables_to_train
        return [_trainable_name(each, names, store) for each in chosen]

    def transform(gradients: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        if gradient_multipliers:
            gradients = multiply_gradients(gradients, gradient_multipliers)
        return (
            clip_gradient_norms(gradients, clip_gradient_norm) if clip_gradient_norm else gradients
        )

    averages = None if moving_average_decay is None else MovingAverages(moving_average_decay, store)
    backward = Backward(
        total_loss, store, choose, loss_scale, accumulate_steps, jit_compile, recompute_gradients
    )
    return TrainOp(
        backward, optimizer, strategy, transform, averages, seed, multipliers,
        all_reduce or AllReduce(), keep_batch, trace_once,
    )  # fmt: skip


def _trainable_name(variable: Any, names: Sequence[str], store: VariableStore) -> str:
    """Returns the name of a variable to train, a name, a `tf.Variable` or Keras' own."""
    name = variable
    if not isinstance(variable, str):
        inner = getattr(variable, "value", None)  # of a Keras variable; of a tf.Variable, a method
        name = store.name_of(inner if isinstance(inner, tf.Variable) else variable)
        name = getattr(variable, "name", repr(variable)) if name is None else name
    if name not in names:
        hint = _checks.suggest(name, names) or "."
        raise _checks.UserError(
            f"variables_to_train: {name!r} is not a trainable variable of the store{hint}"
            f" Trainable: {_checks.listed(names, 10)}"
        )
    return name
