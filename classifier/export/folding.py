"""Batch norm folded into the convolution before it, in a frozen GraphDef.

In inference batch norm is `x * scale + offset` for each channel, and a convolution is linear, so
that scaled weights and a bias do the same (Jacob et al., https://arxiv.org/abs/1712.05877, section
3.2). The batch norm's node becomes that bias and keeps its name, so nobody who reads its output
sees a difference. What does not follow a convolution directly, or shares it with another reader,
stays as it is. Transposed convolutions and fully connected layers count as convolutions.
"""

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# A convolution's op -> axes of its weights that are the output channels.
_CONVOLUTIONS = {
    "Conv2D": (-1,),
    "Conv3D": (-1,),
    "DepthwiseConv2dNative": (-2, -1),
    "Conv2DBackpropInput": (-2,),
    "Conv3DBackpropInputV2": (-2,),
    "MatMul": (-1,),
}
_WITH_PARAMETERS = {*_CONVOLUTIONS, "FusedBatchNormV3", "BiasAdd", "Mul", "AddV2"}
_CHANNELS_LAST = (b"NHWC", b"NDHWC")
# `[:, tf.newaxis, tf.newaxis, :]`, by which the fused kernel is given rows of features.
_ROWS_AS_IMAGES = {"begin_mask": 9, "end_mask": 9, "new_axis_mask": 6, "shrink_axis_mask": 0}


@dataclasses.dataclass(frozen=True)
class _Scaling:
    """A node that gives `source * scale + offset`, with float64 vectors of a length.

    Attributes:
      node: it.
      source: name of the node that is scaled.
      scale: for each channel.
      offset: for each channel.
      product: name of the node that is `source * scale`, if that is one of its own.
      reshaped: name of the node through which the source is read, if there is one.
    """

    node: Any
    source: str
    scale: np.ndarray
    offset: np.ndarray
    product: str = ""
    reshaped: str = ""


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
    # The shape stays what it is.
    readers = collections.Counter(
        node_name(each) for node in graph_def.node if node.op != "Shape" for each in node.input
    )
    readers.update(outputs)
    constants = _constants(graph_def)
    replaced: dict[str, list[Any]] = {}
    for node in graph_def.node:
        scaling = _scaling(node, nodes, constants)
        if scaling is None:
            continue
        biased = nodes[scaling.source]
        bias, convolution = np.zeros_like(scaling.scale), biased
        given = node_name(biased.input[1]) if biased.op == "BiasAdd" else ""
        if given in constants and not scaling.reshaped:
            bias = constants[given].astype(np.float64)
            convolution = nodes[node_name(biased.input[0])]
        # Another reader of the convolution wants what it gives without batch norm.
        between = (biased.name, convolution.name, scaling.product, scaling.reshaped)
        if any(readers[name] > 1 for name in between):
            continue
        if _can_take(convolution, constants, len(scaling.scale)):
            replaced |= _merged(scaling, convolution, bias, constants)
    merged = [each for node in graph_def.node for each in replaced.get(node.name, [node])]
    return pruned(_like(graph_def, merged), outputs)


def _scaling(
    node: Any, nodes: Mapping[str, Any], constants: Mapping[str, np.ndarray]
) -> _Scaling | None:
    """Returns a batch norm's node as a scaling, or None if it is none or has unknown parameters."""
    if node.op == "AddV2":
        return _plain_scaling(node, nodes, constants)
    if node.op != "FusedBatchNormV3" or node.attr["is_training"].b:
        return None
    if node.attr["data_format"].s not in _CHANNELS_LAST:
        return None
    names = [node_name(each) for each in node.input]
    if not all(name in constants for name in names[1:5]):
        return None
    gamma, beta, mean, variance = (constants[name].astype(np.float64) for name in names[1:5])
    scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
    vectors, source = (scale, beta - mean * scale), nodes[names[0]]
    if (
        source.op == "StridedSlice"
        and {name: source.attr[name].i for name in _ROWS_AS_IMAGES} == _ROWS_AS_IMAGES
    ):
        rows = nodes[node_name(source.input[0])]
        return _Scaling(node, rows.name, *vectors, reshaped=source.name)
    return _Scaling(node, source.name, *vectors)


def _plain_scaling(
    node: Any, nodes: Mapping[str, Any], constants: Mapping[str, np.ndarray]
) -> _Scaling | None:
    """Returns `x * scale + offset` in ops of their own, as batch norm of videos is, or None."""
    product, offset = nodes[node_name(node.input[0])], constants.get(node_name(node.input[1]))
    if product.op != "Mul" or offset is None:
        return None
    scale = constants.get(node_name(product.input[1]))
    if scale is None or scale.ndim != 1 or scale.shape != offset.shape:
        return None
    vectors = map(np.float64, (scale, offset))
    return _Scaling(node, node_name(product.input[0]), *vectors, product=product.name)


def _can_take(convolution: Any, constants: Mapping[str, np.ndarray], channels: int) -> bool:
    if convolution.op not in _CONVOLUTIONS or not convolution.input[1:]:
        return False
    # Asking a node for what it has not would give it that.
    attributes = convolution.attr
    if "data_format" in attributes and attributes["data_format"].s not in _CHANNELS_LAST:
        return False
    if "transpose_b" in attributes and attributes["transpose_b"].b:
        return False
    weights = constants.get(node_name(convolution.input[1]))
    axes = _CONVOLUTIONS[convolution.op]
    return weights is not None and int(np.prod([weights.shape[axis] for axis in axes])) == channels


def _merged(
    scaling: _Scaling, convolution: Any, bias: np.ndarray, constants: Mapping[str, np.ndarray]
) -> dict[str, list[Any]]:
    """Returns what takes the place of the convolution and of the batch norm, by their names."""
    weights = constants[node_name(convolution.input[1])].astype(np.float64)
    channels = np.ones(weights.ndim, int)
    for axis in _CONVOLUTIONS[convolution.op]:
        channels[axis] = weights.shape[axis]
    weights_node = _constant(
        f"{convolution.name}/folded_weights", weights * scaling.scale.reshape(channels)
    )
    bias_node = _constant(
        f"{scaling.node.name}/folded_biases", bias * scaling.scale + scaling.offset
    )
    at = scaling.reshaped or convolution.name
    scaled = type(convolution)()
    scaled.CopyFrom(convolution)
    scaled.input[1] = weights_node.name
    added = type(convolution)(name=scaling.node.name, op="BiasAdd", input=[at, bias_node.name])
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
        if node.op in _WITH_PARAMETERS
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
        # A constant of a loop waits for the loop.
        if all(inputs) if inputs else node.op == "Const":
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
