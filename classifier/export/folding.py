"""Folds batch norm into the preceding convolution in a frozen GraphDef.

In inference, batch norm is `x * scale + offset` per channel. A convolution is linear, so scaled
weights and a bias have the same effect (Jacob et al., https://arxiv.org/abs/1712.05877, section
3.2). The batch norm's node becomes the bias and keeps its name and output. A batch norm is not
folded if it does not directly follow a convolution, or if the convolution has other consumers.
Transposed convolutions and fully connected layers count as convolutions.
"""

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Op of a convolution -> axes of its weights that are output channels.
_CONVOLUTIONS = {
    "Conv2D": (-1,),
    "Conv3D": (-1,),
    "DepthwiseConv2dNative": (-2, -1),
    "Conv2DBackpropInput": (-2,),
    "Conv3DBackpropInputV2": (-2,),
    "MatMul": (-1,),
}
_WITH_PARAMETERS = {*_CONVOLUTIONS, "FusedBatchNormV3", "BiasAdd", "Mul", "AddV2", "Reshape"}
_CHANNELS_LAST = (b"NHWC", b"NDHWC")


@dataclasses.dataclass(frozen=True)
class _Scaling:
    """A node that computes `source * scale + offset`.

    Attributes:
      node: the node.
      source: name of the scaled node.
      scale: factor per channel, float64.
      offset: offset per channel, float64.
      product: name of the node that computes `source * scale`, if it is a separate one.
      reshaped: name of the node that reshapes the source, if any.
    """

    node: Any
    source: str
    scale: np.ndarray
    offset: np.ndarray
    product: str = ""
    reshaped: str = ""


def pruned(graph_def: Any, outputs: Iterable[str]) -> Any:
    """Returns the nodes of a GraphDef that `outputs` depend on."""
    nodes = {node.name: node for node in graph_def.node}
    pending = list(outputs)
    needed: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += map(node_name, nodes[name].input)
    return _with_nodes(graph_def, (node for node in graph_def.node if node.name in needed))


def folded(graph_def: Any, outputs: Collection[str]) -> Any:
    """Returns a frozen GraphDef with batch norm folded into preceding convolutions where possible.

    Args:
      graph_def: graph whose weights are constants.
      outputs: names of output nodes; their values do not change.
    """
    nodes = {node.name: node for node in graph_def.node}
    # Folding does not change shapes.
    consumers = collections.Counter(
        node_name(each) for node in graph_def.node if node.op != "Shape" for each in node.input
    )
    consumers.update(outputs)
    constants = _constants(graph_def)
    replaced: dict[str, list[Any]] = {}
    for node in graph_def.node:
        scaling = _scaling(node, nodes, constants)
        if scaling is None:
            continue
        biased = nodes[scaling.source]
        bias, convolution = np.zeros_like(scaling.scale), biased
        bias_name = node_name(biased.input[1]) if biased.op == "BiasAdd" else ""
        if bias_name in constants and not scaling.reshaped:
            bias = constants[bias_name].astype(np.float64)
            convolution = nodes[node_name(biased.input[0])]
        # Other consumers need the output without batch norm.
        between = (biased.name, convolution.name, scaling.product, scaling.reshaped)
        if any(consumers[name] > 1 for name in between):
            continue
        if _can_fold(convolution, constants, len(scaling.scale)):
            replaced |= _merged(scaling, convolution, bias, constants)
    merged = [each for node in graph_def.node for each in replaced.get(node.name, [node])]
    return pruned(_with_nodes(graph_def, merged), outputs)


def _scaling(
    node: Any, nodes: Mapping[str, Any], constants: Mapping[str, np.ndarray]
) -> _Scaling | None:
    """Returns a batch norm as a scaling; None for other nodes and unknown parameters."""
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
    shape = constants.get(node_name(source.input[1])) if source.op == "Reshape" else None
    if shape is not None and [*shape] == [-1, 1, 1, len(scale)]:  # rows as images
        rows = nodes[node_name(source.input[0])]
        return _Scaling(node, rows.name, *vectors, reshaped=source.name)
    return _Scaling(node, source.name, *vectors)


def _plain_scaling(
    node: Any, nodes: Mapping[str, Any], constants: Mapping[str, np.ndarray]
) -> _Scaling | None:
    """Returns `x * scale + offset` of separate ops, as in batch norm for videos, or None."""
    product, offset = nodes[node_name(node.input[0])], constants.get(node_name(node.input[1]))
    if product.op != "Mul" or offset is None:
        return None
    scale = constants.get(node_name(product.input[1]))
    if scale is None or scale.ndim != 1 or scale.shape != offset.shape:
        return None
    vectors = map(np.float64, (scale, offset))
    return _Scaling(node, node_name(product.input[0]), *vectors, product=product.name)


def _can_fold(convolution: Any, constants: Mapping[str, np.ndarray], channels: int) -> bool:
    if convolution.op not in _CONVOLUTIONS or not convolution.input[1:]:
        return False
    # Reading a missing attribute would add it to the node.
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
    """Returns the nodes that replace the convolution and the batch norm, by their names."""
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
    source = scaling.reshaped or convolution.name
    scaled = type(convolution)()
    scaled.CopyFrom(convolution)
    scaled.input[1] = weights_node.name
    added = type(convolution)(name=scaling.node.name, op="BiasAdd", input=[source, bias_node.name])
    added.attr["T"].type = tf.float32.as_datatype_enum
    added.attr["data_format"].s = b"NHWC"
    return {convolution.name: [weights_node, scaled], scaling.node.name: [bias_node, added]}


def _constant(name: str, value: np.ndarray) -> Any:
    with tf.Graph().as_default() as graph:
        tf.constant(value, tf.float32, name=name)
    return graph.as_graph_def().node[0]


def _constants(graph_def: Any) -> dict[str, np.ndarray]:
    """Returns the constant parameters of convolutions and batch norms, by node name."""
    constant = _constant_nodes(graph_def)
    parameters = {
        node_name(name)
        for node in graph_def.node
        if node.op in _WITH_PARAMETERS
        for name in node.input[1:]
    }
    return _values(graph_def, parameters & constant)


def all_constants(graph_def: Any) -> dict[str, np.ndarray]:
    """Returns the values of all nodes that do not depend on an input, by node name."""
    return _values(graph_def, _constant_nodes(graph_def))


def _constant_nodes(graph_def: Any) -> set[str]:
    constant: set[str] = set()
    for node in graph_def.node:  # in order of creation: inputs come first
        inputs = [node_name(each) in constant for each in node.input]
        # A constant inside a loop has the loop as its input.
        if all(inputs) if inputs else node.op == "Const":
            constant.add(node.name)
    return constant


def _values(graph_def: Any, names: set[str]) -> dict[str, np.ndarray]:
    values = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in graph_def.node
        if node.name in names and node.op == "Const"
    }
    # `tf.ones` with many channels is a Fill, not a Const.
    return values | _computed(graph_def, sorted(names - set(values)))


def _computed(graph_def: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the values of nodes that depend only on constants."""
    part = pruned(graph_def, names)

    def values() -> list[tf.Tensor]:
        elements = [f"{name}:0" for name in names]
        return tf.graph_util.import_graph_def(part, return_elements=elements, name="")

    tensors = tf.function(values, autograph=False)() if names else ()
    return {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}


def node_name(tensor_name: str) -> str:
    """Returns the name of the node that outputs a tensor."""
    return tensor_name.removeprefix("^").partition(":")[0]


def _with_nodes(graph_def: Any, nodes: Iterable[Any]) -> Any:
    copy = type(graph_def)(node=nodes, library=graph_def.library)
    copy.versions.CopyFrom(graph_def.versions)
    return copy
