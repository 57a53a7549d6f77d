"""In a plain graph, layers have TF-Slim's collections and names of ops."""

import numpy as np
import pytest
import tensorflow as tf

import slim

v1 = tf.compat.v1
KEYS = v1.GraphKeys
L2 = slim.l2_regularizer(0.1)
DECAYED = {"weights_regularizer": L2, "biases_regularizer": L2}


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.fixture
def images():
    return v1.placeholder(tf.float32, [2, 8, 8, 4])


def names(collection):
    return [
        each.op.name if hasattr(each, "op") else each.name for each in v1.get_collection(collection)
    ]


@pytest.mark.parametrize(
    "layer, output, penalties",
    [
        (slim.conv2d, "Conv/Relu", ["Conv/kernel", "Conv/bias"]),
        (slim.conv2d_transpose, "Conv2d_transpose/Relu",
         ["Conv2d_transpose/kernel", "Conv2d_transpose/bias"]),
        (slim.separable_conv2d, "SeparableConv2d/Relu",
         ["SeparableConv2d/depthwise_kernel", "SeparableConv2d/pointwise_kernel",
          "SeparableConv2d/bias"]),
    ],
)  # fmt: skip
def test_convolutions_name_their_ops(images, layer, output, penalties):
    outputs = layer(images, 6, 3, outputs_collections="ends", **DECAYED)
    assert outputs.op.name == output
    assert slim.convert_collection_to_dict("ends") == {output.split("/")[0]: outputs}
    assert names(KEYS.REGULARIZATION_LOSSES) == [
        f"{name}/Regularizer/l2_regularizer" for name in penalties
    ]


def test_other_layers_name_their_penalties_by_the_variables(images):
    slim.conv2d_in_plane(images, 3, **DECAYED)
    slim.separable_conv2d(images, None, 3, **DECAYED)
    slim.bias_add(images, regularizer=L2)
    assert names(KEYS.REGULARIZATION_LOSSES) == [
        f"{name}/Regularizer/l2_regularizer"
        for name in (
            "ConvInPlane/weights", "ConvInPlane/biases", "SeparableConv2d/depthwise_weights",
            "SeparableConv2d/biases", "BiasAdd/biases",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    "layer, output, alias",
    [
        (lambda x, **kw: slim.max_pool2d(x, 2, **kw), "MaxPool2D/MaxPool", "MaxPool2D"),
        (lambda x, **kw: slim.pool(x, 2, "AVG", **kw), "avg_pool", "avg_pool"),
        (lambda x, **kw: slim.pool(x, 2, "MAX", scope="p", **kw), "p", "p"),
        (lambda x, **kw: slim.flatten(x, **kw), "Flatten/flatten/Reshape", "Flatten"),
        (lambda x, **kw: slim.instance_norm(x, **kw), "InstanceNorm/instancenorm/add_1",
         "InstanceNorm"),
        (lambda x, **kw: slim.dropout(x, scope="d", **kw), "d/dropout/SelectV2", "d"),
        (lambda x, **kw: slim.dropout(x, **kw), "Dropout/dropout_1/SelectV2", "Dropout"),
    ],
)  # fmt: skip
def test_other_layers_name_their_ops(images, layer, output, alias):
    with v1.variable_scope("net"):
        outputs = layer(images, outputs_collections="ends")
    assert outputs.op.name == f"net/{output}"
    assert slim.convert_collection_to_dict("ends") == {f"net/{alias}": outputs}


def test_second_output_of_a_layer_has_another_name(images):
    for _ in range(2):
        slim.max_pool2d(images, 2, outputs_collections="ends")
    assert list(slim.convert_collection_to_dict("ends")) == ["MaxPool2D", "MaxPool2D_1"]


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_channels_first_keeps_the_name_of_the_op(kind):
    images = v1.placeholder(tf.float32, [2, 4, 8, 8])
    layer = getattr(slim, f"{kind}_pool2d")
    outputs = layer(images, 2, data_format="NCHW")
    assert outputs.op.name == f"{kind.title()}Pool2D/{kind.title()}Pool"
    assert outputs.shape.as_list() == [2, 4, 4, 4]


def test_batch_norm_collects_its_updates(images):
    slim.batch_norm(images)
    slim.batch_norm(images, updates_collections=["mine"], scope="bn")
    slim.batch_norm(images, is_training=False, scope="frozen")
    slim.batch_norm(images, updates_collections=None, scope="in_place")
    updates = ["AssignMovingAvg/AssignSubVariableOp", "AssignMovingAvg_1/AssignSubVariableOp"]
    assert names(KEYS.UPDATE_OPS) == [f"BatchNorm/{name}" for name in updates]
    assert names("mine") == [f"bn/{name}" for name in updates]


def test_batch_norm_variables_are_not_partitioned():
    halves = v1.fixed_size_partitioner(2)
    with v1.variable_scope("net", partitioner=halves):
        slim.batch_norm(tf.ones([2, 4]), fused=False, scope="bn")
    assert names(KEYS.MODEL_VARIABLES) == [
        "net/bn/beta/part_0", "net/bn/beta/part_1", "net/bn/moving_mean", "net/bn/moving_variance",
    ]  # fmt: skip


@pytest.mark.parametrize("rank", [2, 4])
def test_order_of_batch_norm_variables(rank):
    slim.batch_norm(tf.ones([2, 3, 3, 4][:rank]), scale=True, scope="bn")
    learned = ["bn/beta", "bn/gamma"] if rank == 2 else ["bn/gamma", "bn/beta"]
    assert names(KEYS.TRAINABLE_VARIABLES) == learned


def test_weights_of_any_kind_are_in_the_collection_of_weights(images):
    slim.separable_conv2d(images, 6, 3, variables_collections={"weights": ["decayed"]})
    assert names("decayed") == [
        "SeparableConv2d/depthwise_weights",
        "SeparableConv2d/pointwise_weights",
    ]


def test_seeded_dropout_draws_as_tensorflow_1(images):
    x = np.ones([2, 50], np.float32)
    expected = v1.nn.dropout(x, keep_prob=0.6, seed=7)
    with v1.Session() as session:
        np.testing.assert_allclose(*session.run([slim.dropout(x, 0.6, seed=7), expected]))


def test_graph_seed_reaches_the_initial_values(images):
    values = []
    for seed in (1, 1, 2):
        with tf.Graph().as_default(), v1.Session() as session:
            v1.set_random_seed(seed)
            slim.conv2d(tf.ones([1, 2, 2, 3]), 4, 1)
            session.run(v1.global_variables_initializer())
            values.append(session.run(v1.global_variables()[0]).tolist())
    assert values[0] == values[1] != values[2]


@pytest.fixture
def dimensions():
    v1.disable_v2_tensorshape()
    yield
    v1.enable_v2_tensorshape()


def test_layers_accept_shapes_with_dimension_objects(dimensions):
    images = v1.placeholder(tf.float32, [None, 8, 8, 4])
    net = slim.separable_conv2d(slim.conv2d(images, images.shape[-1], 3), 6, 3)
    net = slim.conv2d_transpose(slim.conv2d_in_plane(net, 3), 4, 3, 2)
    net = slim.group_norm(slim.batch_norm(net, updates_collections=None), 2)
    net = slim.maxout(slim.layer_norm(slim.instance_norm(net)), 2)
    net = slim.unit_norm(slim.fully_connected(slim.flatten(slim.max_pool2d(net, 2)), 5), 1)
    assert slim.softmax(slim.bias_add(net)).shape.as_list() == [None, 5]


def test_fake_quantization_is_not_supported():
    with (
        pytest.raises(ValueError, match="fake_quantization needs a variable store, not a plain"),
        slim.quantization.fake_quantization(),
    ):
        pass
