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
import dataclasses
import random
import re
import types
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from slim.graph import KEYS, in_graph, reference
from slim.initializers import Initializer, constant_initializer, variable_seed
from slim.regularizers import Regularizer
from slim.scopes import VariableScope

if TYPE_CHECKING:
    from slim.passes import Pass

GLOBAL_STEP = KEYS.GLOBAL_STEP


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
        self._locals: dict[str, tf.Variable] = {}
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

    def local_variable(self, name: str, initial_value: Any) -> tf.Variable:
        """Returns a variable that is neither trained nor saved, created if needed."""
        if name not in self._locals:
            with tf.init_scope():
                self._locals[name] = tf.Variable(initial_value, trainable=False, name=name + "/")
        return self._locals[name]

    def add_model(self, variable: tf.Variable, name: str | None = None) -> None:
        """Adds a variable created elsewhere; see `slim.add_model_variable`."""
        name = name or variable.name.split(":")[0]
        self.add(Record(name, model=True, trainable=bool(variable.trainable)), variable)

    def name_of(self, variable: tf.Variable) -> str | None:
        """Returns the name of a variable of this store, or None if it is not one."""
        return self._names.get(id(variable))

    @contextlib.contextmanager
    def as_default(
        self,
        seed: tf.Tensor | None = None,
        recompute: bool = False,
        step: tf.Tensor | None = None,
    ) -> Iterator["Pass"]:
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
        from slim.passes import Pass, pass_as_current  # a pass knows its store

        with pass_as_current(Pass(self, seed, recompute, step), VariableScope()) as one_pass:
            yield one_pass

    def build(self, fn: Callable[..., Any], *specs: Any) -> "Pass":
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
        if in_graph():
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
                    # `tf.init_scope` has lifted it; a tf.function would trace a second time.
                    experimental_enable_variable_lifting=False,
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

    def global_step(self, create: bool = True) -> tf.Variable | None:
        """Returns the step counter, an int64 scalar; a missing one is created with zero, or None
        is returned."""
        if not create:
            return self.named_variable(GLOBAL_STEP)
        first_replica = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return self.state(GLOBAL_STEP, (), tf.int64, aggregation=first_replica)

    def select(
        self, scope: str | None = None, suffix: str | None = None, collection: str | None = None
    ) -> list[tf.Variable]:
        """Returns variables in order of creation; see `slim.get_variables`."""
        if collection == KEYS.LOCAL_VARIABLES:
            return [v for name, v in self._locals.items() if re.match(scope or "", name)]
        pattern = f"{scope or ''}" if suffix is None else f"{scope or ''}.*(?:{suffix})$"
        return [
            self._variables[name]
            for name, record in self._records.items()
            if _is_in(record, collection) and re.match(pattern, name)
        ]

    def _create_in_graph(
        self, record: Record, initial_value: Callable[[], tf.Tensor]
    ) -> tf.Variable:
        return reference.reference_variable(record.name, initial_value, record.trainable)


class ShapeStore(VariableStore):
    """A store for networks of which only names and shapes are of interest.

    Initializers are not called, which are most of a plain graph's ops: variables are zeros, or in a
    plain graph, which cannot be run then, placeholders.
    """

    def create(
        self,
        record: Record,
        shape: Sequence[int] | None,
        dtype: tf.DType,
        initializer: Initializer | Any,
        *rest: Any,
        **named: Any,
    ) -> tf.Variable:
        """Creates and adds a variable without calling its initializer."""
        if callable(initializer):
            initializer = _placeholder if in_graph() else tf.zeros
        return super().create(record, shape, dtype, initializer, *rest, **named)


def _placeholder(shape: Sequence[int], dtype: tf.DType) -> tf.Tensor:
    return tf.raw_ops.Placeholder(dtype=dtype, shape=shape)


class FrozenStore(VariableStore):
    """A store in which every variable is a constant, as a frozen GraphDef wants.

    In eager code and in a `tf.function`, it is a tensor that no gradient and no checkpoint has.

    Args:
      values: an array for each variable, by name.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(seed=0)
        object.__setattr__(self, "_values", values)

    def create(self, record: Record, *arguments: Any, **options: Any) -> tf.Variable:
        """Creates and adds a constant with the variable's value."""
        if in_graph():
            return super().create(record, *arguments, **options)
        with tf.init_scope():
            constant = tf.constant(self._values[record.name])
        self.add(record, constant)
        return constant

    def _create_in_graph(self, record: Record, initial_value: Callable[[], tf.Tensor]) -> tf.Tensor:
        return reference.constant(record.name, self._values[record.name])


def _is_in(record: Record, collection: str | None) -> bool:
    if collection in (None, KEYS.GLOBAL_VARIABLES):
        return True
    of_kind = {KEYS.MODEL_VARIABLES: record.model, KEYS.TRAINABLE_VARIABLES: record.trainable}
    return of_kind.get(collection, False) or collection in record.collections
