"""Moving averages of the weights, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks
from slim.moving_averages import MovingAverages, average_name


def store_with(decay):
    """Returns the averages of two model variables; a third variable is not in the model."""
    store = slim.VariableStore(seed=0)
    with store.as_default():
        slim.model_variable("net/weights", initializer=np.ones([2, 3], np.float32))
        slim.model_variable(
            "net/moving_mean", initializer=np.zeros([3], np.float32), trainable=False
        )
        slim.variable("counter", initializer=np.zeros([1], np.float32))
    averages = MovingAverages(decay, store)
    averages.build()
    return store, averages


def test_model_variables_have_averages_under_tf_slims_names():
    store, averages = store_with(0.9)
    added = [name for name in store.named_variables if name.endswith("ExponentialMovingAverage")]
    assert added == [
        "net/weights/ExponentialMovingAverage",
        "net/moving_mean/ExponentialMovingAverage",
    ]
    for name in added:
        record = store.records[name]
        assert (record.model, record.trainable, record.regularizer) == (False, False, None)
    averages.build()
    assert len(store.named_variables) == 5


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9999, 1.0])
@pytest.mark.parametrize("first", [0, 1000])
def test_50_updates_of_moving_averages_equal_numpy(decay, first):
    store, averages = store_with(decay)
    averages.reset()
    random = np.random.RandomState(0)
    expected = {
        n: store.named_variable(n).numpy().astype(np.float64)
        for n in ("net/weights", "net/moving_mean")
    }
    update = tf.function(averages.update)
    for step in range(first, first + 50):
        kept = min(decay, (1 + step) / (10 + step))
        for name, average in expected.items():
            value = random.standard_normal(average.shape).astype(np.float32)
            store.named_variable(name).assign(value)
            expected[name] = kept * average + (1 - kept) * value
        update(tf.constant(step, tf.int64))
    for name, average in expected.items():
        ours = store.named_variable(average_name(name)).numpy()
        np.testing.assert_allclose(ours, average, rtol=1e-5, atol=1e-6)


def test_moving_averages_equal_tensorflow_1s():
    store, averages = store_with(0.99)
    averages.reset()
    values = [np.full([2, 3], step**1.5, np.float32) for step in range(20)]
    for step, value in enumerate(values):
        store.named_variable("net/weights").assign(value)
        averages.update(tf.constant(step, tf.int64))
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variable = v1.get_variable("v", initializer=np.ones([2, 3], np.float32))
        number, value_holder = v1.placeholder(tf.int64, []), v1.placeholder(tf.float32, [2, 3])
        assign = variable.assign(value_holder)
        oracle = tf.train.ExponentialMovingAverage(0.99, number)
        update = oracle.apply([variable])
        session.run(v1.global_variables_initializer())
        for step, value in enumerate(values):
            session.run(assign, {value_holder: value})
            session.run(update, {number: step})
        expected = session.run(oracle.average(variable))
    ours = store.named_variable("net/weights/ExponentialMovingAverage")
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_decay_out_of_range_is_an_error(decay):
    with pytest.raises(
        _checks.UserError, match=f"moving_average_decay={decay} must lie between 0.0 and 1.0"
    ):
        MovingAverages(decay, slim.VariableStore(seed=0))
