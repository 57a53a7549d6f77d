import functools

import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import modes

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=[4, 3])
MASK = RANDOM.normal(size=[4, 3]) > 0


def network(x):
    for _ in range(2):
        with slim.variable_scope(None, "block"):
            x = slim.fully_connected(x, 3, activation_fn=tf.nn.tanh)
    return x, tf.reduce_sum(x**2)


def scoped(fn):
    """Returns `fn` in a variable scope of its own, which a graph needs for automatic names."""

    def run(*inputs):
        with slim.variable_scope("net"):
            return fn(*inputs)

    return run


OPTIONS = [
    {},
    {"use_data_dep": True},
    {"tupleize_grads": True},
    {"use_data_dep": True, "tupleize_grads": True},
]


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "plain")
def test_outputs_and_gradients_are_unchanged(mode, options):
    recomputed = (
        slim.recompute_grad(**options)(network) if options else slim.recompute_grad(network)
    )
    assert recomputed.__name__ == "network"
    names = [f"net/{scope}/fully_connected/weights" for scope in ("block", "block_1")]
    values = {name: RANDOM.normal(size=[3, 3]) for name in names}
    results = [
        modes.run(
            mode,
            lambda x, fn=fn: modes.gradients(scoped(fn), x, variables=True),
            X,
            values=values,
        )
        for fn in (network, recomputed)
    ]
    (plain, names), (gradients, names_again) = results
    assert list(names) == list(names_again)
    for gradient, expected in zip(gradients, plain, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-9)


@pytest.mark.parametrize("mode", modes.MODES)
def test_gradients_equal_differences_with_inputs_that_have_none(mode):
    @slim.recompute_grad
    def masked(x, mask):
        return tf.where(mask, tf.sin(x), x**2)

    gradient, _ = modes.run(
        mode, lambda x, m: modes.gradients(lambda t: masked(t, m), x)[0], X, MASK
    )
    numeric = modes.numeric_gradient(lambda x: np.where(MASK, np.sin(x), x**2), X)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("mode", modes.MODES)
def test_is_recomputing_is_false_then_true(mode):
    calls = []

    @slim.recompute_grad
    def layer(x, is_recomputing=False):
        calls.append(is_recomputing)
        return slim.fully_connected(x, 2)

    modes.run(mode, lambda x: modes.gradients(scoped(layer), x), X)
    # TensorFlow traces a function that creates variables twice.
    assert calls == [False, True] * (len(calls) // 2)


def test_a_tape_holds_no_inner_tensors():
    def held(fn):
        x = tf.zeros([1024, 1024])
        with tf.GradientTape() as tape:
            tape.watch(x)
            before = modes.resident_megabytes()
            y = fn(x)
            after = modes.resident_megabytes()
            assert tape.gradient(y, x).shape == x.shape
        return after - before

    def chain(x):
        for _ in range(32):
            x = tf.sin(x)
        return x

    plain, efficient = held(chain), held(slim.recompute_grad(chain))
    assert plain > 100
    assert efficient < plain / 3


def test_scopes_arguments_averages_and_dropout_are_those_of_the_first_run():
    store = slim.VariableStore(seed=0)

    def layer(x):
        x = slim.batch_norm(slim.fully_connected(x, 3), is_training=True, decay=0.5)
        return slim.dropout(x, 0.5)

    def step(fn):
        with store.as_default(seed=tf.constant([1, 2])), tf.GradientTape() as tape:
            x = tf.constant(X)
            tape.watch(x)
            with slim.variable_scope("net"):
                with slim.arg_scope([slim.fully_connected], activation_fn=tf.nn.tanh):
                    y = fn(x) + fn(x)  # automatic names: fully_connected, fully_connected_1
        variables = [v for v in store.named_variables.values() if v.trainable]
        return tape.gradient(y, [x, *variables])

    plain = step(layer)
    average = store.named_variables["net/BatchNorm/moving_mean"]
    once = average.numpy()
    recomputed = step(slim.recompute_grad(layer))
    assert len(plain) == 1 + 2 * 3
    for gradient, expected in zip(recomputed, plain, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-9)
    np.testing.assert_allclose(average, 1.5 * once, rtol=1e-6)


def test_a_graph_with_two_calls_in_one_scope_is_refused():
    layer = slim.recompute_grad(lambda x: slim.fully_connected(x, 3))
    with tf.Graph().as_default():
        x = tf.constant(X)
        with slim.variable_scope("net"):
            y = layer(x) + layer(x)
        with pytest.raises(ValueError, match="used other variables than at first. It was probably"):
            tf.gradients(y, x)


def test_variables_and_partial_functions_are_accepted():
    scaled = slim.recompute_grad(functools.partial(lambda factor, x: tf.sin(x) * factor, 2.0))
    variable = tf.Variable(X)
    with tf.GradientTape() as tape:
        y = scaled(variable)
    np.testing.assert_allclose(tape.gradient(y, variable), 2 * np.cos(X))


@pytest.mark.parametrize("captured", [tf.Tensor, tf.Variable])
def test_errors(captured):
    outer = tf.Variable(1.0) if captured is tf.Variable else tf.constant(1.0)
    with pytest.raises(ValueError, match="the recomputed function closes over outer, which would"):
        slim.recompute_grad(lambda x: x * outer)
    with pytest.raises(ValueError, match="all inputs of a recomputed function must be tensors"):
        slim.recompute_grad(tf.sin)(1.0)


def test_a_data_dependency_leaves_integers_alone():
    @slim.recompute_grad(use_data_dep=True)
    def rounded(x, n):
        return tf.cast(x, tf.int32) * n, x * tf.cast(n, x.dtype)

    with tf.GradientTape() as tape:
        x = tf.constant(2.5)
        tape.watch(x)
        whole, y = rounded(x, tf.constant(3))
    assert (int(whole), float(y), float(tape.gradient(y, x))) == (6, 7.5, 3.0)
