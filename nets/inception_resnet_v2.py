"""Inception-ResNet v2.

Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
https://arxiv.org/abs/1602.07261, section 3.2, figures 15 to 19.

Unlike in the paper, the stem is that of Inception v3 and one block, `Mixed_5b`; there are 10, 20
and 10 residual blocks, not 5, 10 and 5; each kind has its own scale for the residuals (0.1 to 0.3
in section 3.3), but the last block has neither scale nor activation; and there is an auxiliary
classifier. Irregular names of the published checkpoint: rows called `Conv2d_1x1`, without a place,
and the auxiliary classifier's average pooling, `Conv2d_1a_3x3`.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

import slim
from nets._branches import AvgPool, Conv, MaxPool, Mixed, as_layers, by_name, same_depth
from nets._end_points import run_layers
from nets.inception_utils import pool_for_aux_logits, pool_whole_image
from slim import _checks
from slim._shapes import static_sizes

Activation = Callable[[tf.Tensor], tf.Tensor] | None

# fmt: off
_BLOCK35 = Mixed(  # figure 16
    [Conv("", 32, 1)],
    [Conv("0a", 32, 1), Conv("0b", 32, 3)],
    [Conv("0a", 32, 1), Conv("0b", 48, 3), Conv("0c", 64, 3)],
)
_BLOCK17 = Mixed(  # figure 17
    [Conv("", 192, 1)],
    [Conv("0a", 128, 1), Conv("0b", 160, (1, 7)), Conv("0c", 192, (7, 1))],
)
_BLOCK8 = Mixed(  # figure 19
    [Conv("", 192, 1)],
    [Conv("0a", 192, 1), Conv("0b", 224, (1, 3)), Conv("0c", 256, (3, 1))],
)
# fmt: on


def _residual(
    block: Mixed,
    name: str,
    net: tf.Tensor,
    scale: float,
    activation_fn: Activation,
    scope: Any,
    reuse: Any,
) -> tf.Tensor:
    """Adds a block's output, projected to the input's channels and scaled, to the input."""
    with slim.variable_scope(scope, name, reuse=reuse):
        mixed = block.build(net, same_depth, 3)
        up = slim.conv2d(
            mixed,
            static_sizes(net)[3],
            1,
            normalizer_fn=None,
            activation_fn=None,
            scope="Conv2d_1x1",
        )
        up = up * scale
        if activation_fn is tf.nn.relu6:
            # Quantization needs a known range for the residual too.
            up = tf.clip_by_value(up, -6.0, 6.0)
        net = net + up
        return activation_fn(net) if activation_fn else net


def block35(
    net: tf.Tensor,
    scale: float = 1.0,
    activation_fn: Activation = tf.nn.relu,
    scope: Any = None,
    reuse: Any = None,
) -> tf.Tensor:
    """Applies the residual block of the 35 x 35 stage (figure 16).

    Args:
      net: [batch, height, width, channels]; the output has the same shape.
      scale: factor of the residual.
      activation_fn: activation after the addition, or None.
      scope: name of the block, `Block35` by default.
      reuse: whether the variables are shared; see `slim.variable_scope`.
    """
    return _residual(_BLOCK35, "Block35", net, scale, activation_fn, scope, reuse)


def block17(
    net: tf.Tensor,
    scale: float = 1.0,
    activation_fn: Activation = tf.nn.relu,
    scope: Any = None,
    reuse: Any = None,
) -> tf.Tensor:
    """Applies the residual block of the 17 x 17 stage (figure 17); arguments as for `block35`."""
    return _residual(_BLOCK17, "Block17", net, scale, activation_fn, scope, reuse)


def block8(
    net: tf.Tensor,
    scale: float = 1.0,
    activation_fn: Activation = tf.nn.relu,
    scope: Any = None,
    reuse: Any = None,
) -> tf.Tensor:
    """Applies the residual block of the 8 x 8 stage (figure 19); arguments as for `block35`."""
    return _residual(_BLOCK8, "Block8", net, scale, activation_fn, scope, reuse)


def _stem(padding: str) -> dict[str, Any]:
    keep, half = {"padding": padding}, {"padding": padding, "stride": 2}
    # fmt: off
    return {
        **by_name(
            Conv("1a", 32, 3, **half),      # 149x149x32
            Conv("2a", 32, 3, **keep),      # 147x147x32
            Conv("2b", 64, 3),              # 147x147x64
            MaxPool("3a", 3, **half),       # 73x73x64
            Conv("3b", 80, 1, **keep),      # 73x73x80
            Conv("4a", 192, 3, **keep),     # 71x71x192
            MaxPool("5a", 3, **half),       # 35x35x192
        ),
        "Mixed_5b": Mixed(                  # 35x35x320
            [Conv("", 96, 1)],
            [Conv("0a", 48, 1), Conv("0b", 64, 5)],
            [Conv("0a", 64, 1), Conv("0b", 96, 3), Conv("0c", 96, 3)],
            [AvgPool("0a", 3), Conv("0b", 64, 1)],
        ),
    }
    # fmt: on


def _reductions(padding: str, stride_6a: int) -> dict[str, Any]:
    to_17, to_8 = {"padding": padding, "stride": stride_6a}, {"padding": padding, "stride": 2}
    # fmt: off
    return {
        "Mixed_6a": Mixed(                  # 17x17x1088
            [Conv("1a", 384, 3, **to_17)],
            [Conv("0a", 256, 1), Conv("0b", 256, 3), Conv("1a", 384, 3, **to_17)],
            [MaxPool("1a", 3, **to_17)],
        ),
        "Mixed_7a": Mixed(                  # 8x8x2080
            [Conv("0a", 256, 1), Conv("1a", 384, 3, **to_8)],
            [Conv("0a", 256, 1), Conv("1a", 288, 3, **to_8)],
            [Conv("0a", 256, 1), Conv("0b", 288, 3), Conv("1a", 320, 3, **to_8)],
            [MaxPool("1a", 3, **to_8)],
        ),
    }
    # fmt: on


def _layers(
    atrous: bool, padding: str, activation_fn: Activation
) -> dict[str, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns the stages by end point; residual blocks belong to the end point after them."""
    repeat = functools.partial(slim.repeat, activation_fn=activation_fn)
    reductions = as_layers(_reductions(padding, stride_6a=1 if atrous else 2))

    def mixed_6a(net: tf.Tensor) -> tf.Tensor:
        net = repeat(net, 10, block35, scale=0.17)  # 35x35x320
        return reductions["Mixed_6a"](net)

    def pre_aux_logits(net: tf.Tensor) -> tf.Tensor:
        with slim.arg_scope([slim.conv2d], rate=2 if atrous else 1):
            return repeat(net, 20, block17, scale=0.10)  # 17x17x1088

    def conv2d_7b(net: tf.Tensor) -> tf.Tensor:
        net = repeat(net, 9, block8, scale=0.20)  # 8x8x2080
        net = block8(net, activation_fn=None)
        return slim.conv2d(net, 1536, 1, stride=1, padding="SAME", scope="Conv2d_7b_1x1")

    return {
        **as_layers(_stem(padding)),
        "Mixed_6a": mixed_6a,
        "PreAuxLogits": pre_aux_logits,
        "Mixed_7a": reductions["Mixed_7a"],
        "Conv2d_7b_1x1": conv2d_7b,  # 8x8x1536
    }


def inception_resnet_v2_base(
    inputs: tf.Tensor,
    final_endpoint: str = "Conv2d_7b_1x1",
    output_stride: int = 16,
    align_feature_maps: bool = False,
    scope: Any = None,
    activation_fn: Activation = tf.nn.relu,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception-ResNet v2 up to one of its stages.

    Args:
      inputs: [batch, height, width, channels], of 75 x 75 or more for all stages.
      final_endpoint: name of the last stage.
      output_stride: pixels of the image per position of `PreAuxLogits`: 16, or 8, where the blocks
        after `Mixed_6a` have dilated kernels and `PreAuxLogits` is the last stage.
      align_feature_maps: whether all padding is "SAME", so that position (i, j) of a map is at
        pixel (i, j) times its stride.
      scope: name of the variables' scope, `InceptionResnetV2` by default.
      activation_fn: activation of the residual blocks, after the addition.

    Returns:
      The output of the last stage, and those of all stages by name.

    Raises:
      UserError: if there is no stage `final_endpoint`, or `output_stride` is neither 8 nor 16, or
        is 8 with a later stage than `PreAuxLogits`.
    """
    _checks.one_of("output_stride", output_stride, [8, 16])
    if output_stride == 8 and final_endpoint in ("Mixed_7a", "Conv2d_7b_1x1"):
        raise _checks.UserError(
            f"final_endpoint={final_endpoint!r} is not supported with output_stride=8, whose last "
            "stage is 'PreAuxLogits'; use that one, an earlier one, or output_stride=16"
        )
    padding = "SAME" if align_feature_maps else "VALID"
    layers = _layers(output_stride == 8, padding, activation_fn)
    with slim.variable_scope(scope, "InceptionResnetV2"):
        return run_layers(inputs, layers, final_endpoint)


def inception_resnet_v2(
    inputs: tf.Tensor,
    num_classes: int | None = 1001,
    is_training: bool = True,
    dropout_keep_prob: float = 0.8,
    reuse: Any = None,
    scope: Any = "InceptionResnetV2",
    create_aux_logits: bool = True,
    activation_fn: Activation = tf.nn.relu,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds Inception-ResNet v2.

    Args:
      inputs: [batch, height, width, channels]; with the auxiliary logits at least 107 x 107 and of
        a known size, which determines the shape of `AuxLogits/Conv2d_2a_5x5`: 299 x 299 for
        published weights.
      num_classes: number of classes; 0 or None returns the features before dropout.
      is_training: whether batch norm and dropout are in training mode.
      dropout_keep_prob: fraction of the features that dropout keeps.
      reuse: whether the variables are shared; see `slim.variable_scope`.
      scope: name of the variables' scope.
      create_aux_logits: whether to add the auxiliary classifier, in inference too.
      activation_fn: activation of the residual blocks, after the addition.

    Returns:
      Logits [batch, num_classes], or features [batch, 1, 1, 1536]; and the end points by name.

    Raises:
      UserError: if the images are too small or of unknown size for the auxiliary logits.
    """
    with slim.variable_scope(scope, "InceptionResnetV2", reuse=reuse) as sc:
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training):
            net, end_points = inception_resnet_v2_base(
                inputs, scope=sc, activation_fn=activation_fn
            )
            if create_aux_logits and num_classes:
                end_points["AuxLogits"] = _aux_logits(end_points["PreAuxLogits"], num_classes)
            with slim.variable_scope("Logits"):
                net = pool_whole_image(net, "AvgPool_1a_8x8")  # 1x1x1536
                end_points["global_pool"] = net
                if not num_classes:
                    return net, end_points
                net = slim.flatten(net)
                net = slim.dropout(net, dropout_keep_prob, scope="Dropout")
                end_points["PreLogitsFlatten"] = net
                logits = slim.fully_connected(net, num_classes, activation_fn=None, scope="Logits")
                end_points["Logits"] = logits
                end_points["Predictions"] = tf.nn.softmax(logits, name="Predictions")
    return logits, end_points


def _aux_logits(net: tf.Tensor, num_classes: int) -> tf.Tensor:
    with slim.variable_scope("AuxLogits"):
        net = pool_for_aux_logits(net, "Conv2d_1a_3x3", sized=True)  # 5x5x1088
        net = slim.conv2d(net, 128, 1, scope="Conv2d_1b_1x1")
        net = slim.conv2d(net, 768, static_sizes(net)[1:3], padding="VALID", scope="Conv2d_2a_5x5")
        net = slim.flatten(net)  # 768
        return slim.fully_connected(net, num_classes, activation_fn=None, scope="Logits")


inception_resnet_v2.default_image_size = 299


def inception_resnet_v2_arg_scope(
    weight_decay: float = 0.00004,
    batch_norm_decay: float = 0.9997,
    batch_norm_epsilon: float = 0.001,
    activation_fn: Activation = tf.nn.relu,
    batch_norm_scale: bool = False,
) -> Any:
    """Returns the scope of the layers; unlike that of v1 to v4, it regularizes biases too.

    Args:
      weight_decay: coefficient of the L2 penalty on the weights and biases.
      batch_norm_decay: decay of the moving averages.
      batch_norm_epsilon: added to the variance.
      activation_fn: activation of the convolutions.
      batch_norm_scale: whether batch norm has a `gamma`, which is redundant before ReLU.
    """
    batch_norm = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "scale": batch_norm_scale,
    }
    with (
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            weights_regularizer=slim.l2_regularizer(weight_decay),
            biases_regularizer=slim.l2_regularizer(weight_decay),
        ),
        slim.arg_scope(
            [slim.conv2d],
            activation_fn=activation_fn,
            normalizer_fn=slim.batch_norm,
            normalizer_params=batch_norm,
        ) as scope,
    ):
        return scope
