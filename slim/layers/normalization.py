"""Batch, layer, group and instance normalization."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.arg_scope import add_arg_scope
from slim.initializers import ones_initializer, zeros_initializer
from slim.layers import _common as common
from slim.outputs import collect_named_outputs
from slim.variables import model_variable, variable_scope

_INITIALIZERS = {
    "beta": zeros_initializer(),
    "gamma": ones_initializer(),
    "moving_mean": zeros_initializer(),
    "moving_variance": ones_initializer(),
}
# cuDNN's smallest epsilon; the original raises smaller ones to it on every device.
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

    In training the moving averages are updated in the pass itself: there are no update operations
    to run. Makes `beta` (if `center`), `gamma` (if `scale`), `moving_mean` and `moving_variance`.

    Args:
      inputs: [batch, ..., channels], or channels second as `data_format` says.
      decay: of the moving averages: 0.999 settles in some 3,000 steps, 0.9 in some 30.
      center: whether to add the learned `beta`.
      scale: whether to multiply by the learned `gamma`.
      epsilon: added to the variance.
      activation_fn: applied last.
      param_initializers: initializers by the names of the four variables.
      param_regularizers: penalties for "beta" and "gamma".
      is_training: whether to use the batch's statistics, or else the moving averages.
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables, a list, or a dict by leaf name.
      outputs_collections: collections in which the output is noted.
      trainable: whether optimizers may change `beta` and `gamma`.
      fused: the fused kernel for rank 2 and 4 (default), or else the plain formula, which is the
        only one for other ranks and for float64.
      data_format: "NHWC" or "NCHW" (for rank 3 and 5 too: whether channels come last or second).
      frozen: use the moving averages and leave them alone even in training, as fine-tuning wants
        for the parts it does not train; or a function from the scope's name to that.
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
    # Statistics stay in float32 whatever the network computes in: half precision loses them.
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
        # Each replica keeps averages of its own batches; reading them takes the mean.
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
    """Normalizes by TensorFlow's kernel, whose batch variance has Bessel's correction."""
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
    """Normalizes by the formula, for any rank; the batch variance is the biased one."""
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


@add_arg_scope
def layer_norm(
    inputs: tf.Tensor,
    center: bool = True,
    scale: bool = True,
    activation_fn: common.Activation = None,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    begin_norm_axis: int = 1,
    begin_params_axis: int = -1,
    scope: Any = None,
) -> tf.Tensor:
    """Normalizes each example by its own mean and variance (Ba et al.,
    https://arxiv.org/abs/1607.06450).

    Makes `beta` and `gamma` of shape `inputs.shape[begin_params_axis:]`.

    Args:
      inputs: a tensor of rank 2 or more.
      center: whether to add the learned `beta`.
      scale: whether to multiply by the learned `gamma`.
      activation_fn: applied last.
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables.
      outputs_collections: collections in which the output is noted.
      trainable: whether optimizers may change the variables.
      begin_norm_axis: first of the axes over which the statistics are taken.
      begin_params_axis: first of the axes of `beta` and `gamma`.
      scope: name of the layer.

    Raises:
      ValueError: if an axis is out of range or the parameters' shape is not known.
    """
    inputs = tf.convert_to_tensor(inputs)
    rank = common.known_rank(inputs, 2)
    norm_axis = begin_norm_axis + rank if begin_norm_axis < 0 else begin_norm_axis
    if not 0 <= norm_axis < rank or not -rank <= begin_params_axis < rank:
        raise ValueError(
            f"begin_norm_axis={begin_norm_axis} and begin_params_axis={begin_params_axis} "
            f"must be below the rank of the inputs, {rank}"
        )
    shape = inputs.shape[begin_params_axis:]
    if not shape.is_fully_defined():
        raise ValueError(f"the shape of the parameters, {shape}, must be known")
    with variable_scope(scope, "LayerNorm", reuse=reuse) as sc:
        beta = _affine("beta", shape, inputs.dtype, center, None, variables_collections, trainable)
        gamma = _affine("gamma", shape, inputs.dtype, scale, None, variables_collections, trainable)
        mean, variance = tf.nn.moments(inputs, list(range(norm_axis, rank)), keepdims=True)
        epsilon = 1e-3 if inputs.dtype == tf.float16 else 1e-12
        outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@add_arg_scope
def group_norm(
    inputs: tf.Tensor,
    groups: int = 32,
    channels_axis: int = -1,
    reduction_axes: Sequence[int] = (-3, -2),
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: common.Activation = None,
    param_initializers: Mapping[str, Any] | None = None,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> tf.Tensor:
    """Normalizes groups of channels of each example (Wu and He, https://arxiv.org/abs/1803.08494).

    Args:
      inputs: a tensor, such as [batch, height, width, channels].
      groups: number of groups; it must divide the channels.
      channels_axis: axis of the channels.
      reduction_axes: axes of the statistics besides the channels of a group.
      center: whether to add the learned `beta`.
      scale: whether to multiply by the learned `gamma`.
      epsilon: added to the variance.
      activation_fn: applied last.
      param_initializers: initializers for "beta" and "gamma".
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables.
      outputs_collections: collections in which the output is noted.
      trainable: whether optimizers may change the variables.
      scope: name of the layer.

    Raises:
      ValueError: if the groups do not divide the channels, the channel axis is reduced too, or an
        axis is out of range.
    """
    inputs = tf.convert_to_tensor(inputs)
    rank = common.known_rank(inputs, 2)
    axis = common.axis_of(channels_axis, rank, "channels_axis")
    channels = common.static_channels(inputs, axis)
    if groups < 1 or channels % groups:
        raise ValueError(f"groups={groups} must divide the {channels} channels")
    reduced = [common.axis_of(a, rank, "reduction_axes") for a in reduction_axes]
    if axis in reduced:
        raise ValueError(
            f"reduction_axes={tuple(reduction_axes)} must not hold the channel axis {channels_axis}"
        )
    with variable_scope(scope, "GroupNorm", reuse=reuse) as sc:
        initializers = param_initializers or {}
        shared = (inputs.dtype,)
        beta = _affine(
            "beta",
            [channels],
            *shared,
            center,
            initializers.get("beta"),
            variables_collections,
            trainable,
        )
        gamma = _affine(
            "gamma",
            [channels],
            *shared,
            scale,
            initializers.get("gamma"),
            variables_collections,
            trainable,
        )
        sizes = tf.unstack(tf.shape(inputs))
        grouped = tf.reshape(
            inputs, [*sizes[:axis], groups, channels // groups, *sizes[axis + 1 :]]
        )
        # The split axis pushes the later ones up by one.
        axes = [a + (a > axis) for a in reduced] + [axis + 1]
        mean, variance = tf.nn.moments(grouped, axes, keepdims=True)
        shape = [1] * (rank + 1)
        shape[axis : axis + 2] = [groups, channels // groups]
        aligned = [None if p is None else tf.reshape(p, shape) for p in (beta, gamma)]
        outputs = tf.nn.batch_normalization(grouped, mean, variance, *aligned, epsilon)
        outputs = tf.ensure_shape(tf.reshape(outputs, tf.shape(inputs)), inputs.shape)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@add_arg_scope
def instance_norm(
    inputs: tf.Tensor,
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: common.Activation = None,
    param_initializers: Mapping[str, Any] | None = None,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str = "NHWC",
    scope: Any = None,
) -> tf.Tensor:
    """Normalizes each channel of each image (Ulyanov et al., https://arxiv.org/abs/1607.08022).

    The arguments are those of `group_norm`, with one group per channel.

    Raises:
      ValueError: for an unknown data format, rank or number of channels.
    """
    inputs = tf.convert_to_tensor(inputs)
    rank = common.known_rank(inputs, 3)
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(
            f"data_format={data_format!r} is not known for instance_norm. Known: NHWC, NCHW"
        )
    axis = 1 if data_format == "NCHW" else rank - 1
    channels = common.static_channels(inputs, axis)
    with variable_scope(scope, "InstanceNorm", reuse=reuse) as sc:
        initializers = param_initializers or {}
        aligned = []
        for name, wanted in (("beta", center), ("gamma", scale)):
            parameter = _affine(name, [channels], inputs.dtype, wanted, initializers.get(name),
                                variables_collections, trainable)  # fmt: skip
            shape = [-1 if i == axis else 1 for i in range(rank)]
            aligned.append(None if parameter is None else tf.reshape(parameter, shape))
        mean, variance = tf.nn.moments(
            inputs, [i for i in range(1, rank) if i != axis], keepdims=True
        )
        outputs = tf.nn.batch_normalization(inputs, mean, variance, *aligned, epsilon)
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


def _affine(
    name: str,
    shape: Sequence[int],
    dtype: tf.DType,
    wanted: bool,
    initializer: Any,
    variables_collections: common.Collections,
    trainable: bool,
) -> tf.Variable | None:
    if not wanted:
        return None
    return model_variable(
        name, shape, dtype, initializer or _INITIALIZERS[name], trainable=trainable,
        collections=common.collections_of(variables_collections, name),
    )  # fmt: skip
