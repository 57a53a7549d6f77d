import math

import numpy as np
import pytest
import tensorflow as tf

import slim

# Kernels [..., in, out] with their fan in and fan out.
FANS = [
    ((40, 60), 40, 60),
    ((3, 3, 8, 24), 72, 216),
    ((5, 10, 20), 50, 100),
    ((2, 3, 4, 5, 6), 120, 144),
    ((700,), 700, 700),
]
SPREAD = [((400, 300), 400, 300), ((3, 3, 64, 128), 576, 1152)]


@pytest.mark.parametrize("shape, fan_in, fan_out", FANS)
def test_xavier_samples_fill_their_uniform_bounds(shape, fan_in, fan_out):
    values = slim.xavier_initializer(seed=1)(shape).numpy()
    limit = math.sqrt(6 / (fan_in + fan_out))
    assert values.shape == shape
    assert 0.97 * limit < values.max() <= limit
    assert -limit <= values.min() < -0.97 * limit


@pytest.mark.parametrize("shape, fan_in, fan_out", SPREAD)
@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("mode", ["FAN_IN", "FAN_OUT", "FAN_AVG"])
@pytest.mark.parametrize("uniform", [False, True])
def test_variance_scaling_samples_have_the_expected_variance(
    shape, fan_in, fan_out, factor, mode, uniform
):
    n = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "FAN_AVG": (fan_in + fan_out) / 2}[mode]
    initializer = slim.variance_scaling_initializer(factor, mode, uniform, seed=2)
    values = initializer(shape).numpy()
    # TF-Slim uses 1.3 instead of 1 / 0.87962566 ** 2 = 1.2924: 0.6 % more.
    assert np.var(values) == pytest.approx(factor / n, rel=0.03)
    assert np.mean(values) == pytest.approx(0, abs=0.02 * math.sqrt(factor / n))
    bound = math.sqrt(3 * factor / n) if uniform else 2 * math.sqrt(1.3 * factor / n)
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > 0.99 * bound


def test_normal_xavier_equals_variance_scaling_by_the_mean_fan():
    xavier = slim.xavier_initializer(uniform=False, seed=3)([30, 20])
    expected = slim.variance_scaling_initializer(1.0, "FAN_AVG", uniform=False, seed=3)([30, 20])
    np.testing.assert_array_equal(xavier, expected)
    assert slim.xavier_initializer_conv2d is slim.xavier_initializer


def test_variance_scaling_defaults_are_those_of_he():
    values = slim.variance_scaling_initializer(seed=4)([500, 200]).numpy()
    assert np.var(values) == pytest.approx(2 / 500, rel=0.03)
    assert np.abs(values).max() <= 2 * math.sqrt(1.3 * 2 / 500)


def test_fans_of_a_scalar_are_one():
    values = [float(slim.xavier_initializer(seed=seed)([])) for seed in range(200)]
    assert 1.6 < max(values) <= math.sqrt(3)


def test_unknown_mode_is_an_error():
    with pytest.raises(TypeError, match="mode='FAN' is not known. Known: FAN_IN, FAN_OUT, FAN_AVG"):
        slim.variance_scaling_initializer(mode="FAN")


def test_integer_types_are_errors():
    message = "Cannot create initializer for non-floating point type. Got int32"
    with pytest.raises(TypeError, match=message):
        slim.xavier_initializer(dtype=tf.int32)
    with pytest.raises(TypeError, match=message):
        slim.variance_scaling_initializer()([2, 2], dtype=tf.int32)


@pytest.mark.parametrize(
    "make",
    [
        slim.truncated_normal_initializer,
        slim.random_normal_initializer,
        slim.random_uniform_initializer,
        slim.xavier_initializer,
        slim.variance_scaling_initializer,
        slim.zeros_initializer,
        slim.ones_initializer,
        slim.constant_initializer,
    ],
)
def test_default_type_of_the_values(make):
    assert make(dtype=tf.float64)([2, 2]).dtype == tf.float64
    assert make(dtype=tf.float64)([2, 2], tf.float16).dtype == tf.float16


def test_constant_initializer_accepts_values_of_the_shape():
    values = slim.constant_initializer([[1, 2], [3, 4]])([4])
    np.testing.assert_array_equal(values, [1, 2, 3, 4])


@pytest.mark.parametrize("seed", [None, 3])
def test_values_in_a_graph_are_those_of_tensorflow_1(seed):
    v1 = tf.compat.v1
    pairs = [
        (slim.xavier_initializer(seed=seed), v1.glorot_uniform_initializer(seed)),
        *(
            (getattr(slim, name)(-1.0, 2.0, seed), getattr(v1, name)(-1.0, 2.0, seed))
            for name in (
                "random_uniform_initializer", "random_normal_initializer",
                "truncated_normal_initializer",
            )
        ),
    ]  # fmt: skip
    values = []
    for initializer in [initializer for pair in pairs for initializer in pair]:
        with tf.Graph().as_default(), v1.Session() as session:
            v1.set_random_seed(1)
            values.append(session.run(initializer([4, 3], dtype=tf.float32)))
    for ours, expected in zip(values[::2], values[1::2], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_truncated_normal_stays_within_two_standard_deviations():
    values = slim.truncated_normal_initializer(mean=5.0, stddev=2.0, seed=1)([20000]).numpy()
    assert 1.0 <= values.min() < 1.05
    assert 8.95 < values.max() <= 9.0
    assert values.mean() == pytest.approx(5.0, abs=0.05)
    assert values.std() == pytest.approx(2.0 * 0.87962566, rel=0.02)


def test_normal_exceeds_two_standard_deviations():
    values = slim.random_normal_initializer(mean=-1.0, stddev=3.0, seed=1)([20000]).numpy()
    assert values.mean() == pytest.approx(-1.0, abs=0.1)
    assert values.std() == pytest.approx(3.0, rel=0.02)
    assert np.abs(values + 1.0).max() > 9.0


def test_uniform_samples_fill_their_interval():
    values = slim.random_uniform_initializer(-1.0, 3.0, seed=1)([20000]).numpy()
    assert -1.0 <= values.min() < -0.99
    assert 2.99 < values.max() < 3.0
    assert values.mean() == pytest.approx(1.0, abs=0.05)
    default = slim.random_uniform_initializer(seed=1)([2000]).numpy()
    assert 0.049 < np.abs(default).max() <= 0.05


@pytest.mark.parametrize("dtype", [tf.float16, tf.float32, tf.float64, tf.int32])
def test_constant_initializers_return_their_value(dtype):
    for initializer, value in [
        (slim.zeros_initializer(), 0),
        (slim.ones_initializer(), 1),
        (slim.constant_initializer(3), 3),
        (slim.constant_initializer(), 0),
    ]:
        values = initializer([2, 3], dtype)
        assert values.dtype == dtype
        np.testing.assert_array_equal(values, np.full([2, 3], value))


@pytest.mark.parametrize(
    "make",
    [
        slim.truncated_normal_initializer,
        slim.random_normal_initializer,
        slim.random_uniform_initializer,
        slim.variance_scaling_initializer,
        slim.xavier_initializer,
    ],
)
def test_equal_seeds_give_equal_values(make):
    seeded = [make(seed=seed)([5, 5]).numpy().tolist() for seed in (1, 1, 2)]
    assert seeded[0] == seeded[1] != seeded[2]
    assert make()([5, 5]).numpy().tolist() != make()([5, 5]).numpy().tolist()
    assert make(seed=1)([5, 5], dtype=tf.float64).dtype == tf.float64
    # Within a store the seed is the name of the variable unless the initializer has its own.
    with slim.VariableStore(seed=7).as_default():
        a, b = (slim.variable(name, [5, 5], initializer=make()).numpy().tolist() for name in "ab")
        c, d = (slim.variable(name, [5, 5], initializer=make(seed=1)).numpy().tolist()
                for name in "cd")  # fmt: skip
    with slim.VariableStore(seed=7).as_default():
        assert slim.variable("a", [5, 5], initializer=make()).numpy().tolist() == a
    assert a != b
    assert c == d == seeded[0]


def test_keras_initializers_are_accepted():
    with slim.VariableStore().as_default():
        ones = slim.variable("v", [2, 3], initializer=tf.keras.initializers.Ones())
        identity = slim.variable("w", [2, 2], initializer=tf.keras.initializers.Identity())
    np.testing.assert_array_equal(ones, np.ones([2, 3]))
    np.testing.assert_array_equal(identity, np.eye(2))


def test_seed_of_a_variable_is_reset_after_an_error():
    def fails(shape, dtype):
        raise RuntimeError("inside")

    with slim.VariableStore(seed=1).as_default(), pytest.raises(RuntimeError, match="inside"):
        slim.variable("v", [2], initializer=fails)
    make = slim.random_normal_initializer()
    assert make([3]).numpy().tolist() != make([3]).numpy().tolist()


def test_nested_initializer_uses_the_outer_seed():
    def makes_another(shape, dtype):
        slim.variable("inner", [3], initializer=slim.random_normal_initializer())
        return slim.random_normal_initializer()(shape, dtype)

    def value():
        with slim.VariableStore(seed=1).as_default():
            return slim.variable("v", [3], initializer=makes_another).numpy().tolist()

    assert value() == value()
