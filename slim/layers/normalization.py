"""Layer, group and instance normalization: statistics of each example separately."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim._shapes import static_sizes
from slim.arg_scope import add_arg_scope
from slim.initializers import ones_initializer, zeros_initializer
from slim.layers import _common as common
from slim.layers import _half_precision as half_precision
from slim.outputs import collect_named_outputs
from slim.variables import model_variable, variable_scope

_INITIALIZERS = {"beta": zeros_initializer(), "gamma": ones_initializer()}


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

    Creates `beta` and `gamma` of shape `inputs.shape[begin_params_axis:]`.

    Args:
      inputs: a tensor of rank 2 or more.
      center: whether to add the learned `beta`.
      scale: whether to multiply by the learned `gamma`.
      activation_fn: activation function, applied last.
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables.
      outputs_collections: collections to which the output is added.
      trainable: whether optimizers may change the variables.
      begin_norm_axis: first axis of the statistics; they include all later axes.
      begin_params_axis: first axis of `beta` and `gamma`; they have all later axes.
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
            f"must be < rank(inputs), {rank}"
        )
    shape = inputs.shape[begin_params_axis:]
    if not shape.is_fully_defined():
        raise ValueError(
            f"inputs have shape {inputs.shape}, which must be known from axis"
            f" begin_params_axis={begin_params_axis} on"
        )
    with variable_scope(scope, "LayerNorm", reuse=reuse) as sc:
        beta = _affine("beta", shape, inputs.dtype, center, None, variables_collections, trainable)
        gamma = _affine("gamma", shape, inputs.dtype, scale, None, variables_collections, trainable)
        mean, variance = tf.nn.moments(inputs, list(range(norm_axis, rank)), keepdims=True)
        epsilon = 1e-3 if inputs.dtype == tf.float16 else 1e-12
        outputs = tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
        outputs = half_precision.activated(activation_fn, outputs)
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
    mean_close_to_zero: bool = False,
) -> tf.Tensor:
    """Normalizes groups of channels of each example (Wu and He, https://arxiv.org/abs/1803.08494).

    Args:
      inputs: a tensor, such as [batch, height, width, channels].
      groups: number of groups; must divide the number of channels.
      channels_axis: axis of the channels.
      reduction_axes: axes of the statistics, in addition to the channels of a group.
      center: whether to add the learned `beta`.
      scale: whether to multiply by the learned `gamma`.
      epsilon: added to the variance.
      activation_fn: activation function, applied last.
      param_initializers: initializers for "beta" and "gamma".
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables.
      outputs_collections: collections to which the output is added.
      trainable: whether optimizers may change the variables.
      scope: name of the layer.
      mean_close_to_zero: compute the variance in one pass, as the mean of the squares minus the
        square of the mean: inexact for large means.

    Raises:
      ValueError: if the groups do not divide the channels, the channel axis is reduced too, or an
        axis is out of range.
    """
    inputs = tf.convert_to_tensor(inputs)
    rank = common.known_rank(inputs, 2)
    axis = common.axis_of(channels_axis, rank, "channels_axis")
    channels = common.static_channels(inputs, axis, "channel")
    reduced = [common.axis_of(a, rank, "reduction_axes") for a in reduction_axes]
    static = static_sizes(inputs)
    if axis in reduced:
        raise ValueError(
            f"reduction_axes={tuple(reduction_axes)} and the channel axis {channels_axis} must be"
            " mutually exclusive"
        )
    if not 1 <= groups <= channels:
        raise ValueError(f"Invalid groups {groups} for {channels} channels.")
    if channels % groups:
        raise ValueError(
            f"{channels} channels is not commensurate with {groups} groups. Choose a divisor"
        )
    dynamic = tf.shape(inputs)
    sizes = [dynamic[i] if size is None else size for i, size in enumerate(static)]
    grouped = tf.reshape(inputs, [*sizes[:axis], groups, channels // groups, *sizes[axis + 1 :]])
    with variable_scope(scope, "GroupNorm", reuse=reuse) as sc:
        initializers = param_initializers or {}
        shape = [1] * (rank + 1)
        shape[axis : axis + 2] = [groups, channels // groups]
        beta, gamma = (
            _affine(name, [channels], inputs.dtype, enabled, initializers.get(name),
                    variables_collections, trainable, shape)
            for name, enabled in (("beta", center), ("gamma", scale))
        )  # fmt: skip
        # Splitting the channel axis shifts later axes by one.
        axes = [axis + 1, *(a + (a > axis) for a in reduced)]
        if mean_close_to_zero:
            counts, sums, squares, _ = tf.nn.sufficient_statistics(grouped, axes, keepdims=True)
            mean, variance = tf.nn.normalize_moments(counts, sums, squares, shift=None)
        else:
            mean, variance = tf.nn.moments(grouped, axes, keepdims=True)
        gain = tf.math.rsqrt(variance + epsilon)
        offset = -mean * gain
        if gamma is not None:
            gain, offset = gain * gamma, offset * gamma
        if beta is not None:
            offset += beta
        outputs = tf.reshape(grouped * gain + offset, sizes)
        outputs.set_shape(inputs.shape)
        outputs = half_precision.activated(activation_fn, outputs)
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
    axis = 1 if common.check_data_format(data_format) else rank - 1
    channels = common.static_channels(inputs, axis)
    with variable_scope(scope, "InstanceNorm", reuse=reuse) as sc:
        initializers = param_initializers or {}
        shape = [1, channels, *[1] * (rank - 2)] if axis == 1 else None
        beta, gamma = (
            _affine(name, [channels], inputs.dtype, enabled, initializers.get(name),
                    variables_collections, trainable, shape)
            for name, enabled in (("beta", center), ("gamma", scale))
        )  # fmt: skip
        mean, variance = tf.nn.moments(
            inputs, [i for i in range(1, rank) if i != axis], keepdims=True
        )
        outputs = tf.nn.batch_normalization(
            inputs, mean, variance, beta, gamma, epsilon, name="instancenorm"
        )
        outputs = half_precision.activated(activation_fn, outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


def _affine(
    name: str,
    shape: Sequence[int],
    dtype: tf.DType,
    enabled: bool,
    initializer: Any,
    variables_collections: common.Collections,
    trainable: bool,
    broadcast_shape: Sequence[int] | None = None,
) -> tf.Tensor | None:
    if not enabled:
        return None
    variable = model_variable(
        name, shape, dtype, initializer or _INITIALIZERS[name], trainable=trainable,
        collections=common.collections_of(variables_collections, name),
    )  # fmt: skip
    return variable if broadcast_shape is None else tf.reshape(variable, broadcast_shape)
