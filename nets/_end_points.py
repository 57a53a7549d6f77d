"""End points: the named outputs of a network's stages, and how it ends early at one of them."""

from collections.abc import Callable, Iterable, Mapping

import tensorflow as tf

from slim import _checks
from slim.recompute import segment


class EndPoints:
    """Records outputs by name and says when the one asked for has come.

    Args:
      known: the names that may be asked for, in order.
      final_endpoint: the name at which the network ends.

    Attributes:
      tensors: the outputs by name so far.

    Raises:
      UserError: if `final_endpoint` is not one of `known`.
    """

    def __init__(self, known: Iterable[str], final_endpoint: str) -> None:
        self.final_endpoint = _checks.one_of("final_endpoint", final_endpoint, tuple(known))
        self.tensors: dict[str, tf.Tensor] = {}

    def add(self, name: str, net: tf.Tensor) -> bool:
        """Records `net` as `name` and returns whether the network ends here."""
        self.tensors[name] = net
        return name == self.final_endpoint


def run_layers(
    net: tf.Tensor, layers: Mapping[str, Callable[[tf.Tensor], tf.Tensor]], final_endpoint: str
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Applies layers in order, up to and with `final_endpoint`, and records the output of each.

    Each is a segment of `slim.recompute`.

    Args:
      net: input of the first layer.
      layers: a function of the previous output by the name of its end point.
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
