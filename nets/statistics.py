"""Numbers of parameters and multiply-adds, counted from the networks themselves."""

import csv
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from nets import nets_factory, sizes
from slim.store import ShapeStore


@dataclasses.dataclass(frozen=True)
class Statistics:
    """The size of a network for one image (or one video).

    Attributes:
      parameters: number of trainable parameters.
      batch_norm_parameters: how many of them belong to batch norm.
      multiply_adds: multiplications, each with its addition, in convolutions and matrix products.
    """

    parameters: int
    batch_norm_parameters: int
    multiply_adds: int


def count(
    name: str,
    num_classes: int,
    image_size: int | None = None,
    num_frames: int = 16,
    **network_arguments: Any,
) -> Statistics:
    """Counts a network's parameters and multiply-adds, in a graph that allocates no weights.

    Args:
      name: a name of `nets_factory.NETWORKS`.
      num_classes: number of classes.
      image_size: height and width, in pixels; default: the network's.
      num_frames: length of the video, for a video network.
      **network_arguments: further arguments of the network, such as `depth_multiplier`.

    Raises:
      UserError: if the name is not known.
    """
    network = nets_factory.get_network_fn(name, num_classes)
    spec = nets_factory.NETWORKS[name]
    size = image_size or spec.image_size
    frames = [num_frames] if spec.input_rank == 5 else []
    return count_function(
        functools.partial(network, **network_arguments), [*frames, size, size, spec.channels]
    )


def count_function(network: Callable[[tf.Tensor], Any], image_shape: Sequence[int]) -> Statistics:
    """Counts the parameters and multiply-adds of any function of slim's layers.

    Args:
      network: a function of images [1, ...].
      image_shape: shape of one image.
    """
    store = ShapeStore(seed=0)
    with tf.Graph().as_default() as graph, store.as_default():
        network(tf.zeros([1, *image_shape]))
    variables = store.named_variables
    sizes = {n: variables[n].shape.num_elements() for n, r in store.records.items() if r.trainable}
    return Statistics(
        parameters=sum(sizes.values()),
        batch_norm_parameters=sum(s for n, s in sizes.items() if n.endswith(("/gamma", "/beta"))),
        multiply_adds=sum(_multiply_adds(op) for op in graph.get_operations()),
    )


def _multiply_adds(op: tf.Operation) -> int:
    """Returns the multiply-adds of one operation: outputs times summed inputs per output."""
    inputs_per_output = _INPUTS_PER_OUTPUT.get(op.type)
    if inputs_per_output is None:
        return 0
    return op.outputs[0].shape.num_elements() * inputs_per_output(op)


def _per_filter(op: tf.Operation) -> int:
    return math.prod(op.inputs[1].shape[:-1])


def _per_depthwise_filter(op: tf.Operation) -> int:
    return math.prod(op.inputs[1].shape[:2])


def _per_row(op: tf.Operation) -> int:
    return op.inputs[0].shape[0 if op.get_attr("transpose_a") else 1]


_INPUTS_PER_OUTPUT: Mapping[str, Callable[[tf.Operation], int]] = {
    "Conv2D": _per_filter,
    "Conv3D": _per_filter,
    "DepthwiseConv2dNative": _per_depthwise_filter,
    "MatMul": _per_row,
}


def write_sizes() -> None:
    """Counts every network and writes the table of `nets.sizes`; takes two minutes."""
    with open(sizes.PATH, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(sizes.FIELDS)
        for name, spec in sorted(nets_factory.NETWORKS.items()):
            counted = count(name, spec.classes)
            writer.writerow((name, counted.parameters, counted.multiply_adds))


if __name__ == "__main__":
    write_sizes()
