"""In a plain graph, layers add the ops of TF-Slim under the same names."""

import re

import pytest
import tensorflow as tf

import slim

v1 = tf.compat.v1
L2 = slim.l2_regularizer(0.1)
IMAGES = [2, 8, 8, 4]
UNKNOWN = [None, None, None, 4]
ROWS = [2, 4]
DECAYED = {"weights_regularizer": L2, "biases_regularizer": L2}

LAYERS = {
    "conv1d": (slim.convolution, [2, 8, 4], [6, 3], {}),
    "conv2d": (slim.conv2d, IMAGES, [6, 3], DECAYED),
    "fully_connected": (slim.fully_connected, ROWS, [6], DECAYED),
    "separable_conv2d": (slim.separable_conv2d, IMAGES, [6, 3], DECAYED),
    "depthwise": (slim.separable_conv2d, IMAGES, [None, 3], {}),
    "in_plane": (slim.conv2d_in_plane, IMAGES, [2], {}),
    "transposed": (slim.conv2d_transpose, IMAGES, [6, 3, 2], {}),
    "transposed_unknown": (slim.conv2d_transpose, UNKNOWN, [6, 3, 2, "VALID"], {}),
    "batch_norm": (slim.batch_norm, IMAGES, [], {"scale": True}),
    "batch_norm_at_once": (slim.batch_norm, IMAGES, [], {"updates_collections": None}),
    "batch_norm_of_rows": (slim.batch_norm, ROWS, [], {"scale": True}),
    "batch_norm_formula": (slim.batch_norm, IMAGES, [], {"scale": True, "fused": False}),
    "batch_norm_inference": (slim.batch_norm, IMAGES, [], {"is_training": False}),
    "batch_norm_inference_formula": (
        slim.batch_norm, IMAGES, [], {"is_training": False, "fused": False}
    ),
    "batch_norm_penalty": (
        slim.batch_norm, IMAGES, [], {"is_training": False, "param_regularizers": {"beta": L2}}
    ),
    "batch_norm_debiased": (slim.batch_norm, IMAGES, [], {"zero_debias_moving_mean": True}),
    "layer_norm": (slim.layer_norm, IMAGES, [], {}),
    "instance_norm": (slim.instance_norm, IMAGES, [], {}),
    "group_norm": (slim.group_norm, IMAGES, [2], {}),
    "unit_norm": (slim.unit_norm, IMAGES, [1], {}),
    "maxout": (slim.maxout, IMAGES, [2], {}),
    "flatten": (slim.flatten, IMAGES, [], {}),
    "flatten_unknown": (slim.flatten, UNKNOWN, [], {}),
    "flatten_numbers": (slim.flatten, [None], [], {}),
    "dropout_of_nothing": (slim.dropout, ROWS, [1.0], {}),
    "one_hot": (slim.one_hot_encoding, [2], [3], {}),
    "spatial_softmax": (slim.spatial_softmax, IMAGES, [2.0], {}),
}  # fmt: skip

# Read from graphs that TF-Slim built on TensorFlow 2.21; in its order but for constants and
# reshapes which batch norm adds between variables. `a{/b,}` is `a/b a`.
WITH_REFERENCE_VARIABLES = {
    "conv1d": """
        s/weights s/biases s/Conv1D/ExpandDims{/dim,,_1/dim,_1} s/Conv1D{,/Squeeze}
        s/BiasAdd s/Relu""",
    "conv2d": """
        s/weights s/kernel/Regularizer/l2_regularizer{/scale,/L2Loss,}
        s/biases s/bias/Regularizer/l2_regularizer{/scale,/L2Loss,} s/Conv2D s/BiasAdd s/Relu""",
    "fully_connected": """
        s/weights s/kernel/Regularizer/l2_regularizer{/scale,/L2Loss,}
        s/biases s/bias/Regularizer/l2_regularizer{/scale,/L2Loss,} s/MatMul s/BiasAdd s/Relu""",
    "separable_conv2d": """
        s/depthwise_weights s/depthwise_kernel/Regularizer/l2_regularizer{/scale,/L2Loss,}
        s/pointwise_weights s/pointwise_kernel/Regularizer/l2_regularizer{/scale,/L2Loss,}
        s/biases s/bias/Regularizer/l2_regularizer{/scale,/L2Loss,}
        s/separable_conv2d{/Shape,/dilation_rate,/depthwise,} s/BiasAdd s/Relu""",
    "depthwise": """
        s/depthwise_weights s/depthwise{/Shape,/dilation_rate,} s/biases s/BiasAdd s/Relu""",
    "in_plane": """
        s/weights s/Tile{/multiples,} s/depthwise{/Shape,/dilation_rate,}
        s/biases s/BiasAdd s/Relu""",
    "transposed": """
        s/weights s/biases s/Shape s/strided_slice{/stack,/stack_1,/stack_2,}
        s/stack{/1,/2,/3,} s/strided_slice_1{/stack,/stack_1,/stack_2,}
        s/conv2d_transpose s/BiasAdd s/Relu""",
    "transposed_unknown": """
        s/weights s/biases s/Shape s/strided_slice{/stack,/stack_1,/stack_2,}
        s/strided_slice_1{/stack,/stack_1,/stack_2,} s/strided_slice_2{/stack,/stack_1,/stack_2,}
        s/mul{/y,} s/add{/y,} s/mul_1{/y,} s/add_1{/y,} s/stack{/3,}
        s/strided_slice_3{/stack,/stack_1,/stack_2,} s/conv2d_transpose s/BiasAdd s/Relu""",
    "batch_norm": """
        s/gamma s/beta s/moving_mean s/moving_variance s/FusedBatchNormV3 s/Const
        s/AssignMovingAvg{/sub/x,/sub,/sub_1,/mul,}
        s/AssignMovingAvg_1{/sub/x,/sub,/sub_1,/mul,}""",
    "batch_norm_at_once": """
        s/beta s/moving_mean s/moving_variance s/Const s/Const_1 s/Const_2 s/FusedBatchNormV3
        s/AssignMovingAvg{/decay,/sub,/mul,} s/AssignMovingAvg_1{/decay,/sub,/mul,} s/Identity""",
    "batch_norm_of_rows": """
        s/beta s/gamma s/moving_mean s/moving_variance s/Reshape{/shape,} s/Const s/Const_1
        s/FusedBatchNormV3 s/AssignMovingAvg{/decay,/sub,/mul,}
        s/AssignMovingAvg_1{/decay,/sub,/mul,} s/Reshape_1{/shape,}""",
    "batch_norm_formula": """
        s/gamma s/beta s/moving_mean s/moving_variance s/moments/mean{/reduction_indices,}
        s/moments/StopGradient s/moments/SquaredDifference s/moments/variance{/reduction_indices,}
        s/moments/Squeeze s/moments/Squeeze_1 s/AssignMovingAvg{/decay,/sub,/mul,}
        s/AssignMovingAvg_1{/decay,/sub,/mul,}
        s/batchnorm{/add/y,/add,/Rsqrt,/mul,/mul_1,/mul_2,/sub,/add_1}""",
    "batch_norm_inference": "s/beta s/moving_mean s/moving_variance s/Const s/FusedBatchNormV3",
    "batch_norm_penalty": """
        s/beta s/beta/Regularizer/l2_regularizer{/scale,/L2Loss,} s/moving_mean s/moving_variance
        s/Const s/FusedBatchNormV3""",
    "batch_norm_debiased": """
        s/beta s/moving_mean s/moving_variance s/s/moving_mean{/biased,/local_step}
        s/Const s/Const_1 s/Const_2 s/FusedBatchNormV3
        s/AssignMovingAvg{/decay,/sub,/mul,/AssignSub,/AssignAdd/value,/AssignAdd}
        s/AssignMovingAvg{/sub_1/x,/sub_1,/Pow,/sub_2/x,/sub_2,/truediv,}
        s/AssignMovingAvg_1{/decay,/sub,/mul,}""",
    "layer_norm": """
        s/beta s/gamma s/moments/mean{/reduction_indices,} s/moments/StopGradient
        s/moments/SquaredDifference s/moments/variance{/reduction_indices,}
        s/batchnorm{/add/y,/add,/Rsqrt,/mul,/mul_1,/mul_2,/sub,/add_1}""",
    "instance_norm": """
        s/beta s/gamma s/moments/mean{/reduction_indices,} s/moments/StopGradient
        s/moments/SquaredDifference s/moments/variance{/reduction_indices,}
        s/instancenorm{/add/y,/add,/Rsqrt,/mul,/mul_1,/mul_2,/sub,/add_1}""",
    "group_norm": """
        Shape Reshape{/shape,} s/beta s/Reshape{/shape,} s/gamma s/Reshape_1{/shape,}
        s/moments/mean{/reduction_indices,} s/moments/StopGradient s/moments/SquaredDifference
        s/moments/variance{/reduction_indices,} s/add{/y,} s/Rsqrt s/Neg s/mul s/mul_1 s/mul_2
        s/add_1 s/mul_3 s/add_2 s/Reshape_2{/shape,}""",
    "unit_norm": """
        s/Square s/Sum{/reduction_indices,} s/add{/x,} s/Sqrt s/ones s/Shape
        s/ones_like{/tensor,/Shape/shape_as_tensor,/Const,} s/StridedSlice{/begin,/end,} s/ones_1
        s/concat{/axis,} s/Tile s/div""",
    "maxout": "s/Reshape{/shape,} s/Max{/reduction_indices,}",
    "flatten": "s/flatten{/Const,/Reshape}",
    "flatten_unknown": """
        s/flatten/Shape s/flatten/strided_slice{/stack,/stack_1,/stack_2,}
        s/flatten/Reshape{/shape/1,/shape,}""",
    "flatten_numbers": "s/flatten/ExpandDims{/dim,}",
    "dropout_of_nothing": "s/Identity",
    "one_hot": "s/ToInt64 s/one_hot{/Const,/Const_1,/depth,}",
    "spatial_softmax": """
        s/Shape s/strided_slice{/stack,/stack_1,/stack_2,}
        s/strided_slice_1{/stack,/stack_1,/stack_2,} s/spatial_softmax_op/LinSpace{/start,/stop,}
        s/spatial_softmax_op/LinSpace_1{/start,/stop,}
        s/spatial_softmax_op/meshgrid{/Reshape/shape,/Reshape,/Reshape_1/shape,/Reshape_1}
        s/spatial_softmax_op/meshgrid{/Size,/Size_1,/ones/packed,/ones/Const,/ones,/mul,/mul_1}
        s/spatial_softmax_op{/mul,/Reshape/shape,/Reshape,/mul_1,/Reshape_1/shape,/Reshape_1}
        s/temperature s/spatial_softmax_op/transpose{/perm,} s/spatial_softmax_op/mul_2
        s/spatial_softmax_op/Reshape_2{/shape/0,/shape,} s/spatial_softmax_op{/truediv,/Softmax}
        s/spatial_softmax_op{/mul_3,/Sum/reduction_indices,/Sum}
        s/spatial_softmax_op{/mul_4,/Sum_1/reduction_indices,/Sum_1}
        s/spatial_softmax_op{/concat/axis,/concat,/Reshape_3/shape,/Reshape_3}""",
}

WITH_RESOURCE_VARIABLES = {
    "conv2d": """
        s/weights s/kernel/Regularizer/l2_regularizer{/scale,/L2Loss/ReadVariableOp,/L2Loss,}
        s/biases s/bias/Regularizer/l2_regularizer{/scale,/L2Loss/ReadVariableOp,/L2Loss,}
        s/Conv2D{/ReadVariableOp,} s/BiasAdd{/ReadVariableOp,} s/Relu""",
    "batch_norm": """
        s/gamma s/beta s/moving_mean s/moving_variance s/ReadVariableOp s/ReadVariableOp_1
        s/FusedBatchNormV3{/ReadVariableOp,/ReadVariableOp_1,} s/Const
        s/AssignMovingAvg{/sub/x,/sub,/ReadVariableOp,/sub_1,/mul}
        s/AssignMovingAvg{/AssignSubVariableOp,/ReadVariableOp_1}
        s/AssignMovingAvg_1{/sub/x,/sub,/ReadVariableOp,/sub_1,/mul}
        s/AssignMovingAvg_1{/AssignSubVariableOp,/ReadVariableOp_1}""",
    "batch_norm_inference_formula": """
        s/beta s/moving_mean s/moving_variance s/batchnorm{/ReadVariableOp,/add/y,/add,/Rsqrt,/mul}
        s/batchnorm{/ReadVariableOp_1,/mul_1,/ReadVariableOp_2,/sub,/add_1}""",
    "instance_norm": """
        s/beta s/gamma s/moments/mean{/reduction_indices,} s/moments/StopGradient
        s/moments/SquaredDifference s/moments/variance{/reduction_indices,}
        s/instancenorm{/add/y,/add,/Rsqrt,/mul/ReadVariableOp,/mul,/mul_1,/mul_2}
        s/instancenorm{/ReadVariableOp,/sub,/add_1}""",
}


def expanded(text):
    """Returns the names of a text with braces."""
    names = []
    for word in text.split():
        prefix, braces, inner = word.partition("{")
        names += [prefix + each for each in inner.rstrip("}").split(",")] if braces else [word]
    return names


def added_ops(name, use_resource):
    """Returns the names of a layer's ops, without those of its variables."""
    layer, shape, arguments, options = LAYERS[name]
    with tf.Graph().as_default() as graph:
        v1.get_variable_scope().set_use_resource(use_resource)
        inputs = v1.placeholder(tf.int32 if name == "one_hot" else tf.float32, shape)
        scope = "name" if name == "spatial_softmax" else "scope"
        layer(inputs, *arguments, **{scope: "s"}, **options)
        variables = "|".join(variable.op.name for variable in v1.global_variables()) or "(?!)"
        names = [op.name for op in graph.get_operations()[1:]]
    return [name for name in names if not re.match(f"({variables})/(?!Regularizer/)", name)]


@pytest.mark.parametrize("name", WITH_REFERENCE_VARIABLES)
def test_ops_with_reference_variables(name):
    assert added_ops(name, use_resource=False) == expanded(WITH_REFERENCE_VARIABLES[name])


@pytest.mark.parametrize("name", WITH_RESOURCE_VARIABLES)
def test_ops_with_resource_variables(name):
    assert added_ops(name, use_resource=True) == expanded(WITH_RESOURCE_VARIABLES[name])


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("known", [True, False])
def test_updates_are_ops_where_tf_slim_uses_a_layer_of_tensorflow_1(use_resource, known):
    with tf.Graph().as_default():
        v1.get_variable_scope().set_use_resource(use_resource)
        images, rows = (v1.placeholder(tf.float32, shape) for shape in (IMAGES, ROWS))
        slim.batch_norm(images, is_training=known or v1.placeholder(tf.bool, []), scope="core")
        slim.batch_norm(rows, scope="own")
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
    suffix = "/AssignSubVariableOp" if use_resource else ""
    assert [isinstance(update, tf.Operation) for update in updates] == [True] * 2 + [False] * 2
    assert [re.sub(":0$", "", update.name) for update in updates] == [
        f"{scope}/{average}{suffix}"
        for scope in ("core", "own")
        for average in ("AssignMovingAvg", "AssignMovingAvg_1")
    ]


def test_penalties_of_layers_are_tensors():
    with tf.Graph().as_default(), v1.variable_scope("s", regularizer=slim.l1_regularizer(0.5)):
        slim.conv2d(v1.placeholder(tf.float32, IMAGES), 6, 3, weights_regularizer=L2, scope="c")
        penalties = v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)
    assert isinstance(penalties[0], tf.Tensor)
    assert [penalty.op.name for penalty in penalties] == [
        "s/c/kernel/Regularizer/l2_regularizer",
        "s/c/weights/Regularizer/l1_regularizer",
        "s/c/biases/Regularizer/l1_regularizer",
    ]
