import numpy as np
import pytest
import tensorflow as tf

import slim

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=[4, 5]).astype(np.float32)
SOME = slim.random_normal_initializer()


def variable(name):
    return slim.get_unique_variable(name).numpy()


@pytest.mark.parametrize("shape", [[4, 5], [2, 3, 5], [2, 2, 3, 5]])
def test_fully_connected_equals_numpy(shape):
    x = RANDOM.normal(size=shape).astype(np.float32)
    outputs = slim.fully_connected(x, 7, biases_initializer=SOME)
    weights, biases = variable("fully_connected/weights"), variable("fully_connected/biases")
    assert (weights.shape, biases.shape) == ((5, 7), (7,))
    np.testing.assert_allclose(outputs, np.maximum(x @ weights + biases, 0), rtol=1e-4, atol=1e-5)


def test_fully_connected_with_a_normalizer_has_no_biases():
    slim.fully_connected(X, 7, normalizer_fn=slim.batch_norm, scope="fc")
    assert list(slim.current_store().named_variables) == [
        "fc/weights", "fc/BatchNorm/beta", "fc/BatchNorm/moving_mean",
        "fc/BatchNorm/moving_variance",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "layer, activation",
    [
        (slim.relu, tf.nn.relu),
        (slim.relu6, tf.nn.relu6),
        (slim.elu, tf.nn.elu),
        (slim.linear, None),
    ],
)
def test_aliases_of_fully_connected_have_their_activations(layer, activation):
    big = 100 * X
    outputs = layer(big, 7, scope="fc")
    linear = slim.fully_connected(big, 7, activation_fn=None, scope="fc", reuse=True)
    assert np.min(linear) < 0
    assert np.max(linear) > 6
    np.testing.assert_allclose(outputs, activation(linear) if activation else linear, rtol=1e-6)


def test_arg_scope_reaches_the_aliases():
    with slim.arg_scope([slim.fully_connected], biases_initializer=None):
        slim.linear(X, 7, scope="fc")
    assert list(slim.current_store().named_variables) == ["fc/weights"]


@pytest.mark.parametrize("bad", [7.0, "7", None, True])
def test_invalid_number_of_units_is_an_error(bad):
    with pytest.raises(ValueError, match=f"num_outputs={bad!r} must be an integer"):
        slim.fully_connected(X, bad)


def test_fully_connected_needs_inputs_of_known_rank_and_depth():
    with pytest.raises(ValueError, match=r"shape \(5,\), but a rank of 2 or more is needed"):
        slim.fully_connected(X[0], 7)
    for shape, message in [(None, "a rank of 2 or more"), ([4, None], "must have a known size")]:
        with pytest.raises(ValueError, match=message):
            slim.VariableStore().build(lambda x: slim.fully_connected(x, 7), tf.TensorSpec(shape))


@pytest.mark.parametrize("shape", [[4, 5], [2, 3, 5], [2, 2, 3, 5]])
def test_bias_add_adds_to_the_last_axis(shape):
    x = RANDOM.normal(size=shape).astype(np.float32)
    outputs = slim.bias_add(x, tf.nn.relu, SOME)
    expected = np.maximum(x + variable("BiasAdd/biases"), 0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_bias_add_with_channels_first():
    x = RANDOM.normal(size=[2, 3, 4, 5]).astype(np.float32)
    penalty = slim.l1_regularizer(1.0)
    with slim.VariableStore().as_default():
        outputs = slim.bias_add(x, initializer=SOME, regularizer=penalty, data_format="NCHW")
        biases = variable("BiasAdd/biases")
        assert biases.shape == (3,)
        np.testing.assert_allclose(outputs, x + biases[:, None, None], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(slim.losses.get_total_loss(), np.abs(biases).sum(), rtol=1e-6)


def test_bias_add_rejects_other_formats_and_ranks():
    with pytest.raises(ValueError, match="data_format has to be either NCHW or NHWC, not 'NCW'"):
        slim.bias_add(X, data_format="NCW")
    with pytest.raises(ValueError, match="BiasAdd of NCHW expects input with rank 4, got 2"):
        slim.bias_add(X, data_format="NCHW")


ONES = np.ones([100, 200], np.float32)


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", [None, [3, 4]])
def test_dropout_keeps_a_fraction_and_scales_it(keep, seed):
    with slim.VariableStore().as_default(seed=None if seed is None else tf.constant(seed)):
        outputs = slim.dropout(ONES, keep).numpy()
    assert set(np.unique(outputs)) == {np.float32(0), np.float32(1 / keep)}
    deviation = np.sqrt(keep * (1 - keep) / outputs.size)
    assert np.mean(outputs > 0) == pytest.approx(keep, abs=5 * deviation)


def test_dropout_is_the_identity_in_inference_and_for_keep_prob_1():
    np.testing.assert_array_equal(slim.dropout(X, 1.0), X)
    np.testing.assert_array_equal(slim.dropout(X, 0.1, is_training=False), X)
    np.testing.assert_array_equal(slim.dropout(X, 0.1, is_training=tf.constant(False)), X)


def test_dropout_accepts_is_training_as_a_tensor():
    @tf.function(autograph=False)
    def drop(x, is_training, keep):
        return slim.dropout(x, keep, is_training=is_training)

    half = tf.constant(0.5)
    np.testing.assert_array_equal(drop(ONES, tf.constant(False), half), ONES)
    assert set(np.unique(drop(ONES, tf.constant(True), half))) == {0, 2}
    training = tf.Variable(True)
    assert set(np.unique(drop(ONES, training, half))) == {0, 2}


def test_dropout_is_a_function_of_the_seed_of_the_pass_and_the_name():
    def dropped(seed, name, before=0):
        with slim.VariableStore().as_default(seed=tf.constant(seed)):
            for _ in range(before):
                slim.dropout(ONES)  # other layers draw for themselves
            return slim.dropout(ONES, scope=name).numpy()

    first = dropped([1, 2], "a")
    np.testing.assert_array_equal(first, dropped([1, 2], "a", before=2))
    for other in (dropped([1, 3], "a"), dropped([2, 2], "a"), dropped([1, 2], "b")):
        assert 0.4 < np.mean(first != other) < 0.6


def test_dropout_twice_under_one_name_draws_twice():
    with slim.VariableStore().as_default(seed=tf.constant([1, 2])):
        first, second = (slim.dropout(ONES, scope="same").numpy() for _ in range(2))
    assert 0.4 < np.mean(first != second) < 0.6


def test_a_traced_dropout_follows_its_seed():
    store = slim.VariableStore()

    @tf.function(autograph=False)
    def step(seed):
        with store.as_default(seed=seed):
            return slim.dropout(ONES, scope="a")

    seeds = [tf.constant([0, step]) for step in (1, 1, 2)]
    first, same, other = (step(seed).numpy() for seed in seeds)
    np.testing.assert_array_equal(first, same)
    assert 0.4 < np.mean(first != other) < 0.6
    with store.as_default(seed=seeds[0]):
        np.testing.assert_array_equal(slim.dropout(ONES, scope="a"), first)


def test_dropout_with_an_explicit_seed_is_the_same_in_each_step():
    np.testing.assert_array_equal(slim.dropout(ONES, seed=1), slim.dropout(ONES, seed=1))
    assert np.any(slim.dropout(ONES, seed=1) != slim.dropout(ONES, seed=2))
    assert np.any(slim.dropout(ONES) != slim.dropout(ONES))


@pytest.mark.parametrize("seed", [None, 1])
def test_noise_shape_broadcasts_the_dropout(seed):
    outputs = slim.dropout(tf.ones([50, 8, 3]), noise_shape=[50, 1, 3], seed=seed).numpy()
    np.testing.assert_array_equal(outputs, np.broadcast_to(outputs[:, :1], outputs.shape))
    assert set(np.unique(outputs)) == {0, 2}


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.1, float("nan")])
def test_keep_prob_out_of_range_is_an_error(keep):
    with pytest.raises(
        ValueError, match=rf"keep_prob={keep} must lie in \(0, 1\], the fraction to k"
    ):
        slim.dropout(X, keep)


def test_dropout_keeps_the_dtype_and_passes_gradients():
    assert slim.dropout(X.astype(np.float16), seed=1).dtype == tf.float16
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = slim.dropout(x, 0.5, seed=1)
    np.testing.assert_allclose(tape.gradient(outputs, x), np.where(outputs == 0, 0.0, 2.0))
