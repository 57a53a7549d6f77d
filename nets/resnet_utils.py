"""Shared by both versions of ResNet: blocks of units, and the network around them.

He et al., "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385 [1], and
"Identity Mappings in Deep Residual Networks", https://arxiv.org/abs/1603.05027 [2].

Unlike in the papers, a block halves the size in its last unit and not in its first, so that the
first units of the next block see the smaller maps. The published checkpoints have this form, and it
makes an `output_stride` easier to reason about.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

import slim
from nets._outputs import collected_outputs, conv_logits, squeeze_space
from slim import _checks
from slim.recompute import segment

ROOT_STRIDE = 4
# Units per block: Table 1 of [1]; 200 layers: section 4 of [2].
UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
BASE_DEPTHS = (64, 128, 256, 512)
STRIDES = (2, 2, 2, 1)


class Block(NamedTuple):
    """A row of a ResNet.

    Attributes:
      scope: name, "block1".
      unit_fn: function `(net, stride=..., rate=..., **unit) -> net` that builds a unit.
      args: keyword arguments of each unit, such as `depth`, `depth_bottleneck` and `stride` (1 by
        default).
    """

    scope: str
    unit_fn: Callable[..., tf.Tensor]
    args: Sequence[Mapping[str, int]]


def bottleneck_block(
    unit_fn: Callable[..., tf.Tensor], scope: str, base_depth: int, num_units: int, stride: int
) -> Block:
    """Returns a block of bottleneck units, the last of which has the stride.

    Args:
      unit_fn: the bottleneck unit.
      scope: name of the block.
      base_depth: number of channels inside the bottleneck; the outputs have four times as many.
      num_units: number of units.
      stride: stride of the last unit.
    """
    unit = {"depth": base_depth * 4, "depth_bottleneck": base_depth, "stride": 1}
    return Block(scope, unit_fn, [unit] * (num_units - 1) + [{**unit, "stride": stride}])


def subsample(inputs: tf.Tensor, factor: int, scope: str | None = None) -> tf.Tensor:
    """Keeps every `factor`-th row and column of [batch, height, width, channels].

    Args:
      inputs: the images.
      factor: 1 returns them unchanged.
      scope: name of the layer.
    """
    return inputs if factor == 1 else slim.max_pool2d(inputs, [1, 1], factor, scope=scope)


def conv2d_same(
    inputs: tf.Tensor,
    num_outputs: int,
    kernel_size: int,
    stride: int,
    rate: int = 1,
    scope: str | None = None,
) -> tf.Tensor:
    """Convolves with padding that does not depend on the size of the images.

    Equal to a convolution of stride 1 with "SAME" padding followed by `subsample`, without
    computing the discarded values; "SAME" with a stride would shift the grid on images of even size
    (`test_conv2d_same_equals_the_subsampled_dense_convolution`).

    Args:
      inputs: [batch, height, width, channels].
      num_outputs: number of filters.
      kernel_size: height and width of the filters.
      stride: stride in pixels.
      rate: dilation of the filters, for `stride` 1.
      scope: name of the layer.
    """
    if stride == 1:
        return slim.conv2d(
            inputs, num_outputs, kernel_size, stride=1, rate=rate, padding="SAME", scope=scope
        )
    total = (kernel_size - 1) * rate
    before_after = [total // 2, total - total // 2]
    inputs = tf.pad(inputs, [[0, 0], before_after, before_after, [0, 0]])
    return slim.conv2d(
        inputs, num_outputs, kernel_size, stride=stride, rate=rate, padding="VALID", scope=scope
    )


def reachable_strides(blocks: Sequence[Block]) -> list[int]:
    """Returns all strides of the units' outputs relative to the blocks' input, ascending from 1."""
    strides = [1]
    for unit in (unit for block in blocks for unit in block.args):
        if unit.get("stride", 1) > 1:
            strides.append(strides[-1] * unit["stride"])
    return strides


@slim.add_arg_scope
def stack_blocks_dense(
    net: tf.Tensor,
    blocks: Sequence[Block],
    output_stride: int | None = None,
    store_non_strided_activations: bool = False,
    outputs_collections: Any = None,
) -> tf.Tensor:
    """Builds the blocks; beyond `output_stride`, kernels are dilated in place of strides.

    Args:
      net: [batch, height, width, channels].
      blocks: the rows.
      output_stride: how many times smaller the result is than `net`: one of the products of the
        units' strides from the start, or None for the last of them.
      store_non_strided_activations: whether to store a block's output before its stride, at four
        times the cost of its last unit.
      outputs_collections: collections to which each block's output is added.

    Returns:
      [batch, ceil(height / output_stride), ceil(width / output_stride), depth of the last unit].

    Raises:
      UserError: if the blocks do not reach `output_stride`.
    """
    if output_stride is not None:
        _checks.one_of("output_stride", output_stride, reachable_strides(blocks))
    current_stride = rate = 1

    def split(stride: int) -> tuple[int, int]:
        """Returns the stride to apply and the dilation before it; updates both totals."""
        nonlocal current_stride, rate
        rate_before = rate
        if current_stride == output_stride:
            rate *= stride
            return 1, rate_before
        current_stride *= stride
        return stride, rate_before

    for block in blocks:
        with slim.variable_scope(block.scope, "block") as sc:
            strides = [unit.get("stride", 1) for unit in block.args]
            delayed = 1
            if store_non_strided_activations:
                strides[-1], delayed = 1, strides[-1]
            for number, (unit, stride) in enumerate(zip(block.args, strides, strict=True), 1):
                with slim.variable_scope(f"unit_{number}"):
                    applied, unit_rate = split(stride)
                    arguments = {**unit, "rate": unit_rate, "stride": applied}
                    net = segment(functools.partial(block.unit_fn, **arguments), net)
            net = slim.collect_named_outputs(outputs_collections, sc.name, net)
            net = subsample(net, split(delayed)[0])
    return net


class Version(NamedTuple):
    """What sets the two versions of ResNet apart around their blocks.

    Attributes:
      name: default scope.
      root: the first convolution, a function of the images.
      last: what follows the blocks, a function of their output.
    """

    name: str
    root: Callable[[tf.Tensor], tf.Tensor]
    last: Callable[[tf.Tensor], tf.Tensor]


def residual_network(
    version: Version,
    inputs: tf.Tensor,
    blocks: Sequence[Block],
    num_classes: int | None = None,
    is_training: bool | None = True,
    global_pool: bool = True,
    output_stride: int | None = None,
    include_root_block: bool = True,
    spatial_squeeze: bool = True,
    store_non_strided_activations: bool = False,
    reuse: Any = None,
    scope: str | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a ResNet from rows of blocks.

    Args:
      version: bound by `resnet_v1.resnet_v1` and `resnet_v2.resnet_v2`.
      inputs: [batch, height, width, channels]. For maps whose corners coincide with the image's, a
        multiple of 32 plus 1 pixel: 321 pixels result in 21 values at an output stride of 16.
        Version 2 without its root block expects the output of a convolution without activation.
      blocks: such as `resnet_v1_block("block1", base_depth=64, num_units=3, stride=2)`.
      num_classes: number of classes; 0 or None returns the features before the logits.
      is_training: whether batch norm is in training mode; None leaves it to an outer arg_scope.
      global_pool: whether to average over the image before the logits.
      output_stride: how many times smaller the last maps are than the images: 4, 8, 16 or 32 for
        the networks by depth. None for the full stride.
      include_root_block: whether to begin with the 7x7 convolution and the pooling, which halve the
        size twice.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      store_non_strided_activations: whether the blocks' end points are those before their strides.
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.

    Returns:
      Logits [batch, num_classes], or [batch, height, width, num_classes] without `spatial_squeeze`;
      or features [batch, 1, 1, channels] (the maps without `global_pool`); and the end points by
      name.

    Raises:
      UserError: if the blocks do not reach `output_stride`, or `spatial_squeeze` meets logits of
        more than one position.
    """
    if include_root_block and output_stride is not None:
        strides = [ROOT_STRIDE * stride for stride in reachable_strides(blocks)]
        output_stride = _checks.one_of("output_stride", output_stride, strides) // ROOT_STRIDE
    mode = {} if is_training is None else {"is_training": is_training}
    units = [unit for unit in {block.unit_fn: None for block in blocks} if slim.has_arg_scope(unit)]
    with (
        slim.variable_scope(scope, version.name, reuse=reuse) as sc,
        slim.arg_scope([slim.batch_norm], **mode),
    ):
        net = inputs
        with collected_outputs(sc, slim.conv2d, stack_blocks_dense, *units) as end_points:
            if include_root_block:
                net = slim.max_pool2d(version.root(net), [3, 3], stride=2, scope="pool1")
            net = stack_blocks_dense(net, blocks, output_stride, store_non_strided_activations)
            net = version.last(net)
        if global_pool:
            net = tf.reduce_mean(net, [1, 2], keepdims=True, name="pool5")
            end_points["global_pool"] = net
        if not num_classes:
            return net, end_points
        net = end_points[f"{sc.name}/logits"] = conv_logits(net, num_classes, "logits", False)
        if spatial_squeeze:
            net = squeeze_space(net, "SpatialSqueeze")
            end_points[f"{sc.name}/spatial_squeeze"] = net
        end_points["predictions"] = slim.softmax(net, scope="predictions")
        return net, end_points


def network_of_depth(
    network: Callable[..., Any],
    block: Callable[..., Block],
    layers: int,
    inputs: tf.Tensor,
    num_classes: int | None = None,
    is_training: bool | None = True,
    global_pool: bool = True,
    output_stride: int | None = None,
    spatial_squeeze: bool = True,
    *,
    min_base_depth: int = 8,
    depth_multiplier: float = 1,
    **kwargs: Any,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a ResNet by its number of layers; results and errors as for `residual_network`.

    Args:
      network: `resnet_v1` or `resnet_v2`; bound, as the next two, by `resnet_v1_50` and others.
      block: `resnet_v1_block` or `resnet_v2_block`.
      layers: a key of `UNITS`.
      inputs: see `residual_network`, as for the next five.
      num_classes: number of classes.
      is_training: whether batch norm is in training mode.
      global_pool: whether to average over the image before the logits.
      output_stride: how many times smaller the last maps are than the images.
      spatial_squeeze: whether logits of one position become [batch, num_classes].
      min_base_depth: smallest number of channels inside a bottleneck.
      depth_multiplier: factor for the channels of all blocks; 0 leaves `min_base_depth`.
      **kwargs: more for `residual_network`: `include_root_block`, `store_non_strided_activations`,
        `reuse` and `scope`.

    Raises:
      UserError: if `depth_multiplier` is negative or `min_base_depth` is not positive.
    """
    _checks.non_negative(depth_multiplier=depth_multiplier)
    _checks.positive(min_base_depth=min_base_depth)
    depths = [max(int(depth * depth_multiplier), min_base_depth) for depth in BASE_DEPTHS]
    rows = zip(depths, UNITS[layers], STRIDES, strict=True)
    return network(
        inputs,
        [block(f"block{number}", *row) for number, row in enumerate(rows, 1)],
        num_classes,
        is_training,
        global_pool,
        output_stride,
        spatial_squeeze=spatial_squeeze,
        **kwargs,
    )


def resnet_arg_scope(
    weight_decay: float = 0.0001,
    batch_norm_decay: float = 0.997,
    batch_norm_epsilon: float = 1e-5,
    batch_norm_scale: bool = True,
    activation_fn: Callable[[tf.Tensor], tf.Tensor] = tf.nn.relu,
    use_batch_norm: bool = True,
) -> Any:
    """Returns the scope of a ResNet's layers.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights.
      batch_norm_decay: decay of the moving averages.
      batch_norm_epsilon: added to the variance.
      batch_norm_scale: whether batch norm has a learned `gamma`.
      activation_fn: activation of each convolution but the last of a unit.
      use_batch_norm: whether the convolutions have batch norm; otherwise they have biases. The
        batch norm before each unit of version 2 is not affected.
    """
    batch_norm = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "scale": batch_norm_scale,
    }
    # "SAME" for pool1 keeps the maps aligned with the image; the paper's own code has "VALID".
    with (
        slim.arg_scope(
            [slim.conv2d],
            weights_regularizer=slim.l2_regularizer(weight_decay),
            weights_initializer=slim.variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=slim.batch_norm if use_batch_norm else None,
            normalizer_params=batch_norm,
        ),
        slim.arg_scope([slim.batch_norm], **batch_norm),
        slim.arg_scope([slim.max_pool2d], padding="SAME") as scope,
    ):
        return scope
