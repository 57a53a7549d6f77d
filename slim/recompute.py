"""Segments of a network whose activations are recomputed for the gradients instead of stored.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
"""

from collections.abc import Callable

import tensorflow as tf

from slim.arg_scope import arg_scope, current_arg_scope
from slim.passes import current_pass, current_scope, pass_as_current


def segment(layer: Callable[[tf.Tensor], tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
    """Applies a segment of a network to its inputs.

    In a pass that recomputes (`store.as_default(seed, recompute=True)`) only the inputs and the
    output are stored for the gradients. Recomputation uses the same variables, names, arguments and
    dropout, and updates neither batch norm's averages nor quantization ranges.

    Args:
      layer: a function of one floating-point tensor; it must not capture tensors that depend on
        variables.
      inputs: the tensor.
    """
    one_pass = current_pass()
    if not one_pass.recompute:
        return layer(inputs)
    one_pass.num_segments += 1
    before, scope, arguments = one_pass.copied(), current_scope(), current_arg_scope()
    is_first = True

    def run(tensor: tf.Tensor) -> tf.Tensor:
        nonlocal is_first
        if is_first:
            is_first = False
            return layer(tensor)
        with pass_as_current(before.copied(), scope), arg_scope(arguments):
            return layer(tensor)

    return tf.recompute_grad(run)(inputs)
