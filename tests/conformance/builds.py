"""Networks built for the tests: as a plain graph, without memory, or with the recipe's weights."""

import dataclasses
import functools
from typing import Any

import tensorflow as tf

import slim
from nets import nets_factory
from tests.conformance import reference

WEIGHT_DECAY = 4e-5


@dataclasses.dataclass(frozen=True)
class Graph:
    """What a plain graph of a network shows.

    Attributes:
      variables: name -> (shape, trainable, regularized), in the order of creation.
      outside_model: names of the variables that are not the network's own.
      end_points: name -> (shape, name of the op), in order.
      logits_shape: shape of the first output.
      logits_op: name of the op of the first output.
    """

    variables: dict[str, tuple[list[int], bool, bool]]
    outside_model: list[str]
    end_points: dict[str, tuple[list[int], str]]
    logits_shape: list[int]
    logits_op: str


def graph(name: str, is_training: bool) -> Graph:
    """Builds a network of the layout's classes, once per process.

    Args:
      name: of the registry.
      is_training: with a batch of 2, otherwise of 1.
    """
    layout = reference.layout(name)
    shape = [2 if is_training else 1, *layout["input_shape"][1:]]
    return graph_of(name, is_training, layout["num_classes"], tuple(shape))


@functools.cache
def graph_of(
    name: str, is_training: bool, num_classes: int | None, shape: tuple[int, ...]
) -> Graph:
    """Builds a network in a plain graph."""
    network = nets_factory.get_network_fn(name, num_classes, WEIGHT_DECAY, is_training)
    store = slim.VariableStore(seed=0)
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
    """A network with the recipe's weights, to be run.

    Attributes:
      build: from images to (logits, end points), inside a pass.
      call: the same in a pass of its own.
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
    """Builds a network from the `TensorSpec` of an unknown batch and gives it the recipe's weights.

    Args:
      name: of the registry.
      is_training: whether batch norm and dropout are in training mode.
      **arguments: of the network.
    """
    layout = reference.layout(name)
    network_fn = nets_factory.get_network_fn(name, layout["num_classes"], WEIGHT_DECAY, is_training)
    build = functools.partial(network_fn, **arguments)
    example = layout["input_shape"][1:]
    store = slim.VariableStore(seed=0)

    def call(images: tf.Tensor) -> Any:
        with store.as_default():
            return build(images)

    store.build(build, tf.TensorSpec([None, *example], tf.float32))
    for key, variable in store.named_variables.items():
        variable.assign(reference.weights(key, variable.shape.as_list()))
    return Network(build, call, store, tf.constant(reference.images([2, *example])))
