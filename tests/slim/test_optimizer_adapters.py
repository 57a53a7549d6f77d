"""Optimizers of Keras and TensorFlow 1 with a loss function, against slim's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, checkpoints, learning
from tests.slim import tiny

v1 = tf.compat.v1.train
own = slim.optimizers


def train(optimizer, logdir=None, steps=3, **arguments):
    """Returns the last loss and the values of the variables."""
    op = tiny.train_op(optimizer=optimizer, **arguments)
    loss = learning.train(
        op, logdir and str(logdir), tiny.batches(), number_of_steps=steps, log_every_n_steps=0
    )
    return loss, tiny.values(op)


@pytest.mark.parametrize(
    "other, same",
    [
        (v1.GradientDescentOptimizer(0.1), own.GradientDescent(0.1)),
        (v1.MomentumOptimizer(0.1, 0.9), own.Momentum(0.1, momentum=0.9)),
        (v1.AdamOptimizer(0.1), own.Adam(0.1)),
        (v1.RMSPropOptimizer(0.1), own.RMSProp(0.1, decay=0.9, momentum=0.0, epsilon=1e-10)),
        (v1.FtrlOptimizer(0.1), own.Ftrl(0.1)),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_tensorflow_1_optimizers_equal_slims_with_the_same_slots(other, same):
    loss, values = train(other)
    expected_loss, expected = train(same)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert set(values) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "other, same, slot",
    [
        (keras.optimizers.SGD(0.1), own.GradientDescent(0.1), "sgd/iteration"),
        (
            keras.optimizers.SGD(0.1, momentum=0.9),
            own.Momentum(0.1, momentum=0.9),
            "tiny/hidden/weights/sgd/momentum",
        ),
        (
            keras.optimizers.Adam(0.1, epsilon=1e-8),
            own.Adam(0.1, epsilon=1e-8),
            "tiny/logits/biases/adam/velocity",
        ),
    ],
)
def test_keras_optimizers_equal_slims(other, same, slot):
    loss, values = train(other)
    expected, _ = train(same)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert slot in values
    assert not any("learning_rate" in name for name in values)


@pytest.mark.parametrize(
    "make",
    [
        lambda: v1.AdamOptimizer(0.1),
        lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
    ],
    ids=["v1", "keras"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(make, tmp_path):
    for steps in (2, 4):
        resumed = train(make(), tmp_path, steps)
    loss, values = train(make(), None, 4)
    assert resumed[0] == loss
    for name, value in values.items():
        np.testing.assert_array_equal(resumed[1][name], value, err_msg=name)
    saved = checkpoints.read(checkpoints.find(tmp_path)).variables()
    assert set(saved) == set(values)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"learning_rate_multipliers": {"tiny/logits/weights": 2.0}},
            "optimizer is a keras.*SGD, but learning_rate_multipliers needs one of slim.optimizers",
        ),
        ({"loss_scale": object()}, "but loss_scale needs one of slim.optimizers, such as"),
    ],
)
def test_arguments_that_only_slims_optimizers_support(arguments, message):
    with pytest.raises(_checks.UserError, match=message):
        tiny.train_op(optimizer=keras.optimizers.SGD(0.1), **arguments)


def test_several_replicas_need_slims_optimizers(mirrored):
    with pytest.raises(_checks.UserError, match="but a strategy of several replicas needs one of"):
        tiny.train_op(optimizer=v1.GradientDescentOptimizer(0.1), strategy=mirrored)
