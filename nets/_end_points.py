"""End points: the named outputs of a network's stages, and building up to one of them."""

from collections.abc import Callable, Iterable, Mapping

import tensorflow as tf

from slim import _checks
from slim.recompute import segment


class EndPoints:
    """Records outputs by name up to a final one.

    Args:
      known: all names, in order.
      final_endpoint: name of the last output to build.

    Attributes:
      tensors: recorded outputs by name.

    Raises:
      UserError: if `final_endpoint` is not one of `known`.
    """

    def __init__(self, known: Iterable[str], final_endpoint: str) -> None:
        self.final_endpoint = _checks.one_of("final_endpoint", final_endpoint, tuple(known))
        self.tensors: dict[str, tf.Tensor] = {}

    def add(self, name: str, net: tf.Tensor) -> bool:
        """Records `net` as `name` and returns whether it is the final one."""
        self.tensors[name] = net
        return name == self.final_endpoint


def run_layers(
    net: tf.Tensor, layers: Mapping[str, Callable[[tf.Tensor], tf.Tensor]], final_endpoint: str
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Applies layers in order, up to and including `final_endpoint`, and records their outputs.

    Each is a segment of `slim.recompute`.

    Args:
      net: input of the first layer.
      layers: functions of the previous output, by the names of their end points.
      final_endpoint: name of the last layer to apply.

    Returns:
      The last output, and all outputs by name.

    Raises:
      UserError: if there is no layer called `final_endpoint`.
    """
    end_points = EndPoints(layers, final_endpoint)
    for name, layer in layers.items():
        net = segment(layer, net)
        if end_points.add(name, net):
            break
    return net, end_points.tensors
