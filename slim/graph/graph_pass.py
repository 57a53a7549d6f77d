"""The pass of a plain `tf.Graph`: layers, losses and scopes in TensorFlow 1's collections."""

import contextlib
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from slim.graph import KEYS
from slim.graph.aliases import append_tensor_alias, get_tensor_aliases
from slim.graph.layer_support import GraphLayerSupport

v1 = tf.compat.v1


class GraphStore:
    """The variables of the current plain graph, with the methods of `slim.VariableStore`."""

    @property
    def named_variables(self) -> Mapping[str, tf.Variable]:
        """The graph's global variables by name, in order of creation."""
        return {self.name_of(variable): variable for variable in v1.global_variables()}

    def named_variable(self, name: str) -> tf.Variable | None:
        """Returns the global variable called `name`, or None."""
        return self.named_variables.get(name)

    def name_of(self, variable: tf.Variable) -> str:
        """Returns the variable's name in a checkpoint; a partition has the whole variable's."""
        partition = variable._save_slice_info  # TensorFlow has no public way to learn this
        return partition.full_name if partition else variable.op.name

    def kept_dtype(self, dtype: tf.DType) -> tf.DType:
        """Returns `dtype`."""
        return dtype

    def add_model(self, variable: tf.Variable, name: str | None = None) -> None:
        """Adds a variable to MODEL_VARIABLES."""
        if name not in (None, self.name_of(variable)):
            raise ValueError(
                f"name={name!r}: in a tf.Graph, the variable keeps its name "
                f"{self.name_of(variable)!r}. Remove the argument"
            )
        if not any(variable is other for other in v1.get_collection(KEYS.MODEL_VARIABLES)):
            v1.add_to_collection(KEYS.MODEL_VARIABLES, variable)

    def select(
        self, scope: str | None = None, suffix: str | None = None, collection: str | None = None
    ) -> list[tf.Variable]:
        """Returns variables in order of creation; see `slim.get_variables`."""
        if suffix is not None:
            # Names end in ":0", or in "/part_0:0" and the like.
            scope = f"{scope or ''}.*{suffix}" + ("" if ":" in suffix else ":")
        return v1.get_collection(collection or KEYS.GLOBAL_VARIABLES, scope)

    def global_step(self, create: bool = True) -> tf.Variable | None:
        """Returns TensorFlow 1's global step; a missing one is created with zero, or None is
        returned."""
        return v1.train.get_or_create_global_step() if create else v1.train.get_global_step()


class GraphPass(GraphLayerSupport):
    """The pass of the current plain graph, with the methods of `slim.passes.Pass`."""

    store = GraphStore()
    seed = step = None
    recompute = is_replay = False

    @property
    def quantization(self) -> None:
        """None: layers do not round."""

    @quantization.setter
    def quantization(self, value: Any) -> None:
        if value is not None:
            raise ValueError(
                "fake_quantization needs a variable store, not a plain tf.Graph. Build the network "
                "in `with slim.VariableStore().as_default():`"
            )

    @property
    def scope(self) -> v1.VariableScope:
        """The current variable scope."""
        return v1.get_variable_scope()

    def draw_seed(self, name: str, seed: int | None = None) -> None:
        """Returns None: random ops have their own seed and the graph's."""

    def open_scope(
        self, name_or_scope: Any, default_name: str | None, options: Mapping[str, Any]
    ) -> contextlib.AbstractContextManager[v1.VariableScope]:
        """Opens a `tf.compat.v1.variable_scope`."""
        return v1.variable_scope(name_or_scope, default_name, **options)

    def get_variable(self, request: Any) -> tf.Variable:
        """Returns the requested variable, made by `tf.compat.v1.get_variable`."""
        collections = list(request.collections or ())
        if request.model:
            collections += [KEYS.GLOBAL_VARIABLES, KEYS.MODEL_VARIABLES]
        elif request.collections is None:
            collections = [KEYS.GLOBAL_VARIABLES]
        getter = v1.get_variable
        if request.custom_getter is not None:
            # Called without a getter of its own, as in TF-Slim.
            getter = functools.partial(request.custom_getter, reuse=self.scope.reuse)
        # Not `tf.device(None)`, which would clear the enclosing device scope.
        device = v1.device(request.device) if request.device else contextlib.nullcontext()
        with device:
            return getter(
                request.name,
                shape=request.shape,
                dtype=request.dtype,
                initializer=request.initializer,
                regularizer=request.regularizer,
                trainable=request.trainable,
                collections=list(dict.fromkeys(collections)),
                caching_device=request.caching_device,
                partitioner=request.partitioner,
                use_resource=request.use_resource,
                synchronization=request.synchronization,
                aggregation=request.aggregation,
            )

    def new_variable(
        self,
        initial_value: Any,
        validate_shape: bool,
        name: str | None,
        use_resource: bool | None,
        collection: str,
    ) -> tf.Variable:
        """Creates a variable that is not trained; see `slim.local_variable`."""
        return v1.Variable(
            initial_value,
            trainable=False,
            collections=[collection],
            validate_shape=validate_shape,
            name=name,
            use_resource=use_resource,
        )

    def output_name(self, name_scope: str, scope: str | None, default_name: str) -> str:
        """Returns the name for the output of a layer without variables: its name scope."""
        return name_scope.rstrip("/")

    def add_loss(self, value: tf.Tensor, collection: str) -> None:
        """Adds a loss to a collection."""
        v1.add_to_collection(collection, value)

    def get_losses(self, scope: str | None, collection: str) -> list[tf.Tensor]:
        """Returns the losses of a collection, filtered by the names of their ops."""
        return v1.get_collection(collection, scope)

    def get_penalties(self, scope: str | None) -> list[tf.Tensor]:
        """Returns the penalties of the graph's variables."""
        return v1.get_collection(KEYS.REGULARIZATION_LOSSES, scope)

    def add_output(self, collections: Iterable[str], alias: str, outputs: tf.Tensor) -> None:
        """Adds a named output to collections."""
        append_tensor_alias(outputs, alias)
        v1.add_to_collections(collections, outputs)

    def get_outputs(self, collection: str, clear: bool) -> dict[str, tf.Tensor]:
        """Returns a collection's outputs by name."""
        named_outputs = {
            alias: tensor
            for tensor in v1.get_collection(collection)
            for alias in get_tensor_aliases(tensor)
        }
        if clear:
            v1.get_collection_ref(collection).clear()
        return named_outputs


_graph_pass = GraphPass()


def current_graph_pass() -> GraphPass:
    """Returns the pass of the current graph; its state lives in the graph's collections."""
    return _graph_pass
