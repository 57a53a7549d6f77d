"""MobileNets of versions 2 and 3 from a table of layers: base, classifier, training scope.

A table (`conv_defs`) is a mapping with `spec`, a list of rows that `op` returns; `defaults`,
arguments by functions, as for `slim.arg_scope`; and, optionally, `overrides`, which are applied
after them.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

import slim
from nets._end_points import run_layers
from nets._outputs import conv_logits
from nets.mobilenet import blocks
from slim import _checks

ConvDefs = Mapping[str, Any]
MultiplierFunc = Callable[[dict[str, Any], float], Mapping[str, Any] | None]


@slim.add_arg_scope
def depth_multiplier(
    params: Mapping[str, Any], multiplier: float, divisible_by: int = 8, min_depth: int = 8
) -> dict[str, Any]:
    """Returns a row's arguments with `num_outputs` multiplied.

    Args:
      params: the arguments.
      multiplier: factor.
      divisible_by: divisor of the result.
      min_depth: minimum of the result.
    """
    scaled = dict(params)
    if "num_outputs" in scaled:
        depth = scaled["num_outputs"] * multiplier
        scaled["num_outputs"] = blocks.make_divisible(depth, divisible_by, min_depth)
    return scaled


def unscaled(params: Mapping[str, Any], multiplier: float) -> dict[str, Any]:
    """Returns a row's arguments unchanged: the `multiplier_func` of a layer that is not scaled."""
    del multiplier
    return dict(params)


class Op(NamedTuple):
    """A row of a table.

    Attributes:
      op: a layer, called as `op(net, **params)`. If it has the parameters `rate` and
        `use_explicit_padding`, they are passed where needed.
      params: the layer's arguments.
      multiplier_func: a function `(params, multiplier)` that returns the scaled arguments, or
        changes `params`, a copy, and returns None, as in TF-Slim.
    """

    op: Callable[..., tf.Tensor]
    params: Mapping[str, Any]
    multiplier_func: MultiplierFunc = depth_multiplier


def op(
    layer: Callable[..., tf.Tensor],
    multiplier_func: MultiplierFunc = depth_multiplier,
    **params: Any,
) -> Op:
    """Returns the row that calls `layer(net, **params)`; for `multiplier_func` see `Op`."""
    return Op(layer, params, multiplier_func)


def with_last_row(conv_defs: ConvDefs, **changes: Any) -> ConvDefs:
    """Returns the table with some fields of its last row changed."""
    *rows, last = conv_defs["spec"]
    return {**conv_defs, "spec": [*rows, last._replace(**changes)]}


def depths(min_depth: int | None, divisible_by: int | None) -> Any:
    """Returns an arg_scope for `depth_multiplier`; None leaves an argument to an outer scope."""
    arguments = {"min_depth": min_depth, "divisible_by": divisible_by}
    _checks.positive(**arguments)
    return slim.arg_scope([depth_multiplier], **_not_none(arguments))


def _not_none(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


@contextlib.contextmanager
def _arguments(*tables: Mapping[Any, Mapping[str, Any]]) -> Iterator[None]:
    """Opens an arg_scope for each entry of the tables, in order."""
    with contextlib.ExitStack() as stack:
        for table in tables:
            for functions, arguments in table.items():
                stack.enter_context(slim.arg_scope(functions, **arguments))
        yield


def _batch_norm_mode(is_training: bool | None) -> Any:
    if is_training is None:
        return contextlib.nullcontext()
    return slim.arg_scope([slim.batch_norm], is_training=is_training)


def _layer(
    row: Op, multiplier: float, stride: int, rate: int, use_explicit_padding: bool
) -> Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Returns a function from a layer's input to its output and its inner outputs."""
    params = dict(row.params)
    scaled = row.multiplier_func(params, multiplier)
    params = {**(params if scaled is None else scaled), "stride": stride}
    accepted = inspect.signature(row.op).parameters
    if rate > 1 and "rate" in accepted:
        params["rate"] = rate
    pads_itself = "use_explicit_padding" in accepted
    if use_explicit_padding and pads_itself:
        params["use_explicit_padding"] = True

    def apply(net: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        if use_explicit_padding and not pads_itself and "kernel_size" in params:
            net = blocks.fixed_padding(net, params["kernel_size"], rate)
        inside: dict[str, tf.Tensor] = {}
        with slim.arg_scope([blocks.expanded_conv], endpoints=inside):
            return row.op(net, **params), inside

    return apply


def _layers(
    images: tf.Tensor,
    conv_defs: ConvDefs,
    multiplier: float,
    final_endpoint: str | None,
    output_stride: int | None,
    use_explicit_padding: bool,
    is_training: bool | None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the layers of a table inside the current scope; see `mobilenet_base`."""
    _checks.positive(multiplier=multiplier)
    rows = conv_defs["spec"]
    steps = blocks.strides_and_rates([row.params.get("stride", 1) for row in rows], output_stride)
    all_inside: dict[str, tf.Tensor] = {}

    def named(name: str, row: Op, stride: int, rate: int) -> Callable[[tf.Tensor], tf.Tensor]:
        layer = _layer(row, multiplier, stride, rate, use_explicit_padding)

        def apply(net: tf.Tensor) -> tf.Tensor:
            net, inside = layer(net)
            all_inside.update({f"{name}/{key}": value for key, value in inside.items()})
            return net

        return apply

    layers = {
        f"layer_{number}": named(f"layer_{number}", row, *step)
        for number, (row, step) in enumerate(zip(rows, steps, strict=True), 1)
    }
    padding = {(slim.conv2d, slim.separable_conv2d): {"padding": "VALID"}}
    with (
        _batch_norm_mode(is_training),
        _arguments(
            conv_defs.get("defaults", {}),
            conv_defs.get("overrides", {}),
            padding if use_explicit_padding else {},
        ),
    ):
        net, end_points = run_layers(images, layers, final_endpoint or list(layers)[-1])
    return net, {**end_points, **all_inside}


@slim.add_arg_scope
def mobilenet_base(
    images: tf.Tensor,
    conv_defs: ConvDefs,
    multiplier: float = 1.0,
    final_endpoint: str | None = None,
    output_stride: int | None = None,
    use_explicit_padding: bool = False,
    scope: Any = None,
    is_training: bool | None = False,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds the layers of a table, up to `final_endpoint`.

    Args:
      images: [batch, height, width, channels].
      conv_defs: the table.
      multiplier: factor for the channels of all layers.
      final_endpoint: "layer_1", "layer_2", ...; None for all layers.
      output_stride: how many times smaller the last maps are than the images: one of the products
        of the table's strides from the start (1, 2, 4, 8, 16 or 32). None for the full stride.
      use_explicit_padding: whether to pad by an amount that does not depend on the images' size.
      scope: name of the variables' scope, or a scope.
      is_training: whether batch norm is in training mode; `training_scope` sets it too. None leaves
        it to arg_scope.

    Returns:
      The last output; and the outputs of all layers by name, then the layers' inner outputs
      ("layer_3/expansion_output").

    Raises:
      UserError: if the end point is not known, the multiplier is not positive, or the rows do not
        reach `output_stride`.
    """
    with slim.variable_scope(scope, "Mobilenet"):
        return _layers(images, conv_defs, multiplier, final_endpoint, output_stride,
                       use_explicit_padding, is_training)  # fmt: skip


@slim.add_arg_scope
def mobilenet(
    images: tf.Tensor,
    num_classes: int | None = 1001,
    prediction_fn: Callable[..., tf.Tensor] | None = slim.softmax,
    reuse: Any = None,
    scope: Any = "Mobilenet",
    base_only: bool = False,
    *,
    conv_defs: ConvDefs,
    multiplier: float = 1.0,
    final_endpoint: str | None = None,
    output_stride: int | None = None,
    use_explicit_padding: bool = False,
    is_training: bool | None = False,
    dropout_keep_prob: float | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds a MobileNet from a table: its layers, pooling over the image, dropout and logits.

    Args:
      images: [batch, height, width, channels].
      num_classes: number of classes; 0 or None returns the pooled features.
      prediction_fn: function from (logits, scope) to probabilities, or None for no predictions.
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.
      base_only: whether to return the last layer's output, without pooling and logits.
      conv_defs: see `mobilenet_base`, as for the next four.
      multiplier: factor for the channels.
      final_endpoint: last layer.
      output_stride: how many times smaller the last maps are than the images.
      use_explicit_padding: whether to pad by an amount that does not depend on the images' size.
      is_training: whether batch norm and dropout are in training mode; None leaves it to arg_scope.
      dropout_keep_prob: fraction of the features that dropout keeps; default: `training_scope`'s.

    Returns:
      Logits [batch, num_classes], or features [batch, 1, 1, channels], or the last layer's output;
      and the end points by name.

    Raises:
      UserError: as `mobilenet_base`.
    """
    with slim.variable_scope(scope, "Mobilenet", reuse=reuse):
        images = tf.identity(images, name="input")
        net, end_points = _layers(images, conv_defs, multiplier, final_endpoint, output_stride,
                                  use_explicit_padding, is_training)  # fmt: skip
        if base_only:
            return net, end_points
        net = tf.identity(net, name="embedding")
        with slim.variable_scope("Logits"):
            net = end_points["global_pool"] = blocks.global_pool(net)
            if not num_classes:
                return net, end_points
            dropout = {"is_training": is_training, "keep_prob": dropout_keep_prob}
            net = slim.dropout(net, scope="Dropout", **_not_none(dropout))
            with slim.arg_scope([slim.conv2d], biases_initializer=slim.zeros_initializer()):
                logits = conv_logits(net, num_classes, "Conv2d_1c_1x1", spatial_squeeze=False)
            logits = tf.identity(tf.squeeze(logits, [1, 2]), name="output")
        end_points["Logits"] = logits
        if prediction_fn is not None:
            end_points["Predictions"] = prediction_fn(logits, "Predictions")
    return logits, end_points


def training_scope(
    is_training: bool | None = True,
    weight_decay: float = 0.00004,
    stddev: float = 0.09,
    dropout_keep_prob: float | None = 0.8,
    bn_decay: float | None = 0.997,
) -> Any:
    """Returns the scope of a MobileNet's layers. Without it the networks are in inference mode.

    Args:
      is_training: whether batch norm and dropout are in training mode, unless the network's own
        argument says otherwise; None leaves it unset.
      weight_decay: coefficient of the L2 penalty on the weights of all but the depthwise
        convolutions.
      stddev: standard deviation of the initial weights; negative: Xavier's uniform distribution.
      dropout_keep_prob: fraction of the features that dropout keeps; None leaves it unset.
      bn_decay: decay of batch norm's moving averages; None leaves it unset.
    """
    initializer = (
        slim.xavier_initializer()
        if stddev < 0
        else slim.truncated_normal_initializer(stddev=stddev)
    )
    batch_norm = {"is_training": is_training, "decay": bn_decay}
    dropout = {"is_training": is_training, "keep_prob": dropout_keep_prob}
    with (
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected, slim.separable_conv2d],
            weights_initializer=initializer,
            normalizer_fn=slim.batch_norm,
        ),
        slim.arg_scope([mobilenet_base, mobilenet], is_training=is_training),
        slim.arg_scope([slim.batch_norm], **_not_none(batch_norm)),
        slim.arg_scope([slim.dropout], **_not_none(dropout)),
        slim.arg_scope([slim.conv2d], weights_regularizer=slim.l2_regularizer(weight_decay)),
        slim.arg_scope([slim.separable_conv2d], weights_regularizer=None) as scope,
    ):
        return scope
