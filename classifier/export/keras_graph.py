"""Translates a frozen GraphDef to a functional model of Keras layers, named after slim's scopes.

The inference graphs use about twenty operations. Weights become weights of layers (whose names have
dots instead of slashes), so that the model can be trained further. Training-only operations such as
dropout are neither in the graph nor in the model.
"""

import collections
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.export import folding

keras = tf.keras

# A layer with one of these variables has the name of its scope.
_USUAL_LEAVES = ("weights", "moving_mean")


class Translation:
    """A translation of a graph to a Keras model.

    Args:
      graph_def: frozen graph, with nodes in order of creation.
      variables: values of slim's variables, by node name.
      output: name of the output node.
    """

    def __init__(self, graph_def: Any, variables: Mapping[str, Any], output: str) -> None:
        self._nodes = {node.name: node for node in graph_def.node}
        self._variables = variables
        self._constants = folding.all_constants(graph_def)
        self._consumers = collections.Counter(
            folding.node_name(each) for node in graph_def.node for each in node.input
        )
        self._consumers.update([output])
        self._tensors: dict[str, Any] = {}
        self._weights: list[tuple[Any, list[np.ndarray]]] = []
        self._inputs: list[Any] = []
        self._output = output
        self._biased: set[str] = set()

    def model(self, name: str) -> Any:
        """Returns the Keras model.

        Raises:
          NotImplementedError: if an operation is not supported.
        """
        for node in self._nodes.values():
            if node.name not in self._constants:
                self._tensors[node.name] = self._translate(node)
        model = keras.Model(self._inputs[0], self._tensors[self._output], name=name)
        for layer, values in self._weights:
            layer.set_weights(values)
        return model

    def _translate(self, node: Any) -> Any:
        if node.op not in _TRANSLATIONS:
            raise NotImplementedError(f"operation {node.op} of node {node.name} is not supported")
        return _TRANSLATIONS[node.op](self, node)

    def tensor(self, node: Any, index: int = 0) -> Any:
        """Returns an input of a node: its Keras tensor or its constant value."""
        name = folding.node_name(node.input[index])
        return self._constants[name] if name in self._constants else self._tensors[name]

    def constant(self, node: Any, index: int) -> np.ndarray:
        """Returns the value of a constant input of a node."""
        return self._constants[folding.node_name(node.input[index])]

    def variable(self, node: Any, index: int) -> str | None:
        """Returns the name of the variable that is an input of a node, or None."""
        name = folding.node_name(node.input[index])
        while name not in self._variables and self._nodes[name].op == "Identity":
            name = folding.node_name(self._nodes[name].input[0])
        return name if name in self._variables else None

    def _layer_name(self, node: Any, index: int) -> str:
        """Returns the scope of a variable; a separable convolution has two layers in a scope."""
        scope, _, leaf = (self.variable(node, index) or node.name).rpartition("/")
        return _layer_name(scope if leaf in _USUAL_LEAVES else f"{scope}/{leaf}")

    def input(self, node: Any) -> Any:
        """Creates the model's input."""
        shape = tf.TensorShape(node.attr["shape"].shape).as_list()
        self._inputs.append(keras.Input(shape[1:], batch_size=shape[0], name="images"))
        return self._inputs[-1]

    def with_bias(self, node: Any, make: Callable[..., Any], weights: np.ndarray) -> Any:
        """Creates a layer with weights, and with the bias added directly after it."""
        following = [
            other
            for other in self._nodes.values()
            if other.op == "BiasAdd" and folding.node_name(other.input[0]) == node.name
        ]
        bias = following if self._consumers[node.name] == 1 else []
        layer = make(use_bias=bool(bias), name=self._layer_name(node, 1))
        values = [weights, *(self.constant(other, 1) for other in bias)]
        self._weights.append((layer, values))
        self._biased.update(other.name for other in bias)
        return layer(self.tensor(node))

    def bias(self, node: Any) -> Any:
        """Adds a bias, unless the preceding layer includes it."""
        if node.name not in self._biased:
            return keras.ops.add(self.tensor(node), self.constant(node, 1))
        return self.tensor(node)

    def batch_norm(self, node: Any) -> Any:
        """Creates a batch norm layer, which can be trained."""
        gamma, beta, mean, variance = (self.constant(node, index) for index in range(1, 5))
        scale, center = bool(self.variable(node, 1)), bool(self.variable(node, 2))
        layer = keras.layers.BatchNormalization(
            epsilon=node.attr["epsilon"].f,
            scale=scale,
            center=center,
            name=self._layer_name(node, 3),
        )
        self._weights.append((layer, [*[gamma] * scale, *[beta] * center, mean, variance]))
        return layer(self.tensor(node))

    def sum(self, node: Any) -> Any:
        """Adds, or creates batch norm if the sum is the last op of its unfused formula."""
        scope, suffix, _ = node.name.partition("/batchnorm/add_1")
        mean = f"{scope}/moving_mean"
        if not suffix or mean not in self._variables:
            return _elementwise(keras.ops.add)(self, node)
        affine = {leaf: self._variables.get(f"{scope}/{leaf}") for leaf in ("gamma", "beta")}
        layer = keras.layers.BatchNormalization(
            epsilon=float(self._constants[f"{scope}/batchnorm/add/y"]),
            scale=affine["gamma"] is not None,
            center=affine["beta"] is not None,
            name=_layer_name(scope),
        )
        averages = [self._variables[mean], self._variables[f"{scope}/moving_variance"]]
        parameters = [each for each in affine.values() if each is not None]
        self._weights.append((layer, [*parameters, *averages]))
        return layer(self.tensor(self._nodes[folding.node_name(node.input[0])]))


def _layer_name(name: str) -> str:
    return name.replace("/", ".")


def _inner(values: Any) -> tuple[int, ...]:
    """Returns the values for the axes between batch and channels."""
    return tuple(int(each) for each in values.list.i)[1:-1]


def _window(node: Any) -> dict[str, Any]:
    padding = node.attr["padding"].s.decode().lower()
    return {"strides": _inner(node.attr["strides"]), "padding": padding}


def _conv(kind: Any) -> Callable[[Translation, Any], Any]:
    def translate(graph: Translation, node: Any) -> Any:
        weights = graph.constant(node, 1)
        *kernel, _, filters = weights.shape
        settings = _window(node) | {"dilation_rate": _inner(node.attr["dilations"])}

        def make(**more: Any) -> Any:
            return kind(filters, tuple(kernel), **settings, **more)

        return graph.with_bias(node, make, weights)

    return translate


def _depthwise(graph: Translation, node: Any) -> Any:
    weights = graph.constant(node, 1)
    *kernel, _, multiplier = weights.shape
    settings = _window(node) | {"dilation_rate": _inner(node.attr["dilations"])}

    def make(**more: Any) -> Any:
        return keras.layers.DepthwiseConv2D(
            tuple(kernel), depth_multiplier=multiplier, **settings, **more
        )

    return graph.with_bias(node, make, weights)


def _dense(graph: Translation, node: Any) -> Any:
    weights = graph.constant(node, 1)

    def make(**more: Any) -> Any:
        return keras.layers.Dense(weights.shape[1], **more)

    return graph.with_bias(node, make, weights)


def _pool(kind: Any) -> Callable[[Translation, Any], Any]:
    def make(graph: Translation, node: Any) -> Any:
        size = _inner(node.attr["ksize"])
        return kind(size, name=_layer_name(node.name), **_window(node))(graph.tensor(node))

    return make


def _elementwise(operation: Callable[[Any, Any], Any]) -> Callable[[Translation, Any], Any]:
    def make(graph: Translation, node: Any) -> Any:
        return operation(*(_plain(graph.tensor(node, index)) for index in (0, 1)))

    return make


def _plain(value: Any) -> Any:
    # Keras serializes Python numbers, but not arrays of rank 0.
    return float(value) if isinstance(value, np.ndarray) and not value.ndim else value


def _strided_slice(graph: Translation, node: Any) -> Any:
    """Slices rows and columns with a start and a stride, as in NASNet's reductions."""
    begin, strides = ([int(each) for each in graph.constant(node, index)] for index in (1, 3))
    name, layers = _layer_name(node.name), keras.layers
    net = layers.Cropping2D(((begin[1], 0), (begin[2], 0)), name=name)(graph.tensor(node))
    return layers.AveragePooling2D(1, strides=strides[1:3], name=f"{name}.strides")(net)


def _local_response(graph: Translation, node: Any) -> Any:
    """`x / (bias + alpha * sum of squares of the neighbouring channels) ^ beta`."""
    x, ops = graph.tensor(node), keras.ops
    radius = node.attr["depth_radius"].i
    _, height, width, channels = x.shape
    lines = ops.reshape(ops.square(x), (-1, height * width, channels, 1))
    padded = ops.pad(lines, [[0, 0], [0, 0], [radius, radius], [0, 0]])
    size = 2 * radius + 1
    means = ops.average_pool(padded, (1, size), strides=1, padding="valid")
    sums = ops.reshape(ops.multiply(means, float(size)), (-1, height, width, channels))
    below = ops.add(ops.multiply(sums, node.attr["alpha"].f), node.attr["bias"].f)
    return ops.divide(x, ops.power(below, node.attr["beta"].f))


def _concatenate(graph: Translation, node: Any) -> Any:
    *parts, axis = range(len(node.input))
    layer = keras.layers.Concatenate(int(graph.constant(node, axis)), name=_layer_name(node.name))
    return layer([graph.tensor(node, index) for index in parts])


def _mean(graph: Translation, node: Any) -> Any:
    axes = tuple(int(each) for each in np.ravel(graph.constant(node, 1)))
    return keras.ops.mean(graph.tensor(node), axis=axes, keepdims=node.attr["keep_dims"].b)


def _pad(graph: Translation, node: Any) -> Any:
    return keras.ops.pad(graph.tensor(node), graph.constant(node, 1).tolist())


def _squeeze(graph: Translation, node: Any) -> Any:
    axes = tuple(node.attr["squeeze_dims"].list.i)
    return keras.ops.squeeze(graph.tensor(node), axis=axes)


def _reshape(graph: Translation, node: Any) -> Any:
    shape = [int(each) for each in graph.constant(node, 1)]
    return keras.layers.Reshape(shape[1:], name=_layer_name(node.name))(graph.tensor(node))


def _activation(**settings: Any) -> Callable[[Translation, Any], Any]:
    def make(graph: Translation, node: Any) -> Any:
        return keras.layers.ReLU(name=_layer_name(node.name), **settings)(graph.tensor(node))

    return make


_TRANSLATIONS: Mapping[str, Callable[[Translation, Any], Any]] = {
    "Placeholder": Translation.input,
    "Identity": Translation.tensor,
    "BiasAdd": Translation.bias,
    "FusedBatchNormV3": Translation.batch_norm,
    "Conv2D": _conv(keras.layers.Conv2D),
    "Conv3D": _conv(keras.layers.Conv3D),
    "DepthwiseConv2dNative": _depthwise,
    "MatMul": _dense,
    "Relu": _activation(),
    "Relu6": _activation(max_value=6.0),
    "AddV2": Translation.sum,
    "Mul": _elementwise(keras.ops.multiply),
    "ConcatV2": _concatenate,
    "AvgPool": _pool(keras.layers.AveragePooling2D),
    "AvgPool3D": _pool(keras.layers.AveragePooling3D),
    "MaxPool": _pool(keras.layers.MaxPooling2D),
    "MaxPool3D": _pool(keras.layers.MaxPooling3D),
    "Mean": _mean,
    "Pad": _pad,
    "StridedSlice": _strided_slice,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "LRN": _local_response,
}
