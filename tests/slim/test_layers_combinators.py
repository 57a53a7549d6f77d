import functools

import numpy as np
import pytest
import tensorflow as tf

import slim

IMAGES = tf.ones([1, 32, 32, 3])


def names():
    return list(slim.current_store().named_variables)


def layer_names():
    return [name.removesuffix("/weights") for name in names() if name.endswith("/weights")]


def vgg16(inputs):
    """The network of TF-Slim's tutorial, with an eighth of its units."""
    with slim.arg_scope(
        [slim.conv2d, slim.fully_connected],
        activation_fn=tf.nn.relu,
        weights_initializer=slim.truncated_normal_initializer(0.0, 0.01),
        weights_regularizer=slim.l2_regularizer(0.0005),
    ):
        net = slim.repeat(inputs, 2, slim.conv2d, 8, [3, 3], scope="conv1")
        net = slim.max_pool2d(net, [2, 2], scope="pool1")
        net = slim.repeat(net, 2, slim.conv2d, 16, [3, 3], scope="conv2")
        net = slim.max_pool2d(net, [2, 2], scope="pool2")
        net = slim.repeat(net, 3, slim.conv2d, 32, [3, 3], scope="conv3")
        net = slim.max_pool2d(net, [2, 2], scope="pool3")
        net = slim.repeat(net, 3, slim.conv2d, 64, [3, 3], scope="conv4")
        net = slim.max_pool2d(net, [2, 2], scope="pool4")
        net = slim.repeat(net, 3, slim.conv2d, 64, [3, 3], scope="conv5")
        net = slim.max_pool2d(net, [2, 2], scope="pool5")
        net = slim.fully_connected(net, 512, scope="fc6")
        net = slim.dropout(net, 0.5, scope="dropout6")
        net = slim.fully_connected(net, 512, scope="fc7")
        net = slim.dropout(net, 0.5, scope="dropout7")
        return slim.fully_connected(net, 1000, activation_fn=None, scope="fc8")


VGG_LAYERS = [
    f"conv{block}/conv{block}_{number}"
    for block, count in enumerate([2, 2, 3, 3, 3], 1)
    for number in range(1, count + 1)
] + ["fc6", "fc7", "fc8"]


def test_tutorials_vgg_works_in_the_default_store():
    net = vgg16(IMAGES)
    assert net.shape == (1, 1, 1, 1000)
    assert names() == [f"{layer}/{leaf}" for layer in VGG_LAYERS for leaf in ("weights", "biases")]
    assert names()[:4] == [
        "conv1/conv1_1/weights", "conv1/conv1_1/biases",
        "conv1/conv1_2/weights", "conv1/conv1_2/biases",
    ]  # fmt: skip
    weights = slim.get_variables(suffix="weights")
    penalties = slim.losses.get_regularization_losses()
    np.testing.assert_allclose(
        penalties, [0.0005 * np.sum(v.numpy() ** 2) / 2 for v in weights], rtol=1e-4
    )
    assert len(penalties) == 16
    assert weights[0].numpy().std() == pytest.approx(0.0088, rel=0.2)


def test_tutorials_vgg_twice_is_an_error_until_the_store_is_reset():
    vgg16(IMAGES)
    with pytest.raises(
        ValueError, match="'conv1/conv1_1/weights' was already requested in this pass"
    ):
        vgg16(IMAGES)
    slim.reset_default_store()
    vgg16(IMAGES)
    assert layer_names() == VGG_LAYERS


def test_tutorials_stacks_work_in_the_default_store():
    x = tf.ones([2, 8])
    assert slim.stack(x, slim.fully_connected, [32, 64, 128], scope="fc").shape == (2, 128)
    assert names() == [
        "fc/fc_1/weights", "fc/fc_1/biases", "fc/fc_2/weights", "fc/fc_2/biases",
        "fc/fc_3/weights", "fc/fc_3/biases",
    ]  # fmt: skip
    slim.reset_default_store()
    net = slim.stack(
        IMAGES, slim.conv2d, [(32, [3, 3]), (32, [1, 1]), (64, [3, 3]), (64, [1, 1])], scope="core"
    )
    assert net.shape == (1, 32, 32, 64)
    assert layer_names() == ["core/core_1", "core/core_2", "core/core_3", "core/core_4"]
    assert [slim.get_unique_variable(f"core/core_{n}/weights").shape[0] for n in (1, 2, 3, 4)] == [
        3, 1, 3, 1,
    ]  # fmt: skip


def test_repeat_equals_the_layers_one_by_one():
    once = slim.repeat(IMAGES, 3, slim.conv2d, 4, [3, 3], scope="conv")
    net = IMAGES
    with slim.variable_scope("conv", reuse=True):
        for number in (1, 2, 3):
            net = slim.conv2d(net, 4, [3, 3], scope=f"conv_{number}")
    np.testing.assert_array_equal(once, net)


def test_repeat_passes_keywords_to_each_layer():
    net = slim.repeat(IMAGES, 2, slim.conv2d, 4, kernel_size=3, stride=2, biases_initializer=None)
    assert net.shape == (1, 8, 8, 4)
    assert names() == ["Repeat/convolution2d_1/weights", "Repeat/convolution2d_2/weights"]
    slim.stack(net, slim.conv2d, [[4, 1], [5, 1]], stride=2, biases_initializer=None)
    assert names()[2:] == ["Stack/convolution2d_1/weights", "Stack/convolution2d_2/weights"]


def test_default_scope_names_are_unique_and_follow_the_function():
    x = tf.ones([2, 8])
    slim.repeat(x, 1, slim.fully_connected, 4)
    slim.repeat(x, 1, slim.relu, 4)  # a functools.partial
    slim.repeat(x, 1, functools.partial(slim.fully_connected, num_outputs=4))

    class Twice:
        def __call__(self, inputs, scope):
            return slim.fully_connected(inputs, 4, scope=scope)

    slim.repeat(x, 1, Twice())
    slim.stack(x, lambda inputs, units, scope: slim.linear(inputs, units, scope=scope), [3])
    slim.stack(x, Twice(), [()])
    assert layer_names() == [
        "Repeat/fully_connected_1",
        "Repeat_1/fully_connected_1",
        "Repeat_2/fully_connected_1",
        "Repeat_3/repeat_1",
        "Stack/<lambda>_1",
        "Stack_1/stack_1",
    ]


def test_scope_object_names_the_layers_by_its_last_part():
    with slim.variable_scope("outer"), slim.variable_scope("fc") as scope:
        pass
    slim.stack(tf.ones([2, 8]), slim.fully_connected, [3, 4], scope=scope)
    assert layer_names() == ["outer/fc/fc_1", "outer/fc/fc_2"]


def test_zero_repetitions_return_the_inputs():
    np.testing.assert_array_equal(slim.repeat(IMAGES, 0, slim.conv2d, 4, 3), IMAGES)
    np.testing.assert_array_equal(slim.stack(IMAGES, slim.conv2d, []), IMAGES)


def test_inputs_may_be_arrays():
    assert slim.repeat(np.ones([2, 8], np.float32), 2, slim.linear, 3).shape == (2, 3)
