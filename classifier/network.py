"""The network of a model, in training and in inference mode, and a check of its image size."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

import slim
from classifier.model_info import ModelInfo
from nets import nets_factory
from slim import _checks, quantization
from slim.store import ShapeStore


def training_network(
    info: ModelInfo,
    weight_decay: float,
    compute_dtype: str = "float32",
    frozen_batch_norm: bool | Callable[[str], bool] = False,
    batch_norm_decay: float | None = None,
    quantize_delay: int = 0,
    sync_batch_norm: bool = False,
) -> Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Returns a network in training mode, which maps float32 images to (logits, end points).

    Args:
      info: the network and its classes.
      weight_decay: coefficient of the L2 penalty on the weights.
      compute_dtype: of the activations.
      frozen_batch_norm: whether batch norm uses its moving averages; or a function that decides by
        the scope's name.
      batch_norm_decay: of the moving averages; default: the network's.
      quantize_delay: steps before a quantized network rounds values.
      sync_batch_norm: whether batch norm's statistics are those of all replicas' batches.
    """
    network = nets_factory.get_network_fn(
        info.model_name, info.num_classes, weight_decay, True, batch_norm_decay
    )

    def run(image: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with (
            slim.arg_scope(
                [slim.batch_norm], frozen=frozen_batch_norm, synchronized=sync_batch_norm
            ),
            _rounding(info.quantized, quantize_delay),
        ):
            return network(tf.cast(image, compute_dtype))

    return run


def inference_network(
    name: str, num_classes: int | None, quantized: bool = False, weights: bool = True
) -> Callable[..., Any]:
    """Returns a network in inference mode, which maps images to (logits, end points).

    Args:
      name: of the network.
      num_classes: length of the logits; None for a network that returns (features, end points).
      quantized: whether its layers round values.
      weights: whether they also round their weights.
    """
    network = nets_factory.get_network_fn(name, num_classes, is_training=False)

    def run(images: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with _rounding(quantized, 0, weights):
            return network(images)

    return run


@contextlib.contextmanager
def check_image_size(
    model_name: str, network: Callable[[tf.Tensor], Any], shape: Sequence[int | None]
) -> Iterator[None]:
    """Translates an error of building a network that is due to the image size.

    Args:
      model_name: name of the network.
      network: the network.
      shape: of its input: [..., height, width, channels].

    Raises:
      UserError: if it cannot be built for this size, but for its default size.
    """
    try:
        yield
    except ValueError as error:
        default = nets_factory.NETWORKS[model_name].image_size
        *first, height, width, channels = shape
        # The error may have another cause.
        if _can_be_built(network, shape):
            raise
        if not _can_be_built(network, [*first, default, default, channels]):
            raise
        shown = f"{height}x{width}"
        raise _checks.UserError(
            f"image size {shown} is not supported by {model_name}. Use its default, {default}, or a"
            " size closer to it"
        ) from error


def _can_be_built(network: Callable[[tf.Tensor], Any], shape: Sequence[int | None]) -> bool:
    try:
        weight_bytes(network, shape)
    except ValueError:
        return False
    return True


def weight_bytes(network: Callable[[tf.Tensor], Any], shape: Sequence[int | None]) -> int:
    """Returns the size of a network's variables for inputs of a shape, without allocating them."""
    store = ShapeStore(seed=0)
    # In a graph, weights have no values.
    with tf.Graph().as_default(), store.as_default():
        network(tf.raw_ops.Placeholder(dtype=tf.float32, shape=shape))
        return sum(
            math.prod(variable.shape) * variable.dtype.size
            for variable in store.named_variables.values()
        )


def _rounding(
    quantized: bool, delay: int, weights: bool = True
) -> contextlib.AbstractContextManager[None]:
    if not quantized:
        return contextlib.nullcontext()
    return quantization.fake_quantization(delay, weights)
