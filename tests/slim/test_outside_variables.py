"""Variables outside the store, a `tf.Variable` or a Keras layer's, are trained, saved, restored."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, checkpoints, evaluation, learning
from tests.slim import tiny


class Parts:
    """A Keras layer with batch norm, and a factor used only inside a branch."""

    def __init__(self):
        self.dense = keras.layers.Dense(tiny.CLASSES, name="outside_dense")
        self.norm = keras.layers.BatchNormalization(name="outside_norm")
        self.factor = tf.Variable(1.0, name="factor")

    def network(self, images, training=True):
        images = tf.cond(tf.size(images) > 0, lambda: images * self.factor, lambda: images)
        return self.norm(self.dense(images), training=training)

    def loss(self, images, labels):
        slim.losses.sparse_softmax_cross_entropy(self.network(images), labels)
        return slim.losses.get_total_loss()


def train(loss, logdir=None, steps=4, **arguments):
    op = learning.create_train_op(
        loss, slim.optimizers.Momentum(0.1), store=slim.VariableStore(seed=0), **arguments
    )
    quiet = {"log_every_n_steps": 0, "save_summaries_secs": 0}
    learning.train(op, logdir and str(logdir), tiny.batches(), number_of_steps=steps, **quiet)
    return op


def test_they_are_trained_and_keep_their_names():
    parts = Parts()
    op = train(parts.loss, moving_average_decay=0.9)
    assert set(op.variables_to_train) == {
        "factor", "outside_dense/kernel", "outside_dense/bias", "outside_norm/gamma",
        "outside_norm/beta",
    }  # fmt: skip
    assert op.store.named_variable("outside_dense/kernel") is parts.dense.kernel.value
    assert float(parts.factor) != 1.0
    assert np.abs(parts.norm.moving_mean.numpy()).max() > 0
    assert "outside_norm/moving_mean/ExponentialMovingAverage" in op.store.named_variables


def test_they_are_saved_restored_and_evaluated(tmp_path):
    first = Parts()
    train(first.loss, tmp_path)
    second = Parts()
    train(second.loss, tmp_path)  # nothing is left to do but restoring
    np.testing.assert_array_equal(second.dense.kernel.numpy(), first.dense.kernel.numpy())
    np.testing.assert_array_equal(second.norm.moving_mean.numpy(), first.norm.moving_mean.numpy())
    saved = checkpoints.read(checkpoints.find(tmp_path)).variables()
    assert {"factor", "outside_norm/moving_variance", "outside_dense/bias/Momentum"} <= set(saved)
    third = Parts()
    evaluation.evaluate_once(
        str(tmp_path),
        None,
        tiny.batches(repeat=False),
        lambda images, labels: {"accuracy": (tf.argmax(third.network(images, False), -1), labels)},
        {"accuracy": slim.metrics.Accuracy},
    )
    assert float(third.factor) == float(first.factor)


def test_variables_to_train_may_be_variables():
    parts = Parts()
    chosen = [parts.factor, parts.dense.kernel] if parts.dense.built else None
    parts.network(tf.zeros([1, tiny.FEATURES]))
    chosen = [parts.factor, parts.dense.kernel, "outside_norm/beta"]
    op = train(parts.loss, variables_to_train=chosen)
    assert list(op.variables_to_train) == ["factor", "outside_dense/kernel", "outside_norm/beta"]
    other = tf.Variable(1.0, name="other")
    with pytest.raises(_checks.UserError, match="variables_to_train: 'other:0' is not a trainable"):
        train(parts.loss, variables_to_train=[other])


@pytest.mark.parametrize(
    "make", [lambda: tf.Variable(1.0, name="new"), lambda: keras.layers.Dense(1)(tf.ones([1, 1]))]
)
def test_a_variable_created_by_each_call_is_an_error(make):
    def loss(images, labels):
        return Parts.loss(parts, images, labels) + tf.reduce_sum(make())

    parts = Parts()
    with pytest.raises(_checks.UserError, match="created or first used the variable '(new|dense)"):
        train(loss)


def test_two_variables_of_one_name_are_an_error():
    one, two = (tf.Variable(1.0, name="same") for _ in range(2))
    with pytest.raises(_checks.UserError, match="two variables are called 'same', which a"):
        train(lambda images, labels: one * two)


def test_several_replicas_are_an_error(mirrored):
    with mirrored.scope():
        factor = tf.Variable(1.0, name="factor")

    def loss(images, labels):
        return tiny.loss_fn(images, labels)[0] * factor

    with pytest.raises(_checks.UserError, match="'factor' is not in the store, which 2 replicas"):
        train(loss, strategy=mirrored)
