"""A tiny network and its data, for tests of training and evaluation."""

import functools

import numpy as np
import tensorflow as tf

import slim

FEATURES, CLASSES = 4, 3


def network(images, is_training=True, keep=1.0):
    """Returns logits [batch, 3] of [batch, 4]."""
    with slim.variable_scope("tiny"):
        net = slim.fully_connected(
            images, 8, scope="hidden", weights_regularizer=slim.l2_regularizer(1e-3)
        )
        net = slim.batch_norm(net, is_training=is_training, decay=0.9, scope="norm")
        net = slim.dropout(net, keep, is_training=is_training, scope="dropout")
        return slim.fully_connected(net, CLASSES, activation_fn=None, scope="logits")


def loss_fn(images, labels, keep=1.0):
    """Returns the total loss and the metrics to log."""
    logits = network(images, keep=keep)
    slim.losses.sparse_softmax_cross_entropy(logits, labels)
    correct = tf.equal(tf.argmax(logits, -1), labels)
    return slim.losses.get_total_loss(), {"accuracy": tf.reduce_mean(tf.cast(correct, tf.float32))}


def loss_with_dropout(images, labels):
    """`loss_fn` with half of the hidden units dropped."""
    return loss_fn(images, labels, keep=0.5)


def arrays(number=64, seed=0):
    """Returns images and labels that are linearly separable."""
    random = np.random.RandomState(seed)
    images = random.standard_normal([number, FEATURES]).astype(np.float32)
    labels = np.argmax(images @ random.standard_normal([FEATURES, CLASSES]), -1)
    return images, labels.astype(np.int64)


def batches(size=16, number=64, repeat=True):
    """Returns a dataset that yields the same batches at each call."""
    dataset = tf.data.Dataset.from_tensor_slices(arrays(number))
    dataset = dataset.shuffle(number, seed=3) if repeat else dataset
    return (dataset.repeat() if repeat else dataset).batch(size)


def train_op(loss=loss_fn, rate=0.1, optimizer=None, **arguments):
    """Returns a training step of the network with its own store."""
    optimizer = optimizer or slim.optimizers.Momentum(learning_rate=rate)
    store = slim.VariableStore(seed=0)
    return slim.learning.create_train_op(loss, optimizer, store=store, **arguments)


def built_op(**arguments):
    """Returns a training step whose variables exist."""
    op = train_op(**arguments)
    op.build((tf.TensorSpec([None, FEATURES]), tf.TensorSpec([None], tf.int64)))
    return op


@functools.cache
def _shared(make):
    op = make()
    op.build((tf.TensorSpec([None, FEATURES]), tf.TensorSpec([None], tf.int64)))
    return op, values(op)


def shared_op(make=train_op):
    """Returns the training step of `make` with its initial values.

    It is created once per process, so that its traces, the slow part of most tests, are reused.
    """
    op, initial_values = _shared(make)
    for name, variable in op.store.named_variables.items():
        variable.assign(initial_values[name])
    return op


def run(op, batches, steps=1):
    """Runs steps one by one; returns the metrics as `op.run` does.

    `op.run(batches, steps)` compiles a loop, which traces the step twice.
    """
    iterator = iter(batches)
    metrics = [op.run(iterator) for _ in range(steps)]
    return {name: np.concatenate([each[name] for each in metrics]) for name in metrics[0]}


def values(op):
    """Returns the values of a step's variables by name."""
    return {name: variable.numpy() for name, variable in op.store.named_variables.items()}
