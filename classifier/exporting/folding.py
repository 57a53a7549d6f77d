"""Batch norm folded into the convolution before it, in a frozen GraphDef.

In inference batch norm is `x * scale + offset` for each channel, and a convolution is linear, so
that scaled weights and a bias do the same (Jacob et al., https://arxiv.org/abs/1712.05877, section
3.2). The batch norm's node becomes that bias and keeps its name, so nobody who reads its output
sees a difference. What does not follow a convolution directly, or shares it with another reader,
stays as it is.
"""

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# A convolution's op -> number of last axes of its weights that are the output channels.
_CONVOLUTIONS = {"Conv2D": 1, "Conv3D": 1, "DepthwiseConv2dNative": 2}


@dataclasses.dataclass(frozen=True)
class _Scaling:
    """A node that gives `source * scale + offset`, with float64 vectors of a length."""

    node: Any
    source: str
    scale: np.ndarray
    offset: np.ndarray


def pruned(graph_def: Any, outputs: Iterable[str]) -> Any:
    """Returns the part of a GraphDef that the nodes `outputs` depend on."""
    nodes = {node.name: node for node in graph_def.node}
    waiting = list(outputs)
    wanted: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += map(node_name, nodes[name].input)
    return _like(graph_def, (node for node in graph_def.node if node.name in wanted))


def folded(graph_def: Any, outputs: Collection[str]) -> Any:
    """Returns a frozen GraphDef with each batch norm that can be part of the convolution before it.

    Args:
      graph_def: its weights are constants.
      outputs: names of the nodes whose values are asked for; they keep them.
    """
    nodes = {node.name: node for node in graph_def.node}
    readers = collections.Counter(node_name(each) for node in graph_def.node for each in node.input)
    readers.update(outputs)
    constants = _constants(graph_def)
    replaced: dict[str, list[Any]] = {}
    for node in graph_def.node:
        scaling = _scaling(node, constants)
        if scaling is None:
            continue
        biased = nodes[scaling.source]
        bias, convolution = np.zeros_like(scaling.scale), biased
        if biased.op == "BiasAdd" and node_name(biased.input[1]) in constants:
            bias = constants[node_name(biased.input[1])].astype(np.float64)
            convolution = nodes[node_name(biased.input[0])]
        # Another reader of the convolution wants what it gives without batch norm.
        if readers[biased.name] > 1 or readers[convolution.name] > 1:
            continue
        if _can_take(convolution, constants, len(scaling.scale)):
            replaced |= _merged(scaling, convolution, bias, constants)
    merged = [each for node in graph_def.node for each in replaced.get(node.name, [node])]
    return pruned(_like(graph_def, merged), outputs)


def _scaling(node: Any, constants: Mapping[str, np.ndarray]) -> _Scaling | None:
    """Returns a batch norm's node as a scaling, or None if it is none or has unknown parameters."""
    if node.op != "FusedBatchNormV3" or node.attr["is_training"].b:
        return None
    if node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    names = [node_name(each) for each in node.input]
    if not all(name in constants for name in names[1:5]):
        return None
    gamma, beta, mean, variance = (constants[name].astype(np.float64) for name in names[1:5])
    scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
    return _Scaling(node, names[0], scale, beta - mean * scale)


def _can_take(convolution: Any, constants: Mapping[str, np.ndarray], channels: int) -> bool:
    if convolution.op not in _CONVOLUTIONS or not convolution.input[1:]:
        return False
    if convolution.attr["data_format"].s not in (b"", b"NHWC", b"NDHWC"):
        return False
    weights = constants.get(node_name(convolution.input[1]))
    last = _CONVOLUTIONS[convolution.op]
    return weights is not None and int(np.prod(weights.shape[-last:])) == channels


def _merged(
    scaling: _Scaling, convolution: Any, bias: np.ndarray, constants: Mapping[str, np.ndarray]
) -> dict[str, list[Any]]:
    """Returns what takes the place of the convolution and of the batch norm, by their names."""
    weights = constants[node_name(convolution.input[1])].astype(np.float64)
    channels = weights.shape[-_CONVOLUTIONS[convolution.op] :]
    weights_node = _constant(
        f"{convolution.name}/folded_weights", weights * scaling.scale.reshape(channels)
    )
    bias_node = _constant(
        f"{scaling.node.name}/folded_biases", bias * scaling.scale + scaling.offset
    )
    scaled = type(convolution)()
    scaled.CopyFrom(convolution)
    scaled.input[1] = weights_node.name
    added = type(convolution)(
        name=scaling.node.name, op="BiasAdd", input=[convolution.name, bias_node.name]
    )
    added.attr["T"].type = tf.float32.as_datatype_enum
    added.attr["data_format"].s = b"NHWC"
    return {convolution.name: [weights_node, scaled], scaling.node.name: [bias_node, added]}


def _constant(name: str, value: np.ndarray) -> Any:
    with tf.Graph().as_default() as graph:
        tf.constant(value, tf.float32, name=name)
    return graph.as_graph_def().node[0]


def _constants(graph_def: Any) -> dict[str, np.ndarray]:
    """Returns the values that the parameters of convolutions and batch norms have, by node."""
    fixed = _fixed(graph_def)
    wanted = {
        node_name(name)
        for node in graph_def.node
        if node.op in (*_CONVOLUTIONS, "FusedBatchNormV3", "BiasAdd")
        for name in node.input[1:]
    }
    return _values(graph_def, wanted & fixed)


def all_constants(graph_def: Any) -> dict[str, np.ndarray]:
    """Returns the values of all nodes that depend on nothing that is put in, by node."""
    return _values(graph_def, _fixed(graph_def))


def _fixed(graph_def: Any) -> set[str]:
    fixed: set[str] = set()
    for node in graph_def.node:  # in the order in which they were made, so inputs come first
        inputs = [node_name(each) in fixed for each in node.input]
        if node.op == "Const" or (inputs and all(inputs)):
            fixed.add(node.name)
    return fixed


def _values(graph_def: Any, wanted: set[str]) -> dict[str, np.ndarray]:
    values = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in graph_def.node
        if node.name in wanted and node.op == "Const"
    }
    # `tf.ones` of many channels is no constant but a Fill.
    return values | _computed(graph_def, sorted(wanted - set(values)))


def _computed(graph_def: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the values of nodes that depend on constants alone."""
    part = pruned(graph_def, names)

    def values() -> list[tf.Tensor]:
        elements = [f"{name}:0" for name in names]
        return tf.graph_util.import_graph_def(part, return_elements=elements, name="")

    found = tf.function(values, autograph=False)() if names else ()
    return {name: value.numpy() for name, value in zip(names, found, strict=True)}


def node_name(tensor_name: str) -> str:
    """Returns the name of the node that gives a tensor."""
    return tensor_name.removeprefix("^").partition(":")[0]


def _like(graph_def: Any, nodes: Iterable[Any]) -> Any:
    made = type(graph_def)(node=nodes, library=graph_def.library)
    made.versions.CopyFrom(graph_def.versions)
    return made
