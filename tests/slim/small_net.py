"""A network with convolution, batch norm and a dense layer, for tests of the store."""

import numpy as np
import tensorflow as tf

import slim


def small_net(images, is_training=True):
    with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm):
        with slim.arg_scope([slim.batch_norm], is_training=is_training, decay=0.5):
            with slim.variable_scope("Net"):
                net = slim.conv2d(images, 4, [3, 3], scope="conv1")
                net = slim.flatten(slim.max_pool2d(net, 2))
                return slim.fully_connected(net, 3, activation_fn=None, scope="logits")


NET_NAMES = [
    "Net/conv1/weights",
    "Net/conv1/BatchNorm/beta",
    "Net/conv1/BatchNorm/moving_mean",
    "Net/conv1/BatchNorm/moving_variance",
    "Net/logits/weights",
    "Net/logits/biases",
]
IMAGES = tf.TensorSpec([None, 4, 4, 2])


def images(batch=2, seed=0):
    return np.random.default_rng(seed).normal(size=[batch, 4, 4, 2]).astype(np.float32)


def built(seed=0):
    store = slim.VariableStore(seed=seed)
    store.build(small_net, IMAGES)
    return store
