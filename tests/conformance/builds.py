"""Networks built for the tests: as a plain graph, which computes nothing, or with the recipe's
weights."""

import dataclasses
import functools
from typing import Any, NamedTuple

import tensorflow as tf

import slim
from nets import nets_factory
from slim.store import ShapeStore
from tests.conformance import reference

WEIGHT_DECAY = 4e-5


class Example(NamedTuple):
    """The number of classes, and the shape of an image or video, to build a network with."""

    num_classes: int
    shape: list[int]


def example(name: str) -> Example:
    """Returns what a network's record was built with; without a record, what its row says."""
    if reference.has_layout(name):
        layout = reference.layout(name)
        return Example(layout["num_classes"], layout["input_shape"][1:])
    spec = nets_factory.NETWORKS[name]
    video = [16] if spec.input_rank == 5 else []
    return Example(spec.classes, [*video, spec.image_size, spec.image_size, spec.channels])


@dataclasses.dataclass(frozen=True)
class Graph:
    """Variables and end points of a network in a plain graph.

    Attributes:
      variables: name -> (shape, trainable, regularized), in the order of creation.
      outside_model: names of the variables that are not the network's own.
      end_points: name -> (shape, op name), in order.
      logits_shape: shape of the first output.
      logits_op: op name of the first output.
    """

    variables: dict[str, tuple[list[int], bool, bool]]
    outside_model: list[str]
    end_points: dict[str, tuple[list[int], str]]
    logits_shape: list[int]
    logits_op: str


def graph(name: str, is_training: bool) -> Graph:
    """Builds a network with its number of classes, once per process.

    Args:
      name: a name of the registry.
      is_training: whether to build for training, with a batch of 2; otherwise the batch is 1.
    """
    num_classes, shape = example(name)
    return graph_of(name, is_training, num_classes, (2 if is_training else 1, *shape))


def variables(name: str) -> list[list[Any]]:
    """Returns [name, shape, trainable, regularized] of a network's variables in inference."""
    if reference.has_layout(name):
        return reference.layout(name)["variables"]
    return [[key, *row] for key, row in graph(name, False).variables.items()]


@functools.cache
def graph_of(
    name: str, is_training: bool, num_classes: int | None, shape: tuple[int, ...]
) -> Graph:
    """Builds a network in a plain graph."""
    network = nets_factory.get_network_fn(name, num_classes, WEIGHT_DECAY, is_training)
    store = ShapeStore(seed=0)
    with tf.Graph().as_default(), store.as_default():
        inputs = tf.raw_ops.Placeholder(dtype=tf.float32, shape=shape, name="input")
        logits, end_points = network(inputs)
    return Graph(
        {
            record.name: (
                store.named_variable(record.name).shape.as_list(),
                record.trainable,
                record.regularizer is not None,
            )
            for record in store.records.values()
        },
        [record.name for record in store.records.values() if not record.model],
        {key: (value.shape.as_list(), value.op.name) for key, value in end_points.items()},
        logits.shape.as_list(),
        logits.op.name,
    )


@dataclasses.dataclass(frozen=True)
class Network:
    """A network with the recipe's weights, ready to run.

    Attributes:
      build: function from images to (logits, end points), to be called inside a pass.
      call: the same, in a pass of its own.
      store: its variables.
      images: two of the recipe's inputs.
    """

    build: Any
    call: Any
    store: slim.VariableStore
    images: tf.Tensor

    @functools.cached_property
    def function(self) -> Any:
        """`call` as a tf.function of any number of images."""
        spec = tf.TensorSpec([None, *self.images.shape[1:]], tf.float32)
        return tf.function(self.call, autograph=False, input_signature=[spec])


def network(name: str, is_training: bool = False, **arguments: Any) -> Network:
    """Builds a network from the `TensorSpec` of an unknown batch and assigns the recipe's weights.

    Args:
      name: a name of the registry.
      is_training: whether batch norm and dropout are in training mode.
      **arguments: further arguments of the network.
    """
    num_classes, shape = example(name)
    network_fn = nets_factory.get_network_fn(name, num_classes, WEIGHT_DECAY, is_training)
    build = functools.partial(network_fn, **arguments)
    store = ShapeStore(seed=0)

    def call(images: tf.Tensor) -> Any:
        with store.as_default():
            return build(images)

    store.build(build, tf.TensorSpec([None, *shape], tf.float32))
    for key, variable in store.named_variables.items():
        variable.assign(reference.weights(key, variable.shape.as_list()))
    return Network(build, call, store, tf.constant(reference.images([2, *shape])))


@functools.lru_cache(maxsize=1)  # some networks are large
def shared_network(name: str) -> Network:
    """Returns a network for inference, shared with the previous test; do not assign to it."""
    return network(name)
