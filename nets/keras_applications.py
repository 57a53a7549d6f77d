"""Weights of `keras.applications` models under slim's names.

```python
model = keras.applications.MobileNetV2(weights="imagenet")
slim.assign_from_values(keras_applications.values(model, "mobilenet_v2"))
```

Only networks that compute the same as the Keras model are known here. Keras's ResNet V1 has its
strides in other layers and biases in all of them; its ResNet V2 and NASNet pad poolings with zeros.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

import slim
from nets import nets_factory
from slim import _checks

# Family -> for each scope below the network's: its pattern, the Keras layer, the layer of its batch
# norm. The first match counts; AUTO is the next layer that Keras named by itself.
AUTO = ""
Rules = list[tuple[str, str, str]]
_LOGITS = "Logits/Conv2d_1c_1x1"
_RULES: dict[str, Rules] = {
    "vgg": [
        (r"conv\d/conv(\d)_(\d)", r"block\1_conv\2", ""),
        ("fc6", "fc1", ""),
        ("fc7", "fc2", ""),
        ("fc8", "predictions", ""),
    ],
    "mobilenet_v1": [
        ("Conv2d_0", "conv1", "conv1_bn"),
        (r"Conv2d_(\d+)_depthwise", r"conv_dw_\1", r"conv_dw_\1_bn"),
        (r"Conv2d_(\d+)_pointwise", r"conv_pw_\1", r"conv_pw_\1_bn"),
        (_LOGITS, "conv_preds", ""),
    ],
    "mobilenet_v2": [
        ("Conv", "Conv1", "bn_Conv1"),
        (r"expanded_conv/(\w+)", r"expanded_conv_\1", r"expanded_conv_\1_BN"),
        (r"expanded_conv_(\d+)/(\w+)", r"block_\1_\2", r"block_\1_\2_BN"),
        ("Conv_1", "Conv_1", "Conv_1_bn"),
        (_LOGITS, "predictions", ""),
    ],
    "mobilenet_v3": [
        ("Conv", "conv", "conv_bn"),
        (r"(\w+)/squeeze_excite/Conv(_1)?", r"\1_squeeze_excite_conv\2", ""),
        (r"(expanded_conv\w*)/(\w+)", r"\1_\2", r"\1_\2_bn"),
        ("Conv_1", "conv_1", "conv_1_bn"),
        ("Conv_2", "conv_2", ""),
        (_LOGITS, "logits", ""),
    ],
    "inception_v3": [(_LOGITS, "predictions", ""), (".*", AUTO, AUTO)],
    "inception_resnet_v2": [
        (r"Repeat\w*/(block\d+_\d+)/Conv2d_1x1", r"\1_conv", ""),
        ("Block8/Conv2d_1x1", "block8_10_conv", ""),
        ("Conv2d_7b_1x1", "conv_7b", "conv_7b_bn"),
        ("Logits/Logits", "predictions", ""),
        (".*", AUTO, AUTO),
    ],
}
# Network -> its family.
NETWORKS: Mapping[str, str] = {
    "vgg_16": "vgg",
    "vgg_19": "vgg",
    **{f"mobilenet_v1{width}": "mobilenet_v1" for width in ("", "_025", "_050", "_075")},
    **{f"mobilenet_v2{width}": "mobilenet_v2" for width in ("", "_035", "_140")},
    **{
        f"mobilenet_v3_{size}{kind}": "mobilenet_v3"
        for size in ("large", "small")
        for kind in ("", "_minimalistic")
    },
    "inception_v3": "inception_v3",
    "inception_resnet_v2": "inception_resnet_v2",
}
_LEAVES = {"weights": "kernel", "depthwise_weights": "kernel", "biases": "bias"}


def values(model: Any, network: str) -> dict[str, np.ndarray]:
    """Returns the weights of a `keras.applications` model by slim's names.

    With them, `nets_factory.get_network_fn(network, num_classes)` returns the model's logits, in
    MobileNet for input sizes that are multiples of 32. MobileNet V3 with
    `include_preprocessing=True` expects pixels of 0 to 255, slim's network expects [-1, 1].
    Auxiliary logits are missing: Keras has none.

    Args:
      model: with its top, of any number of classes.
      network: one of `NETWORKS`, of the same width.

    Raises:
      UserError: for another network, or a model that is not this network.
    """
    rules = _RULES[NETWORKS[_checks.one_of("network", network, NETWORKS)]]
    layer_of = functools.partial(_layer, {layer.name: layer for layer in model.layers}, network)
    unnamed = {kind: _unnamed(model, kind) for kind in ("conv2d", "batch_normalization")}
    result: dict[str, np.ndarray] = {}
    for scope, leaves in _scopes(model, network).items():
        conv, batch_norm = _layers_of(scope.partition("/")[2], rules)
        conv_layer = layer_of(conv) if conv else next(unnamed["conv2d"], None)
        normed = any(leaf.startswith("BatchNorm/") for leaf in leaves)
        norm_layer = None
        if normed:
            norm = batch_norm if conv else AUTO
            norm_layer = layer_of(norm) if norm else next(unnamed["batch_normalization"], None)
        for leaf, shape in leaves.items():
            kind = _LEAVES.get(leaf, leaf.rpartition("/")[2])
            layer = norm_layer if leaf.startswith("BatchNorm/") else conv_layer
            result[f"{scope}/{leaf}"] = _value(layer, kind, shape, f"{scope}/{leaf}", network)
    return result


def _scopes(model: Any, network: str) -> dict[str, dict[str, tuple[int, ...]]]:
    """Returns scope -> {leaf: shape} of the network's variables, in order of creation."""
    store = slim.VariableStore(seed=0)
    network_fn = nets_factory.get_network_fn(network, model.output_shape[-1], is_training=False)
    size = network_fn.default_image_size
    store.build(network_fn, tf.TensorSpec([1, size, size, 3]))
    scopes: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, variable in store.named_variables.items():
        if "/AuxLogits/" not in name:
            scope, leaf = re.fullmatch(r"(.*?)/((?:BatchNorm/)?\w+)", name).groups()
            scopes.setdefault(scope, {})[leaf] = tuple(variable.shape)
    return scopes


def _layers_of(scope: str, rules: Rules) -> tuple[str, str]:
    """Returns the names of a scope's Keras layers."""
    rule = next(rule for rule in rules if re.fullmatch(rule[0], scope))
    conv, batch_norm = (re.fullmatch(rule[0], scope).expand(layer) for layer in rule[1:])
    return conv, batch_norm


def _unnamed(model: Any, kind: str) -> Iterator[Any]:
    """Returns the layers called `conv2d`, `conv2d_1`, ..., in order of creation."""
    matches = [(re.fullmatch(rf"{kind}(?:_(\d+))?", layer.name), layer) for layer in model.layers]
    numbered = [(int(match[1] or 0), layer) for match, layer in matches if match]
    return iter([layer for _, layer in sorted(numbered, key=lambda pair: pair[0])])


def _layer(layers: Mapping[str, Any], network: str, name: str) -> Any:
    if name not in layers:
        raise _checks.UserError(
            f"the model is not {network} of keras.applications with its top: it has no layer {name}"
        )
    return layers[name]


def _value(layer: Any, kind: str, shape: tuple[int, ...], name: str, network: str) -> np.ndarray:
    weight = getattr(layer, kind, None)
    value = np.zeros(0) if weight is None else np.asarray(weight)
    # A dense layer is a convolution over all that is left of the image.
    same = value.shape == shape or (
        value.ndim == 2 and value.shape == (int(np.prod(shape[:-1])), shape[-1])
    )
    if not same:
        raise _checks.UserError(
            f"the model is not {network} of keras.applications: {name} has shape {list(shape)}, but"
            f" {getattr(layer, 'name', 'no layer')}.{kind} has {list(value.shape)}"
        )
    return value.reshape(shape)
