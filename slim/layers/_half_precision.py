"""Half precision on a CPU, where some of TensorFlow's kernels are slower than in float32.

Depthwise convolutions take three times as long, their gradients with respect to the input five
times, and relu6 twice as long, although half as many bytes are moved.
Convolutions of all channels and matrix products are faster, as oneDNN has kernels for them.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from slim.graph import in_graph

HALF = (tf.bfloat16, tf.float16)

# Attribute of relu6's half-precision outputs: the same in float32, which saves a cast.
_IN_FLOAT32 = "_slim_in_float32"


def is_slow(dtype: tf.DType) -> bool:
    """Returns whether depthwise convolutions and activations in this dtype are slow here."""
    return dtype in HALF and not in_graph() and on_cpu()


def on_cpu() -> bool:
    """Returns whether there is no GPU or TPU to compute on."""
    return not any(map(tf.config.list_physical_devices, ("GPU", "TPU")))


def widened(inputs: tf.Tensor) -> tf.Tensor:
    """Returns the inputs of a depthwise convolution, in float32 if that is faster."""
    if not is_slow(inputs.dtype):
        return inputs
    in_float32 = getattr(inputs, _IN_FLOAT32, None)
    return tf.cast(inputs, tf.float32) if in_float32 is None else in_float32


def activated(
    function: Callable[[tf.Tensor], tf.Tensor] | None,
    inputs: tf.Tensor,
    dtype: tf.DType | None = None,
) -> tf.Tensor:
    """Returns the activations of a layer.

    Args:
      function: activation function, or None.
      inputs: of the function.
      dtype: of the result. Default: that of the function.
    """
    if function is tf.nn.relu6 and is_slow(dtype or inputs.dtype):
        outputs = _compiled_relu6(dtype or inputs.dtype)(inputs)
        if tf.inside_function():  # where what is not used is not computed
            setattr(outputs, _IN_FLOAT32, _compiled_relu6(tf.float32)(inputs))
        return outputs
    outputs = inputs if function is None else function(inputs)
    return outputs if dtype is None else tf.cast(outputs, dtype)


@functools.cache
def _compiled_relu6(dtype: tf.DType) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `tf.nn.relu6` with a cast, compiled to a single loop, as is its gradient."""
    compiled = functools.partial(tf.function, autograph=False, jit_compile=True)
    forward = compiled(lambda inputs: tf.cast(tf.nn.relu6(inputs), dtype))

    def masked(upstream: tf.Tensor, outputs: tf.Tensor, kind: tf.DType) -> tf.Tensor:
        inside = (outputs > 0) & (outputs < 6)
        return tf.cast(tf.where(inside, upstream, tf.zeros_like(upstream)), kind)

    backward = compiled(masked)

    @tf.custom_gradient
    def relu6(inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        outputs = forward(inputs)
        return outputs, lambda upstream: backward(upstream, outputs, inputs.dtype)

    return relu6
