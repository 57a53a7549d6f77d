"""Passes: what belongs to one run of a network through a store, and which pass is the current one.

Layers, losses and scopes speak to the current pass alone. In a plain `tf.Graph` without a store of
its own that is the graph's (`slim.graph.graph_pass`), which has the same methods. `tf.compat.v1`
is used for its losses, which in a `tf.function` stand in the collections of the function's graph,
and for its variable scopes.
"""

import contextlib
import copy
import dataclasses
import inspect
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks, initializers
from slim.graph import KEYS, in_graph
from slim.graph.framework import get_name_scope
from slim.layer_support import LayerSupport
from slim.pass_records import Loss, Quantization, Request
from slim.regularizers import Regularizer, no_penalty
from slim.scope_stack import only_in_graph, scope_as_current, scope_of_thread
from slim.scopes import Reuse, ScopeNames, VariableScope
from slim.store import Record, VariableStore

v1 = tf.compat.v1
LOSSES = KEYS.LOSSES


class Pass(LayerSupport):
    """One run of a network through a store.

    Attributes:
      store: the variables.
      seed: int32 tensor [2] from which dropout draws, or None for TensorFlow's own random state.
      step: number of completed training steps, a tensor, or None if unknown.
      requested: name -> variable, in the order in which this pass requested them.
      regularizers: name -> (variable, regularizer) of the variables requested with one.
      losses: collection -> its losses.
      outputs: collection -> {alias: tensor}.
      recompute: whether `slim.recompute` recomputes its segments for the gradients.
      num_segments: number of these segments so far.
      is_replay: whether this pass recomputes a segment, which must not change any state.
      quantization: how layers round, or None if they do not.
      quantized: name -> axes of the output channels, of the weights to round.
    """

    def __init__(
        self,
        store: VariableStore,
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
        self.losses: dict[str, list[Loss]] = {}
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

    def draw_seed(self, name: str, seed: int | None = None) -> Any:
        """Returns a seed [2] for the next random choice of the layer `name`, or None without a
        seed. A layer's own `seed` is used at every step."""
        if seed is not None:
            return seed, 0
        if self.seed is None:
            return None
        draw = self._draws[name] = self._draws.get(name, -1) + 1
        number = zlib.crc32(f"{name}:{draw}".encode()) & 0x7FFFFFFF
        return tf.random.experimental.stateless_fold_in(self.seed, number)

    @property
    def scope(self) -> VariableScope:
        """The current variable scope: slim's, or that of TensorFlow 1 opened inside it."""
        return scope_of_thread()

    @contextlib.contextmanager
    def open_scope(
        self, name_or_scope: Any, default_name: str | None, options: dict[str, Any]
    ) -> Iterator[VariableScope]:
        """Opens a scope; see `slim.variable_scope`."""
        only_in_graph(
            "variable_scope",
            [n for n in ("caching_device", "partitioner", "custom_getter", "constraint")
             if options.get(n)]
            + [n for n in ("use_resource", "auxiliary_name_scope") if options.get(n) is False],
        )  # fmt: skip
        outer = self.scope
        again = isinstance(name_or_scope, v1.VariableScope)
        if again:
            name, parent = name_or_scope.name, name_or_scope
            name_scope = name.rpartition("/")[2]
        else:
            unnamed = name_or_scope is None
            leaf = self._unique(outer, default_name) if unnamed else name_or_scope
            name, parent = f"{outer.name}/{leaf}".strip("/"), outer
            name_scope = name_or_scope or default_name
        scope = VariableScope(
            name=name,
            reuse=options.get("reuse") or parent.reuse,
            initializer=options.get("initializer") or parent.initializer,
            regularizer=options.get("regularizer") or parent.regularizer,
            original_name_scope=parent.original_name_scope if again else "",
            dtype=options.get("dtype") or parent.dtype,
        )
        try:
            with self.names.opened(name, again), scope_as_current(scope, name_scope):
                yield scope
        finally:
            if outer.opened is not None:
                self.names.forget(name)

    def _unique(self, outer: VariableScope, default_name: str) -> str:
        """Returns a name without a scope of that name in `outer`."""
        if outer.opened is None:
            return self.names.unique(outer.name, default_name)
        # TensorFlow 1 numbers the scopes inside its own, and starts over where one is left.
        with v1.variable_scope(None, default_name, auxiliary_name_scope=False) as numbered:
            return numbered.name.rpartition("/")[2]

    def get_variable_by_name(self, name: str, options: dict[str, Any]) -> tf.Variable:
        """Returns a variable by its full name, for `tf.compat.v1.get_variable`.

        Args:
          name: full name, which begins with that of the current scope.
          options: of `tf.compat.v1.get_variable`, by name.
        """
        prefix = self.scope.name
        fields = {field.name: options.get(field.name) for field in dataclasses.fields(Request)}
        fields |= {
            "name": name.removeprefix(f"{prefix}/") if prefix else name,
            "trainable": options.get("trainable") is not False,
            "synchronization": options.get("synchronization", tf.VariableSynchronization.AUTO),
            "aggregation": options.get("aggregation", tf.VariableAggregation.NONE),
            "device": None,
            "custom_getter": None,
            "model": False,
        }
        return self.get_variable(Request(**fields))

    def get_variable(self, request: Request) -> tf.Variable:
        """Returns the requested variable, created if needed; see `slim.variable`."""
        options = ("caching_device", "partitioner", "custom_getter")
        only_in_graph("variable", [name for name in options if getattr(request, name)])
        only_in_graph("variable", ["use_resource"] if request.use_resource is False else [])
        store, scope = self.store, self.scope
        name = f"{scope.name}/{request.name}" if scope.name else request.name
        variable = store.named_variable(name)
        self._check_reuse(name, variable is not None, scope.reuse)
        regularizer = request.regularizer or scope.regularizer
        regularizer = None if regularizer is no_penalty else regularizer
        dtype = tf.as_dtype(request.dtype or scope.dtype or tf.float32)
        kept = store.kept_dtype(dtype)
        if variable is None:
            variable = self._create(name, request, kept, regularizer)
        else:
            _check_same(name, variable, request.shape, kept)
        self.requested.setdefault(name, variable)
        if regularizer is not None:
            self.regularizers.setdefault(name, (variable, regularizer))
        return variable if kept == dtype else tf.cast(variable, dtype)

    def _create(
        self, name: str, request: Request, dtype: tf.DType, regularizer: Regularizer | None
    ) -> tf.Variable:
        record = Record(
            name, request.model, request.trainable, regularizer,
            frozenset(request.collections or ()),
        )  # fmt: skip
        initializer = request.initializer
        initializer = self.scope.initializer if initializer is None else initializer
        if initializer is None:
            floating = dtype.is_floating
            initializer = (
                initializers.xavier_initializer() if floating else initializers.zeros_initializer()
            )
        if inspect.isclass(initializer):
            initializer = initializer()
        if request.shape is None and callable(initializer):
            raise ValueError(f"variable {name!r} is new and needs a shape")
        device = request.device(name) if callable(request.device) else request.device
        return self.store.create(
            record, request.shape, dtype, initializer, device,
            request.synchronization, request.aggregation,
        )  # fmt: skip

    def _check_reuse(self, name: str, exists: bool, reuse: bool | Reuse | None) -> None:
        if name in self.requested and not reuse:
            raise ValueError(
                f"variable {name!r} was already requested in this pass. To share it, set "
                "reuse=True (or slim.AUTO_REUSE); for another variable, use another scope. To run "
                "the same code again, as in a notebook cell, use `with "
                "slim.VariableStore().as_default():`, or call slim.reset_default_store() first"
            )
        if not exists and reuse is True:
            hint = _checks.suggest(name, self.store.named_variables) or "."
            raise ValueError(f"reuse=True, but there is no variable {name!r} in this store{hint}")

    def new_variable(
        self,
        initial_value: Any,
        validate_shape: bool,
        name: str | None,
        use_resource: bool | None,
        collection: str,
    ) -> tf.Variable:
        """Returns a variable that is not trained; see `slim.local_variable`."""
        only_in_graph("variable", [] if validate_shape else ["validate_shape"])
        only_in_graph("variable", ["use_resource"] if use_resource is False else [])
        with self.open_scope(None, name or "Variable", {}) as scope:
            if collection == KEYS.LOCAL_VARIABLES:
                return self.store.local_variable(scope.name, initial_value)
        variable = self.store.named_variable(scope.name)
        if variable is None:
            with tf.init_scope():
                value = initial_value() if callable(initial_value) else initial_value
                value = tf.convert_to_tensor(value)
            variable = self.store.create(Record(scope.name), None, value.dtype, value)
        return variable

    def output_name(self, name_scope: str, scope: str | None, default_name: str) -> str:
        """Returns the name for the output of a layer without variables.

        Args:
          name_scope: the layer's name scope, which names it in a plain graph.
          scope: the layer's name, or None.
          default_name: its name without one, here made unique among the scopes.
        """
        outer = self.scope.name
        leaf = scope or self.names.unique(outer, default_name)
        name = f"{outer}/{leaf}".strip("/")
        if scope is None:
            with self.names.opened(name, again=False):
                pass
        return name

    def add_loss(self, value: tf.Tensor, collection: str) -> None:
        """Adds a scalar to a collection of losses, from inside its name scope."""
        scope = get_name_scope()
        name = scope.rpartition("/")[2] or "loss"
        self.losses.setdefault(collection, []).append(Loss(name, value, scope))

    def get_losses(self, scope: str | None, collection: str) -> list[tf.Tensor]:
        """Returns the losses of a collection, filtered by name scope."""
        losses = [
            loss.value for loss in self.losses.get(collection, []) if _within(scope, loss.scope)
        ]
        # In a `tf.function`, `tf.compat.v1.losses` adds to the collections of the function's graph.
        if tf.inside_function():
            losses += v1.get_collection(collection, scope)
        return losses

    def get_penalties(self, scope: str | None) -> list[tf.Tensor]:
        """Returns the penalty of each variable requested with a regularizer, and those added by
        `slim.apply_regularization`."""
        penalties = [
            regularizer(variable)
            for name, (variable, regularizer) in self.regularizers.items()
            if _within(scope, name)
        ]
        penalties = [penalty for penalty in penalties if penalty is not None]
        return penalties + self.get_losses(scope, KEYS.REGULARIZATION_LOSSES)

    def add_output(self, collections: Iterable[str], alias: str, outputs: tf.Tensor) -> None:
        """Adds a named output to collections."""
        for collection in collections:
            self.outputs.setdefault(collection, {})[alias] = outputs

    def get_outputs(self, collection: str, clear: bool) -> dict[str, tf.Tensor]:
        """Returns a collection's outputs by name."""
        named_outputs = dict(self.outputs.get(collection, {}))
        if clear:
            self.outputs.pop(collection, None)
        return named_outputs


class _Current(threading.local):
    def __init__(self) -> None:
        self.one_pass: Pass | None = None


_current = _Current()
_default_pass = Pass(VariableStore())


def current_pass() -> Any:
    """Returns the current pass: that of the innermost `store.as_default()`, or else the plain
    `tf.Graph`'s (a `GraphPass`), or the default store's."""
    if _current.one_pass is not None:
        return _current.one_pass
    if in_graph():
        from slim.graph.graph_pass import current_graph_pass

        return current_graph_pass()
    return _default_pass


@contextlib.contextmanager
def pass_as_current(one_pass: Pass, scope: VariableScope) -> Iterator[Pass]:
    """Makes a pass and a variable scope the current ones."""
    outer, _current.one_pass = _current.one_pass, one_pass
    try:
        with scope_as_current(scope):
            yield one_pass
    finally:
        _current.one_pass = outer


def current_store() -> Any:
    """Returns the current store: that of the current pass."""
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


def current_scope() -> Any:
    """Returns this thread's current variable scope."""
    return current_pass().scope


def _within(scope: str | None, name: str) -> bool:
    return scope is None or name.startswith(scope)


def _check_same(
    name: str, variable: tf.Variable, shape: Sequence[int] | None, dtype: tf.DType
) -> None:
    if shape is not None and not tf.TensorShape(shape).is_compatible_with(variable.shape):
        raise ValueError(
            f"variable {name!r} has shape {tuple(variable.shape)} in this store, "
            f"but {tuple(shape)} was requested; use another scope or another store"
        )
    if dtype != variable.dtype.base_dtype:
        raise ValueError(
            f"variable {name!r} is {variable.dtype.name} in this store,"
            f" but {dtype.name} was requested"
        )
