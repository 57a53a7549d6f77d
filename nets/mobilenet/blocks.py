"""Building blocks of MobileNets: strides, dilation, padding, inverted residual, squeeze-excite.

The inverted residual is that of Sandler et al., "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", https://arxiv.org/abs/1801.04381, Figure 4; squeeze-and-excite is that of Hu et al.,
https://arxiv.org/abs/1709.01507, between the filters and the projection as in Howard et al.,
"Searching for MobileNetV3", https://arxiv.org/abs/1905.02244, Figure 4.
"""

import contextlib
import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

import slim
from slim import _checks
from slim._shapes import static_sizes

Activation = Callable[[tf.Tensor], tf.Tensor]


def strides_and_rates(strides: Sequence[int], output_stride: int | None) -> list[tuple[int, int]]:
    """Returns each layer's stride and its dilation, which compensates for skipped strides.

    Once the maps are `output_stride` times smaller than the images, further strides are skipped and
    the kernels of the following layers are dilated by that factor instead.

    Args:
      strides: the layers' strides.
      output_stride: maximum product of the strides, or None for no limit.

    Raises:
      UserError: if the layers do not pass through `output_stride`.
    """
    if output_stride is not None:
        products = itertools.accumulate(strides, operator.mul, initial=1)
        _checks.one_of("output_stride", output_stride, sorted(set(products)))
    pairs, current, rate = [], 1, 1
    for stride in strides:
        if current == output_stride:
            pairs.append((1, rate))
            rate *= stride
        else:
            pairs.append((stride, 1))
            current *= stride
    return pairs


def fixed_padding(images: tf.Tensor, kernel_size: int | Sequence[int], rate: int = 1) -> tf.Tensor:
    """Pads so that a "VALID" convolution has the output size of a "SAME" one.

    Unlike "SAME" with a stride, the padding does not depend on the size of the images.

    Args:
      images: [batch, height, width, channels].
      kernel_size: the convolution's kernel size, one number or (height, width).
      rate: the convolution's dilation.
    """
    height, width = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    totals = [(height - 1) * rate, (width - 1) * rate]
    around = [[total // 2, total - total // 2] for total in totals]
    return tf.pad(images, [[0, 0], *around, [0, 0]])


def make_divisible(value: float, divisor: int, min_value: int | None = None) -> int:
    """Returns the multiple of `divisor` nearest to `value`, but not below nine tenths of it.

    Args:
      value: a number of channels.
      divisor: divisor of the result.
      min_value: minimum of the result; default: `divisor`.
    """
    smallest = divisor if min_value is None else min_value
    rounded = max(smallest, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def expand_input_by_factor(factor: float, divisible_by: int = 8) -> Callable[..., int]:
    """Returns a function `(num_inputs) -> num_inputs * factor`, rounded by `make_divisible`."""

    def expansion_size(num_inputs: int, **_: Any) -> int:
        return make_divisible(num_inputs * factor, divisible_by)

    return expansion_size


def split_sizes(total: int, ways: int, divisible_by: int = 8) -> list[int]:
    """Returns nearly equal parts of `total`, each a multiple of `divisible_by`.

    Raises:
      ValueError: if `total` is not such a multiple, or too small for so many parts.
    """
    if total % divisible_by or total < ways * divisible_by:
        raise ValueError(
            f"{total} channels cannot be split into {ways} parts that are multiples of "
            f"{divisible_by}"
        )
    units = total // divisible_by
    # Each part ends at the first multiple at or above its fraction of the total.
    ends = [-(-units * part // ways) * divisible_by for part in range(ways + 1)]
    return [end - start for start, end in itertools.pairwise(ends)]


def split_conv(
    images: tf.Tensor,
    num_outputs: int,
    num_ways: int,
    scope: str,
    divisible_by: int = 8,
    endpoints: dict[str, tf.Tensor] | None = None,
    **kwargs: Any,
) -> tf.Tensor:
    """Builds a 1x1 convolution in groups: each part of the outputs sees one part of the inputs.

    If a part would have fewer than `divisible_by` channels, the convolution is not split.

    Args:
      images: [batch, height, width, channels].
      num_outputs: number of channels of all outputs together.
      num_ways: number of groups; 1 for a plain convolution.
      scope: name of the layer; the groups' are `{scope}_part_0`, ...
      divisible_by: divisor of the parts' numbers of channels.
      endpoints: dictionary to which the groups' outputs are added.
      **kwargs: further arguments of `slim.conv2d`.

    Raises:
      ValueError: if the channels cannot be split.
    """
    channels = static_sizes(images)[-1]
    if num_ways == 1 or min(channels, num_outputs) // num_ways < divisible_by:
        return slim.conv2d(images, num_outputs, [1, 1], scope=scope, **kwargs)
    groups = tf.split(
        images, split_sizes(channels, num_ways, divisible_by), axis=3, name=f"split_{scope}"
    )
    outputs = []
    sizes = split_sizes(num_outputs, num_ways, divisible_by)
    for number, (group, size) in enumerate(zip(groups, sizes, strict=True)):
        part = f"{scope}_part_{number}"
        net = slim.conv2d(group, size, [1, 1], scope=part, **kwargs)
        outputs.append(_recorded(endpoints, f"{part}_output", net))
    return tf.concat(outputs, 3, name=f"{part}_concat")


def _recorded(endpoints: dict[str, tf.Tensor] | None, name: str, net: tf.Tensor) -> tf.Tensor:
    """Returns `net` as an operation called `name`, recorded in `endpoints`."""
    net = tf.identity(net, name=name)
    if endpoints is not None:
        endpoints[name] = net
    return net


def global_pool(images: tf.Tensor) -> tf.Tensor:
    """Averages [batch, height, width, channels] to [batch, 1, 1, channels]."""
    height, width = static_sizes(images)[1:3]
    if height is None or width is None:
        return tf.reduce_mean(images, [1, 2], keepdims=True, name="AvgPool2D")
    return tf.nn.avg_pool2d(images, [height, width], strides=1, padding="VALID")


@slim.add_arg_scope
def squeeze_excite(
    images: tf.Tensor,
    divisible_by: int = 8,
    squeeze_factor: float = 3,
    inner_activation_fn: Activation = tf.nn.relu,
    gating_fn: Activation = tf.sigmoid,
    squeeze_input_tensor: tf.Tensor | None = None,
) -> tf.Tensor:
    """Multiplies each channel by a gate computed from the means of all channels.

    Args:
      images: [batch, height, width, channels].
      divisible_by: divisor of the number of inner channels.
      squeeze_factor: ratio of the channels to the inner channels.
      inner_activation_fn: activation of the inner layer.
      gating_fn: activation of the gate.
      squeeze_input_tensor: tensor to compute the gate from instead of `images`.
    """
    with slim.variable_scope("squeeze_excite"):
        source = images if squeeze_input_tensor is None else squeeze_input_tensor
        inner = make_divisible(static_sizes(source)[-1] / squeeze_factor, divisible_by)
        pooled = tf.reduce_mean(source, [1, 2], keepdims=True)
        net = slim.conv2d(
            pooled, inner, [1, 1], normalizer_fn=None, activation_fn=inner_activation_fn
        )
        gate = slim.conv2d(
            net, static_sizes(images)[-1], [1, 1], normalizer_fn=None, activation_fn=gating_fn
        )
        return images * gate


_SIX_TIMES = expand_input_by_factor(6)
_LOCATIONS = (None, "input", "expansion", "output")


@slim.add_arg_scope
def expanded_conv(
    images: tf.Tensor,
    num_outputs: int,
    expansion_size: int | Callable[..., int] = _SIX_TIMES,
    stride: int = 1,
    rate: int = 1,
    kernel_size: int | Sequence[int] = (3, 3),
    residual: bool | Callable[..., tf.Tensor] = True,
    normalizer_fn: Any = None,
    split_projection: int = 1,
    split_expansion: int = 1,
    split_divisible_by: int = 8,
    expansion_transform: Callable[..., tf.Tensor] | None = None,
    depthwise_location: str | None = "expansion",
    depthwise_channel_multiplier: int = 1,
    endpoints: dict[str, tf.Tensor] | None = None,
    use_explicit_padding: bool = False,
    padding: str = "SAME",
    inner_activation_fn: Activation | None = None,
    depthwise_activation_fn: Activation | None = None,
    project_activation_fn: Activation | None = tf.identity,
    fused: bool = False,
    scope: str | None = None,
) -> tf.Tensor:
    """Builds an inverted residual: 1x1 expansion, depthwise filters, 1x1 projection, plus input.

    If the expansion would not increase the number of channels, it is skipped. The input is added if
    the stride is 1 and the numbers of channels are equal.

    Args:
      images: [batch, height, width, channels].
      num_outputs: number of channels of the projection.
      expansion_size: number of channels of the expansion, or a function of `num_inputs` that
        returns it.
      stride: stride of the depthwise filters.
      rate: dilation of the depthwise filters.
      kernel_size: size of the depthwise filters, one number or (height, width).
      residual: whether to add the input, or a function `(input_tensor, output_tensor)` that does.
      normalizer_fn: normalizer of all layers, such as `slim.batch_norm`.
      split_projection: number of groups of the projection; see `split_conv`.
      split_expansion: number of groups of the expansion.
      split_divisible_by: divisor of the groups' numbers of channels.
      expansion_transform: a function `(expansion_tensor, input_tensor)` applied before the
        projection, such as a squeeze-excite.
      depthwise_location: where to apply the depthwise filters: after the "input", the "expansion"
        or the "output"; None for no depthwise filters.
      depthwise_channel_multiplier: outputs of the depthwise filters per channel.
      endpoints: dictionary to which the block's inner outputs are added, by operation name.
      use_explicit_padding: whether to pad before the filters by an amount that does not depend on
        the size.
      padding: padding of the filters, without explicit padding.
      inner_activation_fn: activation of the expansion and the depthwise filters; None leaves it to
        arg_scope.
      depthwise_activation_fn: activation of the depthwise filters, where it is another one.
      project_activation_fn: activation of the projection.
      fused: whether the expansion is a convolution of `kernel_size` with the stride, without
        depthwise filters (https://arxiv.org/abs/2003.02838).
      scope: name of the block.

    Returns:
      [batch, ceil(height / stride), ceil(width / stride), num_outputs].

    Raises:
      UserError: if `depthwise_location` is not known.
      ValueError: if `padding` is set with explicit padding, or no layer can apply the stride.
    """
    location = (
        None if fused else _checks.one_of("depthwise_location", depthwise_location, _LOCATIONS)
    )
    if use_explicit_padding and padding != "SAME":
        raise ValueError(f"use_explicit_padding=True needs padding='SAME', not {padding!r}")
    filters = functools.partial(
        _filters,
        kernel_size=kernel_size,
        stride=stride,
        rate=rate,
        normalizer_fn=normalizer_fn,
        padding=None if use_explicit_padding else padding,
    )
    depthwise = functools.partial(
        filters, slim.separable_conv2d, None, "depthwise", endpoints, "depthwise_output",
        depth_multiplier=depthwise_channel_multiplier,
    )  # fmt: skip
    groups = {"divisible_by": split_divisible_by, "endpoints": endpoints,
              "stride": 1, "normalizer_fn": normalizer_fn}  # fmt: skip
    with (
        slim.variable_scope(scope, "expanded_conv"),
        _activations(inner_activation_fn, depthwise_activation_fn),
    ):
        net = images = tf.identity(images, name="input")
        channels = static_sizes(images)[-1]
        if location == "input":
            net = depthwise(net, activation_fn=None)
        inner = expansion_size(num_inputs=channels) if callable(expansion_size) else expansion_size
        expands = inner > static_sizes(net)[-1]
        if stride > 1 and not location and not (fused and expands):
            raise ValueError(
                f"stride={stride} needs depthwise filters or a fused expansion, and this block has "
                "neither"
            )
        if expands and fused:
            net = filters(slim.conv2d, inner, "expand", endpoints, "expansion_output", net)
        elif expands:
            net = split_conv(net, inner, split_expansion, "expand", **groups)
            net = _recorded(endpoints, "expansion_output", net)
        if location == "expansion":
            net = depthwise(net)
        if expansion_transform is not None:
            net = expansion_transform(expansion_tensor=net, input_tensor=images)
        net = split_conv(
            net, num_outputs, split_projection, "project",
            activation_fn=project_activation_fn, **groups,
        )  # fmt: skip
        if location == "output":
            net = depthwise(net, activation_fn=None)
        if callable(residual):
            net = residual(input_tensor=images, output_tensor=net)
        elif residual and stride == 1 and static_sizes(net)[-1] == channels:
            net += images
        return _recorded(endpoints, "output", net)


def _filters(
    layer: Callable[..., tf.Tensor],
    num_outputs: int | None,
    scope: str,
    endpoints: dict[str, tf.Tensor] | None,
    name: str,
    net: tf.Tensor,
    *,
    kernel_size: int | Sequence[int],
    rate: int,
    padding: str | None,
    **kwargs: Any,
) -> tf.Tensor:
    """Applies a layer with a spatial kernel; `padding=None` pads independently of the size."""
    if padding is None:
        net, padding = fixed_padding(net, kernel_size, rate), "VALID"
    net = layer(net, num_outputs, kernel_size, rate=rate, padding=padding, scope=scope, **kwargs)
    return _recorded(endpoints, name, net)


@contextlib.contextmanager
def _activations(inner: Activation | None, depthwise: Activation | None) -> Iterator[None]:
    """Sets the activations inside a block that are not None."""
    with contextlib.ExitStack() as stack:
        for layer, activation_fn in (
            (slim.conv2d, inner),
            (slim.separable_conv2d, depthwise or inner),
        ):
            if activation_fn is not None:
                stack.enter_context(slim.arg_scope([layer], activation_fn=activation_fn))
        yield
