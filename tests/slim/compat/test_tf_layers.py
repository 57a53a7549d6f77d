"""tf.layers: values of Keras's layers, names of TensorFlow 1's variables."""

import numpy as np
import pytest
import tensorflow as tf

from slim.compat import tf_layers

v1 = tf.compat.v1
keras = tf.keras.layers
IMAGES = np.random.default_rng(0).normal(size=[2, 7, 7, 3]).astype(np.float32)

# name: (function of the images, Keras layer, names of the variables)
CASES = {
    "dense": (lambda x: tf_layers.dense(x, 4, tf.nn.relu), keras.Dense(4, "relu"), "dense"),
    "conv2d": (
        lambda x: tf_layers.conv2d(x, 4, 3, 2, "same", activation=tf.nn.relu),
        keras.Conv2D(4, 3, 2, "same", activation="relu"), "conv2d",
    ),
    "conv2d_dilated": (
        lambda x: tf_layers.conv2d(x, 4, [3, 2], dilation_rate=2, name="c"),
        keras.Conv2D(4, [3, 2], dilation_rate=2), "c",
    ),
    "conv2d_transpose_valid": (
        lambda x: tf_layers.conv2d_transpose(x, 4, 3, 2),
        keras.Conv2DTranspose(4, 3, 2), "conv2d_transpose",
    ),
    "conv2d_transpose_same": (
        lambda x: tf_layers.conv2d_transpose(x, 4, [3, 3], [2, 2], "same"),
        keras.Conv2DTranspose(4, 3, 2, "same"), "conv2d_transpose",
    ),
}  # fmt: skip


def run(graph, tensors, values=()):
    with v1.Session(graph=graph) as session:
        session.run(v1.global_variables_initializer())
        for variable, value in values:
            variable.load(value, session)
        return session.run(tensors)


@pytest.mark.parametrize("name", CASES)
def test_layers_with_weights_equal_keras(name):
    function, layer, scope = CASES[name]
    layer(IMAGES)
    weights = layer.get_weights()
    weights[1] = weights[1] + 0.5
    layer.set_weights(weights)
    expected = layer(IMAGES)
    with tf.Graph().as_default() as graph:
        outputs = function(tf.constant(IMAGES))
        variables = v1.trainable_variables()
        assert [v.op.name for v in variables] == [f"{scope}/kernel", f"{scope}/bias"]
        result = run(graph, outputs, zip(variables, weights, strict=True))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "function, layer",
    [
        (lambda x: tf_layers.max_pooling2d(x, 2, 2), keras.MaxPooling2D(2, 2)),
        (
            lambda x: tf_layers.average_pooling2d(x, [3, 2], 1, "same"),
            keras.AveragePooling2D([3, 2], 1, "same"),
        ),
        (tf_layers.flatten, keras.Flatten()),
        (tf_layers.dropout, keras.Dropout(0.5)),
    ],
)
def test_layers_without_weights_equal_keras(function, layer):
    with tf.Graph().as_default() as graph:
        result = run(graph, function(tf.constant(IMAGES)))
    np.testing.assert_allclose(result, layer(IMAGES), rtol=1e-5)


def test_dropout_in_training_keeps_the_mean():
    with tf.Graph().as_default() as graph:
        outputs = tf_layers.dropout(
            tf.ones([1000]), 0.25, training=v1.placeholder_with_default(True, [])
        )
        result = run(graph, outputs)
    assert set(np.round(result, 3)) == {0, np.float32(1.333)}
    np.testing.assert_allclose(result.mean(), 1, atol=0.1)


def test_batch_normalization_updates_its_averages_in_training_only():
    with tf.Graph().as_default() as graph:
        training = v1.placeholder_with_default(True, [])
        outputs = tf_layers.batch_normalization(
            tf.constant(IMAGES), momentum=0.9, training=training
        )
        updates = v1.get_collection(v1.GraphKeys.UPDATE_OPS)
        assert [v.op.name.rpartition("/")[2] for v in v1.global_variables()] == [
            "gamma", "beta", "moving_mean", "moving_variance",
        ]  # fmt: skip
        mean = v1.global_variables()[2]
        with v1.Session(graph=graph) as session:
            session.run(v1.global_variables_initializer())
            trained = session.run(outputs)
            session.run(updates, {training: False})
            assert not session.run(mean).any()
            session.run(updates)
            np.testing.assert_allclose(session.run(mean), 0.1 * IMAGES.mean((0, 1, 2)), rtol=1e-4)
    expected = keras.BatchNormalization()(IMAGES, training=True)
    np.testing.assert_allclose(trained, expected, rtol=1e-3, atol=1e-4)


def test_channels_first_is_an_error():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="data_format='channels_first'"):
        tf_layers.conv2d(tf.constant(IMAGES), 4, 3, data_format="channels_first")
