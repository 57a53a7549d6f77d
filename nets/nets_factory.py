"""The networks by name: one row each, without TensorFlow until a network is requested.

A network is a function `(images, num_classes, is_training, ...) -> (logits, end_points)`:

- `images` are [batch, height, width, channels], or [batch, frames, height, width, channels]; the
  batch may be unknown, and an image's logits do not depend on its neighbors in inference.
- `logits` are [batch, num_classes]. With `num_classes` 0 or None there is no head: the first output
  is the features that the head would receive.
- `end_points` maps names to tensors and has "Logits" and, from softmax, "Predictions", both
  [batch, num_classes] and only with classes. "AuxLogits" are auxiliary logits: training adds a loss
  for them. Some of TF-Slim's networks have other names, such as "vgg_16/fc8".
- Its layers are slim's, below one `slim.variable_scope`: a later pass reuses the variables, and a
  second call in the same pass without `reuse` is an error, since names are unique. In training it
  has all variables that it has in inference, with the same names and shapes.
- `<network>.default_image_size` is that of its row; `<network>_arg_scope(weight_decay)` returns the
  scope with its layers' defaults, the L2 penalty included.

To add one, write a file in this directory and a row in `NETWORKS`. `tests/conformance/` then
checks all of the above;
`python -m tests.conformance.record NAME` records its names and shapes, so that a later change of
them, which would break checkpoints, fails a test.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slim import _checks, arg_scope
from slim.arg_scope import Scope, arg_scope_func_key

# The default of `slim.batch_norm`.
_BATCH_NORM_DECAY = 0.999


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """A row of the table: the properties of a network that need no build.

    Attributes:
      module: its module, below `nets`.
      function: name of the network function in the module.
      arg_scope: name of its arg_scope function in the module.
      image_size: default height and width of the images, in pixels.
      input_rank: 4 for images, 5 for videos.
      channels: number of channels of the images.
      classes: number of classes it was published with; 1001 are ImageNet's and the background.
      preprocessing: name of the preprocessing it was trained with.
      heads: scopes of the variables whose shapes depend on the number of classes.
    """

    module: str
    function: str
    arg_scope: str
    image_size: int
    input_rank: int = 4
    channels: int = 3
    classes: int = 1001
    preprocessing: str = "inception"
    heads: tuple[str, ...] = ()

    @property
    def build(self) -> Callable[..., Any]:
        """The network function; imports its module."""
        return getattr(importlib.import_module(f".{self.module}", __package__), self.function)

    @property
    def build_arg_scope(self) -> Callable[..., Any]:
        """The arg_scope function; imports its module."""
        return getattr(importlib.import_module(f".{self.module}", __package__), self.arg_scope)


NETWORKS: Mapping[str, NetworkSpec] = {
    "alexnet_v2": NetworkSpec(
        "alexnet",
        "alexnet_v2",
        "alexnet_v2_arg_scope",
        224,
        preprocessing="vgg",
        heads=("alexnet_v2/fc8",),
    ),
    "cifarnet": NetworkSpec(
        "cifarnet",
        "cifarnet",
        "cifarnet_arg_scope",
        32,
        classes=10,
        preprocessing="cifarnet",
        heads=("CifarNet/logits",),
    ),
    "i3d": NetworkSpec(
        "i3d", "i3d", "i3d_arg_scope", 224, input_rank=5, heads=("InceptionV1/Logits",)
    ),
    "inception_resnet_v2": NetworkSpec(
        "inception_resnet_v2",
        "inception_resnet_v2",
        "inception_resnet_v2_arg_scope",
        299,
        heads=("InceptionResnetV2/Logits/Logits", "InceptionResnetV2/AuxLogits/Logits"),
    ),
    "inception_v1": NetworkSpec(
        "inception_v1",
        "inception_v1",
        "inception_v1_arg_scope",
        224,
        heads=("InceptionV1/Logits/Conv2d_0c_1x1",),
    ),
    "inception_v2": NetworkSpec(
        "inception_v2",
        "inception_v2",
        "inception_v2_arg_scope",
        224,
        heads=("InceptionV2/Logits/Conv2d_1c_1x1",),
    ),
    "inception_v3": NetworkSpec(
        "inception_v3",
        "inception_v3",
        "inception_v3_arg_scope",
        299,
        heads=("InceptionV3/Logits/Conv2d_1c_1x1", "InceptionV3/AuxLogits/Conv2d_2b_1x1"),
    ),
    "inception_v4": NetworkSpec(
        "inception_v4",
        "inception_v4",
        "inception_v4_arg_scope",
        299,
        heads=("InceptionV4/Logits/Logits", "InceptionV4/AuxLogits/Aux_logits"),
    ),
    "lenet": NetworkSpec(
        "lenet",
        "lenet",
        "lenet_arg_scope",
        28,
        channels=1,
        classes=10,
        preprocessing="lenet",
        heads=("LeNet/fc4",),
    ),
    "mobilenet_edgetpu": NetworkSpec(
        "mobilenet.v3", "edge_tpu", "training_scope", 224, heads=("MobilenetEdgeTPU/Logits",)
    ),
    "mobilenet_edgetpu_075": NetworkSpec(
        "mobilenet.v3", "edge_tpu_075", "training_scope", 224, heads=("MobilenetEdgeTPU/Logits",)
    ),
    "mobilenet_v1": NetworkSpec(
        "mobilenet_v1", "mobilenet_v1", "mobilenet_v1_arg_scope", 224, heads=("MobilenetV1/Logits",)
    ),
    "mobilenet_v1_025": NetworkSpec(
        "mobilenet_v1",
        "mobilenet_v1_025",
        "mobilenet_v1_arg_scope",
        224,
        heads=("MobilenetV1/Logits",),
    ),
    "mobilenet_v1_050": NetworkSpec(
        "mobilenet_v1",
        "mobilenet_v1_050",
        "mobilenet_v1_arg_scope",
        224,
        heads=("MobilenetV1/Logits",),
    ),
    "mobilenet_v1_075": NetworkSpec(
        "mobilenet_v1",
        "mobilenet_v1_075",
        "mobilenet_v1_arg_scope",
        224,
        heads=("MobilenetV1/Logits",),
    ),
    "mobilenet_v2": NetworkSpec(
        "mobilenet.v2", "mobilenet", "training_scope", 224, heads=("MobilenetV2/Logits",)
    ),
    "mobilenet_v2_035": NetworkSpec(
        "mobilenet.v2", "mobilenet_v2_035", "training_scope", 224, heads=("MobilenetV2/Logits",)
    ),
    "mobilenet_v2_140": NetworkSpec(
        "mobilenet.v2", "mobilenet_v2_140", "training_scope", 224, heads=("MobilenetV2/Logits",)
    ),
    "mobilenet_v3_large": NetworkSpec(
        "mobilenet.v3", "large", "training_scope", 224, heads=("MobilenetV3/Logits",)
    ),
    "mobilenet_v3_large_minimalistic": NetworkSpec(
        "mobilenet.v3", "large_minimalistic", "training_scope", 224, heads=("MobilenetV3/Logits",)
    ),
    "mobilenet_v3_small": NetworkSpec(
        "mobilenet.v3", "small", "training_scope", 224, heads=("MobilenetV3/Logits",)
    ),
    "mobilenet_v3_small_minimalistic": NetworkSpec(
        "mobilenet.v3", "small_minimalistic", "training_scope", 224, heads=("MobilenetV3/Logits",)
    ),
    "nasnet_cifar": NetworkSpec(
        "nasnet.nasnet",
        "build_nasnet_cifar",
        "nasnet_cifar_arg_scope",
        32,
        classes=10,
        heads=("final_layer/FC", "aux_11/aux_logits/FC"),
    ),
    "nasnet_large": NetworkSpec(
        "nasnet.nasnet",
        "build_nasnet_large",
        "nasnet_large_arg_scope",
        331,
        heads=("final_layer/FC", "aux_11/aux_logits/FC"),
    ),
    "nasnet_mobile": NetworkSpec(
        "nasnet.nasnet",
        "build_nasnet_mobile",
        "nasnet_mobile_arg_scope",
        224,
        heads=("final_layer/FC", "aux_7/aux_logits/FC"),
    ),
    "overfeat": NetworkSpec(
        "overfeat",
        "overfeat",
        "overfeat_arg_scope",
        231,
        preprocessing="vgg",
        heads=("overfeat/fc8",),
    ),
    "pnasnet_large": NetworkSpec(
        "nasnet.pnasnet",
        "build_pnasnet_large",
        "pnasnet_large_arg_scope",
        331,
        heads=("final_layer/FC", "aux_7/aux_logits/FC"),
    ),
    "pnasnet_mobile": NetworkSpec(
        "nasnet.pnasnet",
        "build_pnasnet_mobile",
        "pnasnet_mobile_arg_scope",
        224,
        heads=("final_layer/FC", "aux_5/aux_logits/FC"),
    ),
    "resnet_v1_50": NetworkSpec(
        "resnet_v1",
        "resnet_v1_50",
        "resnet_arg_scope",
        224,
        preprocessing="vgg",
        heads=("resnet_v1_50/logits",),
    ),
    "resnet_v1_101": NetworkSpec(
        "resnet_v1",
        "resnet_v1_101",
        "resnet_arg_scope",
        224,
        preprocessing="vgg",
        heads=("resnet_v1_101/logits",),
    ),
    "resnet_v1_152": NetworkSpec(
        "resnet_v1",
        "resnet_v1_152",
        "resnet_arg_scope",
        224,
        preprocessing="vgg",
        heads=("resnet_v1_152/logits",),
    ),
    "resnet_v1_200": NetworkSpec(
        "resnet_v1",
        "resnet_v1_200",
        "resnet_arg_scope",
        224,
        preprocessing="vgg",
        heads=("resnet_v1_200/logits",),
    ),
    "resnet_v2_50": NetworkSpec(
        "resnet_v2",
        "resnet_v2_50",
        "resnet_arg_scope",
        224,
        preprocessing="vgg",
        heads=("resnet_v2_50/logits",),
    ),
    "resnet_v2_101": NetworkSpec(
        "resnet_v2",
        "resnet_v2_101",
        "resnet_arg_scope",
        224,
        preprocessing="vgg",
        heads=("resnet_v2_101/logits",),
    ),
    "resnet_v2_152": NetworkSpec(
        "resnet_v2",
        "resnet_v2_152",
        "resnet_arg_scope",
        224,
        preprocessing="vgg",
        heads=("resnet_v2_152/logits",),
    ),
    "resnet_v2_200": NetworkSpec(
        "resnet_v2",
        "resnet_v2_200",
        "resnet_arg_scope",
        224,
        preprocessing="vgg",
        heads=("resnet_v2_200/logits",),
    ),
    "s3dg": NetworkSpec(
        "s3dg", "s3dg", "s3dg_arg_scope", 224, input_rank=5, heads=("InceptionV1/Logits",)
    ),
    "vgg_16": NetworkSpec(
        "vgg", "vgg_16", "vgg_arg_scope", 224, preprocessing="vgg", heads=("vgg_16/fc8",)
    ),
    "vgg_19": NetworkSpec(
        "vgg", "vgg_19", "vgg_arg_scope", 224, preprocessing="vgg", heads=("vgg_19/fc8",)
    ),
    "vgg_a": NetworkSpec(
        "vgg", "vgg_a", "vgg_arg_scope", 224, preprocessing="vgg", heads=("vgg_a/fc8",)
    ),
}


class _View(Mapping):
    """One column of `NETWORKS`, computed on access."""

    def __init__(self, column: Callable[[NetworkSpec], Any]) -> None:
        self._column = column

    def __getitem__(self, name: str) -> Any:
        return self._column(NETWORKS[name])

    def __iter__(self) -> Iterator[str]:
        return iter(NETWORKS)

    def __len__(self) -> int:
        return len(NETWORKS)


networks_map: Mapping[str, Callable[..., Any]] = _View(lambda spec: spec.build)
arg_scopes_map: Mapping[str, Callable[..., Any]] = _View(lambda spec: spec.build_arg_scope)


def get_network_fn(
    name: str,
    num_classes: int | None,
    weight_decay: float = 0.0,
    is_training: bool = False,
    batch_norm_decay: float | None = None,
) -> Callable[..., Any]:
    """Returns a network function with its arg_scope.

    Args:
      name: a name of `NETWORKS`.
      num_classes: number of classes; 0 or None returns features instead of logits.
      weight_decay: coefficient of the L2 penalty on the weights.
      is_training: whether batch norm and dropout are in training mode.
      batch_norm_decay: decay of batch norm's moving averages; None uses the network's own.

    Returns:
      A function `(images, **kwargs) -> (logits, end_points)` with `default_image_size`. It enters
      the network's arg_scope itself, so it can be called in any thread.

    Raises:
      UserError: if the name is not known.
    """
    spec = NETWORKS[_checks.one_of("model_name", name, NETWORKS)]
    network = spec.build

    @functools.wraps(network)
    def network_fn(images: Any, **kwargs: Any) -> Any:
        scope = spec.build_arg_scope(weight_decay=weight_decay)
        if batch_norm_decay is not None:
            scope = _with_batch_norm_decay(scope, batch_norm_decay)
        with arg_scope(scope):
            return network(images, num_classes=num_classes, is_training=is_training, **kwargs)

    network_fn.default_image_size = spec.image_size  # type: ignore[attr-defined]
    return network_fn


def batch_norm_decay(name: str) -> float:
    """Returns the decay of batch norm's moving averages in a network's arg_scope.

    Args:
      name: a name of `NETWORKS`.
    """
    scope = NETWORKS[name].build_arg_scope()
    layers = [arguments.get("normalizer_params") or {} for arguments in scope.values()]
    decays = [each["decay"] for each in (*layers, *scope.values()) if "decay" in each]
    return decays[0] if decays else _BATCH_NORM_DECAY


def _with_batch_norm_decay(scope: Scope, decay: float) -> Scope:
    """Returns the scope with another decay for batch norm, as a layer and as a normalizer."""
    from slim import batch_norm  # not at the top: it loads TensorFlow

    changed = {key: dict(arguments) for key, arguments in scope.items()}
    for arguments in changed.values():
        if "decay" in (arguments.get("normalizer_params") or {}):
            arguments["normalizer_params"] = {**arguments["normalizer_params"], "decay": decay}
    changed.setdefault(arg_scope_func_key(batch_norm), {})["decay"] = decay
    return changed
