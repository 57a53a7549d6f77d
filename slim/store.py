"""The variable store: where a network, which is a plain function, finds its variables by name.

```python
store = slim.VariableStore()
with store.as_default():                  # one pass
    logits, end_points = network(images)
    loss = slim.losses.get_total_loss()
store.named_variables["LeNet/conv1/weights"]
```

The first pass creates variables, later passes reuse them. What belongs to a single pass (losses,
automatic names, named outputs) lives in its `Pass` and ends with it. Stores, passes and scopes are
stacked per thread.
"""

import contextlib
import copy
import dataclasses
import random
import threading
import types
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import graph_variables
from slim.initializers import Initializer, constant_initializer, variable_seed
from slim.regularizers import Regularizer
from slim.scopes import ROOT, ScopeNames, VariableScope


@dataclasses.dataclass(frozen=True)
class Record:
    """A variable's properties in a store.

    Attributes:
      name: full name, "LeNet/conv1/weights".
      model: whether it belongs to the network, so that inference needs it.
      trainable: whether optimizers may change it.
      regularizer: the penalty of its first request, or None.
      collections: names of its collections.
    """

    name: str
    model: bool = False
    trainable: bool = False
    regularizer: Regularizer | None = None
    collections: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Quantization:
    """How layers round values; set by `slim.quantization.fake_quantization`.

    Attributes:
      delay: number of training steps before values are rounded.
      weights: whether weights are rounded as well as outputs.
    """

    delay: int
    weights: bool


class Pass:
    """One run of a network through a store.

    Attributes:
      store: the variables.
      seed: int32 tensor [2] from which dropout draws, or None for TensorFlow's own random state.
      step: number of completed training steps, a tensor, or None if unknown.
      requested: name -> variable, in the order in which this pass requested them.
      regularizers: name -> (variable, regularizer) of the variables requested with one.
      losses: (name, scalar) of each loss added.
      outputs: collection -> {alias: tensor}.
      recompute: whether `slim.recompute` recomputes its segments for the gradients.
      num_segments: number of these segments so far.
      is_replay: whether this pass recomputes a segment, which must not change any state.
      quantization: how layers round, or None if they do not.
      quantized: name -> axes of the output channels, of the weights to round.
    """

    def __init__(
        self,
        store: "VariableStore",
        seed: tf.Tensor | None = None,
        recompute: bool = False,
        step: tf.Tensor | None = None,
    ) -> None:
        self.store = store
        self.seed = seed
        self.step = step
        self.names = ScopeNames()
        self.requested: dict[str, tf.Variable] = {}
        self.regularizers: dict[str, tuple[tf.Variable, Regularizer]] = {}
        self.losses: list[tuple[str, tf.Tensor]] = []
        self.outputs: dict[str, dict[str, tf.Tensor]] = {}
        self.recompute = recompute
        self.num_segments = 0
        self.is_replay = False
        self.quantization: Quantization | None = None
        self.quantized: dict[str, tuple[int, ...]] = {}
        self._draws: dict[str, int] = {}

    def copied(self) -> "Pass":
        """Returns a pass that replays what follows in this one."""
        other = Pass(self.store, self.seed, step=self.step)
        other.names = copy.deepcopy(self.names)
        other.requested = dict(self.requested)
        other._draws = dict(self._draws)
        other.is_replay = True
        other.quantization = self.quantization
        return other

    def draw_seed(self, name: str) -> tf.Tensor | None:
        """Returns a seed [2] for the next random choice of the layer `name`, or None without a
        seed."""
        if self.seed is None:
            return None
        draw = self._draws[name] = self._draws.get(name, -1) + 1
        number = zlib.crc32(f"{name}:{draw}".encode()) & 0x7FFFFFFF
        return tf.random.experimental.stateless_fold_in(self.seed, number)


class VariableStore(tf.Module):
    """Variables by name, tracked as a `tf.Module` tracks them.

    Args:
      seed: of the initial values; the same seed and name give the same value. None draws one.
      keep_float32: store variables requested in half precision as float32 ("master weights") and
        return their values in the requested precision.
    """

    def __init__(self, seed: int | None = None, keep_float32: bool = False) -> None:
        super().__init__(name="variable_store")
        self._keep_float32 = keep_float32
        self.seed = random.SystemRandom().getrandbits(31) if seed is None else seed
        self._variables: dict[str, tf.Variable] = {}
        # Bypass tf.Module's tracking, which would make the records part of a SavedModel.
        object.__setattr__(self, "_records", {})
        object.__setattr__(self, "_names", {})

    @property
    def named_variables(self) -> Mapping[str, tf.Variable]:
        """All variables by name, in order of creation."""
        return types.MappingProxyType(self._variables)

    @property
    def records(self) -> Mapping[str, Record]:
        """The record of each variable by name, in order of creation."""
        return types.MappingProxyType(self._records)

    def kept_dtype(self, dtype: tf.DType) -> tf.DType:
        """Returns the type in which a variable requested as `dtype` is stored."""
        half = dtype in (tf.float16, tf.bfloat16)
        return tf.float32 if half and self._keep_float32 else dtype

    def named_variable(self, name: str) -> tf.Variable | None:
        """Returns the variable called `name`, or None."""
        return self._variables.get(name)

    def name_of(self, variable: tf.Variable) -> str | None:
        """Returns the name of a variable of this store, or None if it is not one."""
        return self._names.get(id(variable))

    @contextlib.contextmanager
    def as_default(
        self,
        seed: tf.Tensor | None = None,
        recompute: bool = False,
        step: tf.Tensor | None = None,
    ) -> Iterator[Pass]:
        """Makes this the current store and starts a pass.

        With a `tf.function`, enter it inside that function: TensorFlow traces a function that
        creates variables twice, and both traces would otherwise be one pass.

        Args:
          seed: int32 tensor of shape [2]; dropout then depends only on it and on the layer's name.
          recompute: trade time for memory, see `slim.recompute`.
          step: number of completed training steps, an integer tensor.

        Yields:
          The pass.
        """
        with pass_as_current(Pass(self, seed, recompute, step), ROOT) as one_pass:
            yield one_pass

    def build(self, fn: Callable[..., Any], *specs: Any) -> Pass:
        """Creates the variables of `fn` by tracing it once, without running it.

        Args:
          fn: a function of tensors.
          *specs: for each argument its `tf.TensorSpec`, or a structure of them.

        Returns:
          The pass; its tensors are symbolic and cannot be used outside.
        """
        # Not a tf.function, which would trace twice because the first trace creates variables.
        with tf.__internal__.FuncGraph("build").as_default():
            inputs = tf.nest.map_structure(
                lambda spec: tf.raw_ops.Placeholder(dtype=spec.dtype, shape=spec.shape), specs
            )
            with self.as_default() as one_pass:
                fn(*inputs)
        return one_pass

    def add(self, record: Record, variable: tf.Variable) -> None:
        """Adds a variable under its record's name."""
        self._variables[record.name] = variable
        self._records[record.name] = record
        self._names[id(variable)] = record.name

    def create(
        self,
        record: Record,
        shape: Sequence[int] | None,
        dtype: tf.DType,
        initializer: Initializer | Any,
        device: str | None = None,
        synchronization: tf.VariableSynchronization = tf.VariableSynchronization.AUTO,
        aggregation: tf.VariableAggregation = tf.VariableAggregation.NONE,
    ) -> tf.Variable:
        """Creates and adds a variable (see `slim.variable`), lifted out of any `tf.function`."""

        def initial_value() -> tf.Tensor:
            if not callable(initializer):
                return tf.convert_to_tensor(initializer, dtype)
            with variable_seed((self.seed, zlib.crc32(record.name.encode()) & 0x7FFFFFFF)):
                return initializer(tuple(shape or ()), dtype=dtype)

        # Not `tf.device(None)`, which would clear the enclosing device scope.
        placed = tf.device(device) if device else contextlib.nullcontext()
        if graph_variables.in_plain_graph():
            with placed:
                variable = self._create_in_graph(record, initial_value)
        else:
            with tf.init_scope(), placed:
                variable = tf.Variable(
                    initial_value,
                    trainable=record.trainable,
                    dtype=dtype,
                    shape=None if shape is None else tuple(shape),
                    # A closing slash makes the name absolute, whatever name scope is open.
                    name=record.name + "/",
                    synchronization=synchronization,
                    aggregation=aggregation,
                )
        self.add(record, variable)
        return variable

    def state(
        self,
        name: str,
        shape: Sequence[int],
        dtype: tf.DType,
        value: float = 0.0,
        aggregation: tf.VariableAggregation = tf.VariableAggregation.NONE,
    ) -> tf.Variable:
        """Returns a variable of the training state, created with a constant value if needed."""
        variable = self.named_variable(name)
        if variable is not None:
            return variable
        initializer = constant_initializer(value)
        return self.create(Record(name), shape, dtype, initializer, aggregation=aggregation)

    def _create_in_graph(
        self, record: Record, initial_value: Callable[[], tf.Tensor]
    ) -> tf.Variable:
        return graph_variables.reference_variable(record.name, initial_value, record.trainable)


class FrozenStore(VariableStore):
    """A store for plain graphs in which every variable is a constant, as a frozen GraphDef wants.

    Args:
      values: an array for each variable, by name.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(seed=0)
        object.__setattr__(self, "_values", values)

    def _create_in_graph(self, record: Record, initial_value: Callable[[], tf.Tensor]) -> tf.Tensor:
        return graph_variables.constant(record.name, self._values[record.name])


class _Current(threading.local):
    def __init__(self) -> None:
        self.one_pass: Pass | None = None
        self.scope: VariableScope = ROOT


_current = _Current()
_default_pass = Pass(VariableStore())


def current_pass() -> Pass:
    """Returns the current pass: the innermost `store.as_default()`'s, or the default store's."""
    return _current.one_pass or _default_pass


@contextlib.contextmanager
def pass_as_current(one_pass: Pass, scope: VariableScope) -> Iterator[Pass]:
    """Makes a pass and a variable scope the current ones."""
    outer = _current.one_pass, _current.scope
    _current.one_pass, _current.scope = one_pass, scope
    try:
        yield one_pass
    finally:
        _current.one_pass, _current.scope = outer


def current_store() -> VariableStore:
    """Returns the current store, or the default one outside any `as_default()`."""
    return current_pass().store


def reset_default_store() -> VariableStore:
    """Replaces the default store by an empty one, so that a notebook cell can build its network
    again.

    Returns:
      The new default store.
    """
    global _default_pass
    _default_pass = Pass(VariableStore())
    return _default_pass.store


def current_scope() -> VariableScope:
    """Returns this thread's current variable scope."""
    return _current.scope


@contextlib.contextmanager
def scope_as_current(scope: VariableScope) -> Iterator[VariableScope]:
    """Makes `scope` the current variable scope (`slim.variable_scope` opens one by name)."""
    outer, _current.scope = _current.scope, scope
    try:
        yield scope
    finally:
        _current.scope = outer
