"""Learning rates against NumPy, TensorFlow 1's and Keras's own schedules, over 400 steps."""

import numpy as np
import pytest
import tensorflow as tf

from classifier.config.schedule import ScheduleOptions
from classifier.resolve.schedule import resolve_schedule
from classifier.training import optimizers
from slim import _checks

STEPS = 400
V1 = tf.compat.v1.train
PIECEWISE = {
    "learning_rate_decay_type": "piecewise",
    "piecewise_steps": (100, 250),
    "piecewise_rates": (0.02, 0.003),
}
ORACLES = {
    "fixed": ({"learning_rate_decay_type": "fixed"}, lambda step: tf.constant(0.1)),
    "exponential": (
        {"decay_steps": 30, "learning_rate_decay_factor": 0.8},
        lambda step: V1.exponential_decay(0.1, step, 30, 0.8, staircase=True),
    ),
    "polynomial": (
        {"learning_rate_decay_type": "polynomial", "decay_steps": 300},
        lambda step: V1.polynomial_decay(0.1, step, 300, 0.0001, power=1.0, cycle=False),
    ),
    "cosine": (
        {"learning_rate_decay_type": "cosine", "decay_steps": 300},
        lambda step: V1.cosine_decay(0.1, step, 300, alpha=0.0001 / 0.1),
    ),
    "piecewise": (
        PIECEWISE,
        lambda step: V1.piecewise_constant(step, [100, 250], [0.1, 0.02, 0.003]),
    ),
}


def in_function(schedule):
    steps = tf.range(STEPS, dtype=tf.int64)
    return tf.function(lambda: tf.map_fn(schedule, steps, tf.float32))().numpy()


def rates(**values):
    options = ScheduleOptions(learning_rate=0.1, **values)
    schedule = optimizers.make_learning_rate(resolve_schedule(options, 1000, 10, 1))
    values = in_function(schedule)
    for step in (0, 1, STEPS // 2):  # eagerly
        assert float(schedule(tf.constant(step, tf.int64))) == pytest.approx(values[step])
    return values


def tf1_rates(oracle):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.placeholder(tf.int64, [])
        rate = oracle(step)
        rate = rate() if callable(rate) else rate
        return np.array([session.run(rate, {step: number}) for number in range(STEPS)])


@pytest.mark.parametrize("name", ORACLES)
def test_400_steps_equal_tensorflow_1(name):
    values, oracle = ORACLES[name]
    expected = tf1_rates(oracle)
    np.testing.assert_allclose(rates(**values), expected, rtol=1e-5, atol=1e-8)
    line = np.minimum(0.1 * np.arange(STEPS) / 50, expected)
    warmed = rates(**values, warmup_steps=50)
    np.testing.assert_allclose(warmed, line, rtol=1e-5, atol=1e-8)
    assert warmed[0] == 0.0


def test_durations_in_epochs_equal_those_in_steps():
    # An epoch has 100 steps.
    cosine = {"learning_rate_decay_type": "cosine"}
    in_epochs = rates(**cosine, num_epochs_per_decay=3.0, warmup_epochs=0.5)
    assert (in_epochs == rates(**cosine, decay_steps=300, warmup_steps=50)).all()
    piecewise = PIECEWISE | {"piecewise_steps": (), "piecewise_epochs": (1.0, 2.5)}
    assert (rates(**piecewise) == rates(**PIECEWISE)).all()


@pytest.mark.parametrize("longer, lower", [(2.0, 0.7), (1.0, 1.0)])
def test_cosine_with_restarts_equals_keras(longer, lower):
    factors = {"restart_period_factor": longer, "restart_rate_factor": lower}
    ours = rates(learning_rate_decay_type="cosine_restarts", decay_steps=50, **factors)
    keras = tf.keras.optimizers.schedules.CosineDecayRestarts(0.1, 50, longer, lower, 0.001)
    np.testing.assert_array_equal(ours, in_function(keras))
    tops = [0, 50, 150, 350] if longer == 2 else np.arange(0, STEPS, 50)
    assert ours[tops] == pytest.approx(0.1 * lower ** np.arange(len(tops)), abs=1e-4)


@pytest.mark.parametrize("options, points", [
    ({}, [0.01, 0.1, 0.01, 0.0001]),
    ({"one_cycle_start_factor": 0.5, "end_learning_rate": 0.02}, [0.05, 0.1, 0.05, 0.02]),
    ({"one_cycle_peak": 0.2}, [0.01, 0.1, 0.01, 0.0001]),
])  # fmt: skip
def test_one_cycle_is_linear_between_its_points(options, points):
    ours = rates(learning_rate_decay_type="one_cycle", decay_steps=300, **options)
    rise = 300 * options.get("one_cycle_peak", 0.45)
    expected = np.interp(np.arange(STEPS), [0, rise, 2 * rise, 300], points)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.parametrize("values, text", [
    ({"one_cycle_peak": 0.5}, "one_cycle_peak=0.5 must be below 0.5"),
    ({"one_cycle_peak": 0.3}, "one_cycle_peak needs learning_rate_decay_type=one_cycle"),
    ({"restart_rate_factor": 0.5}, "restart_rate_factor needs learning_rate_decay_type=cosine_r"),
    ({"restart_period_factor": 0.5}, "restart_period_factor=0.5"),
])  # fmt: skip
def test_options_of_a_decay_are_checked(values, text):
    with pytest.raises(_checks.UserError, match=text):
        ScheduleOptions(**values)
