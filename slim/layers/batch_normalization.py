"""Batch normalization."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.initializers import ones_initializer, zeros_initializer
from slim.layers import _common as common
from slim.outputs import collect_named_outputs
from slim.passes import current_pass
from slim.variables import model_variable, variable_scope

_INITIALIZERS = {
    "beta": zeros_initializer(),
    "gamma": ones_initializer(),
    "moving_mean": zeros_initializer(),
    "moving_variance": ones_initializer(),
}
# cuDNN's smallest epsilon; TF-Slim raises smaller ones to it on every device.
_FUSED_MIN_EPSILON = 1.001e-5


@add_arg_scope
def batch_norm(
    inputs: tf.Tensor,
    decay: float = 0.999,
    center: bool = True,
    scale: bool = False,
    epsilon: float = 0.001,
    activation_fn: common.Activation = None,
    param_initializers: Mapping[str, Any] | None = None,
    param_regularizers: Mapping[str, Any] | None = None,
    is_training: bool | tf.Tensor = True,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    fused: bool | None = None,
    data_format: str = "NHWC",
    frozen: bool | Callable[[str], bool] = False,
    scope: Any = None,
) -> tf.Tensor:
    """Normalizes each channel by the statistics of the batch (Ioffe and Szegedy, 2015).

    In training the pass itself updates the moving averages: there are no update ops to run.
    Creates `beta` (if `center`), `gamma` (if `scale`), `moving_mean` and `moving_variance`.

    Args:
      inputs: [batch, ..., channels], or [batch, channels, ...] for "NCHW".
      decay: of the moving averages; they settle in about 3,000 steps with 0.999, 30 with 0.9.
      center: whether to add the learned `beta`.
      scale: whether to multiply by the learned `gamma`.
      epsilon: added to the variance.
      activation_fn: activation function, applied last.
      param_initializers: initializers by the names of the four variables.
      param_regularizers: penalties for "beta" and "gamma".
      is_training: whether to use the batch's statistics instead of the moving averages.
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables, a list, or a dict by leaf name.
      outputs_collections: collections to which the output is added.
      trainable: whether optimizers may change `beta` and `gamma`.
      fused: False disables TensorFlow's fused kernel. Ranks other than 2 and 4, and float64, never
        use it.
      data_format: "NHWC" or "NCHW" for any rank: whether channels are the last or the second axis.
      frozen: whether to use the moving averages, without an update, even in training; or a
        function that returns this for a scope name. For fine-tuning only some layers.
      scope: name of the layer, `BatchNorm` by default.

    Raises:
      ValueError: for an unknown data format, rank or number of channels.
    """
    inputs = tf.convert_to_tensor(inputs)
    rank = common.known_rank(inputs, 2)
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(
            f"data_format={data_format!r} is not known for batch_norm. Known: NHWC, NCHW"
        )
    axis = 1 if data_format == "NCHW" else rank - 1
    channels = common.static_channels(inputs, axis)
    # Statistics are float32 in mixed precision too: half precision would lose digits.
    dtype = tf.float32 if inputs.dtype in (tf.float16, tf.bfloat16) else inputs.dtype
    with variable_scope(scope, "BatchNorm", reuse=reuse) as sc:
        shared = (dtype, channels, param_initializers, variables_collections)
        regularizers = param_regularizers or {}
        gamma = (
            _parameter("gamma", *shared, trainable, regularizers)
            if scale
            else tf.ones([channels], dtype)
        )
        beta = (
            _parameter("beta", *shared, trainable, regularizers)
            if center
            else tf.zeros([channels], dtype)
        )
        mean, variance = (_parameter(name, *shared) for name in ("moving_mean", "moving_variance"))
        if frozen(sc.name) if callable(frozen) else frozen:
            is_training = False
        use_fused = rank in (2, 4) and fused is not False and dtype == tf.float32
        normalize = _fused if use_fused else _plain
        averages = (mean, variance)

        def with_batch() -> tf.Tensor:
            outputs, batch_mean, batch_variance = normalize(
                inputs, gamma, beta, averages, epsilon, axis, True
            )
            if current_pass().is_replay:
                return outputs
            for average, value in zip(averages, (batch_mean, batch_variance), strict=True):
                average.assign_sub((average - value) * (1.0 - decay))
            return outputs

        def with_averages() -> tf.Tensor:
            return normalize(inputs, gamma, beta, averages, epsilon, axis, False)[0]

        outputs = common.smart_cond(is_training, with_batch, with_averages)
        outputs.set_shape(inputs.shape)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


def _parameter(
    name: str,
    dtype: tf.DType,
    channels: int,
    initializers: Mapping[str, Any] | None,
    variables_collections: common.Collections,
    trainable: bool = False,
    regularizers: Mapping[str, Any] | None = None,
) -> tf.Variable:
    average = name.startswith("moving")
    return model_variable(
        name,
        [channels],
        dtype,
        (initializers or {}).get(name, _INITIALIZERS[name]),
        (regularizers or {}).get(name),
        trainable,
        common.collections_of(variables_collections, name),
        # Each replica averages its own batches; reading returns the mean over replicas.
        synchronization=tf.VariableSynchronization.ON_READ
        if average
        else tf.VariableSynchronization.AUTO,
        aggregation=tf.VariableAggregation.MEAN if average else tf.VariableAggregation.NONE,
    )


def _fused(
    inputs: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    averages: tuple[tf.Variable, tf.Variable],
    epsilon: float,
    axis: int,
    is_training: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalizes with TensorFlow's kernel, whose batch variance has Bessel's correction."""
    flat = inputs.shape.rank == 2
    images = inputs[:, tf.newaxis, tf.newaxis, :] if flat else inputs
    mean, variance = (tf.zeros([0]), tf.zeros([0])) if is_training else averages
    epsilon = max(epsilon, _FUSED_MIN_EPSILON)

    def kernel(x: tf.Tensor, layout: str) -> Any:
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=mean, variance=variance,
            epsilon=epsilon, data_format=layout, is_training=is_training,
        )  # fmt: skip

    statistics: list[tf.Tensor] = []

    def normalized(x: tf.Tensor, layout: str) -> tf.Tensor:
        result = kernel(x, layout)
        statistics[:] = [result.batch_mean, result.batch_variance]
        return result.y

    outputs = common.in_supported_format(
        normalized, images, "NCHW" if axis == 1 and not flat else "NHWC"
    )
    return tf.reshape(outputs, tf.shape(inputs)) if flat else outputs, *statistics


def _plain(
    inputs: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    averages: tuple[tf.Variable, tf.Variable],
    epsilon: float,
    axis: int,
    is_training: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalizes by the formula, for any rank; the batch variance is biased."""
    rank = inputs.shape.rank
    x = tf.cast(inputs, gamma.dtype)
    if is_training:
        mean, variance = tf.nn.moments(x, [i for i in range(rank) if i != axis])
    else:
        mean, variance = averages
    aligned = [mean, variance, beta, gamma]
    if axis != rank - 1:
        shape = [-1 if i == axis else 1 for i in range(rank)]
        aligned = [tf.reshape(parameter, shape) for parameter in aligned]
    outputs = tf.nn.batch_normalization(x, *aligned, epsilon)
    return tf.cast(outputs, inputs.dtype), mean, variance
