"""Scopes and variables of TensorFlow 1 and of slim nest in any order, in every mode."""

import pytest
import tensorflow as tf

import slim

v1 = tf.compat.v1


@pytest.fixture(params=["eager", "function", "graph"])
def names(request):
    """Returns a function that runs `build` in a mode and returns the names of its variables."""

    def run(build):
        if request.param == "graph":
            with tf.Graph().as_default():
                build()
                return [variable.op.name for variable in v1.global_variables()]
        store = slim.VariableStore()

        def one_pass():
            with store.as_default():
                build()

        for _ in range(2):
            (tf.function(one_pass) if request.param == "function" else one_pass)()
        return list(store.named_variables)

    return run


@pytest.fixture
def function():
    """Returns a decorator that runs a function at once, as a `tf.function` with a new store."""

    def run(build):
        store = slim.VariableStore()

        @tf.function
        def one_pass():
            with store.as_default():
                build()

        one_pass()
        return store

    return run


def dense(**options):
    return slim.fully_connected(
        tf.ones([1, 3]), 3, activation_fn=None, biases_initializer=None, **options
    )


def test_scopes_of_both_kinds_nest(names):
    def build():
        with v1.variable_scope("outer"):
            with slim.variable_scope("middle"):
                with v1.variable_scope("inner"):
                    dense(scope="fc")
                    v1.get_variable("own", [2])
                    assert v1.get_variable_scope().name == "outer/middle/inner"
                    assert slim.get_variable_scope().name == "outer/middle/inner"
                slim.model_variable("model", [2])
            dense(scope="fc")
        v1.get_variable("root", [2])

    assert names(build) == [
        "outer/middle/inner/fc/weights", "outer/middle/inner/own", "outer/middle/model",
        "outer/fc/weights", "root",
    ]  # fmt: skip


def test_automatic_names_start_over_in_each_scope(names):
    def custom():
        with v1.variable_scope(None, "custom"):
            dense()
            dense()
            v1.get_variable("own", [2])

    def build():
        for scope in ("a", "b"):
            with slim.variable_scope(scope):
                custom()
                custom()

    layer = ["fully_connected/weights", "fully_connected_1/weights", "own"]
    assert names(build) == [
        f"{scope}/{custom}/{name}"
        for scope in "ab"
        for custom in ("custom", "custom_1")
        for name in layer
    ]


def test_scopes_are_entered_again_by_either_kind(names):
    def build():
        with v1.variable_scope("first") as first:
            dense()
        with slim.variable_scope("second") as second:
            dense()
        with v1.variable_scope(second, reuse=True):
            dense()
        with slim.variable_scope(first, reuse=True):
            dense()
        with slim.variable_scope("other"), v1.variable_scope(first, reuse=True):
            dense()

    assert names(build) == ["first/fully_connected/weights", "second/fully_connected/weights"]


def test_get_variable_has_the_defaults_of_the_scope(names):
    penalties = []

    def build():
        with slim.variable_scope(
            "net", initializer=slim.ones_initializer(), regularizer=slim.l1_regularizer(1.0)
        ):
            with v1.variable_scope("inner"):
                weights = v1.get_variable("w", [3])
                counter = v1.get_variable(
                    "n", [], tf.int32, initializer=tf.zeros_initializer(), trainable=False,
                    regularizer=lambda _: None,
                )  # fmt: skip
            assert (weights.dtype.base_dtype, counter.dtype.base_dtype) == (tf.float32, tf.int32)
            assert [v is weights for v in slim.get_trainable_variables()] == [True]
            penalties.append(len(slim.losses.get_regularization_losses()))

    assert names(build) == ["net/inner/w", "net/inner/n"]
    assert set(penalties) == {1}


def test_activation_with_a_variable_of_its_own(names):
    def prelu(x):
        return tf.maximum(x, x * v1.get_variable("alpha", [3]))

    def build():
        with slim.arg_scope([slim.fully_connected], biases_initializer=None, activation_fn=prelu):
            slim.fully_connected(tf.ones([1, 3]), 3)

    assert names(build) == ["fully_connected/weights", "fully_connected/alpha"]


@pytest.mark.parametrize("reuse_by", ["scope", "argument"])
def test_reuse_in_scopes_of_tensorflow_1(function, reuse_by):
    def build():
        with v1.variable_scope("net"):
            first = dense(scope="fc"), v1.get_variable("own", [2])
        with v1.variable_scope("net", reuse=True if reuse_by == "argument" else None) as scope:
            if reuse_by == "scope":
                scope.reuse_variables()
            again = dense(scope="fc"), v1.get_variable("own", [2])
            with pytest.raises(
                ValueError, match="reuse=True, but there is no variable 'net/other'"
            ):
                v1.get_variable("other", [2])
        assert first[1] is again[1]

    assert list(function(build).named_variables) == ["net/fc/weights", "net/own"]


def test_second_request_without_reuse_is_an_error(function):
    def build():
        with slim.variable_scope("net"):
            v1.get_variable("own", [2])
            with pytest.raises(ValueError, match="'net/own' was already requested in this pass"):
                v1.get_variable("own", [2])
            slim.get_variable_scope().reuse_variables()
            v1.get_variable("own", [2])
        with v1.variable_scope("net"):
            with pytest.raises(ValueError, match="'net/own' was already requested in this pass"):
                slim.variable("own", [2])
            slim.get_variable_scope().reuse_variables()
            slim.variable("own", [2])

    function(build)


def test_eager_scopes_of_tensorflow_1_share():
    # TensorFlow itself sets AUTO_REUSE there.
    for _ in range(2):
        with v1.variable_scope("net"):
            dense(scope="fc")
    assert list(slim.current_store().named_variables) == ["net/fc/weights"]


@pytest.mark.parametrize(
    "option", [{"custom_getter": lambda getter, *a, **k: None}, {"partitioner": lambda **_: [1]}]
)
def test_options_without_a_meaning_for_a_store_are_refused(option):
    with (
        v1.variable_scope("net", **option),
        pytest.raises(ValueError, match=f"{next(iter(option))} works in a tf.Graph only, and has"),
    ):
        dense()
    with (
        slim.variable_scope("net"),
        pytest.raises(ValueError, match="variable: partitioner works in a tf.Graph only"),
    ):
        v1.get_variable("v", [2], partitioner=lambda **_: [1])


def test_store_starts_at_the_root_and_functions_continue():
    with v1.variable_scope("outer"), slim.variable_scope("ignored"):
        store = slim.VariableStore()
        with store.as_default():
            dense(scope="fc")
    assert list(store.named_variables) == ["fc/weights"]
    store = slim.VariableStore()
    with store.as_default(), slim.variable_scope("net", reuse=slim.AUTO_REUSE):

        @tf.function
        def inner():
            dense(scope="fc")
            with v1.variable_scope("inner"):
                dense(scope="fc")

        inner()
    assert list(store.named_variables) == ["net/fc/weights", "net/inner/fc/weights"]


def test_name_scopes_are_those_without_a_pass(names):
    """Scopes with one name, several and automatic ones open the name scopes of TensorFlow 1."""
    opened = []

    def build():
        opened.clear()
        with slim.variable_scope("a/b") as first, slim.variable_scope("c") as second:
            with slim.variable_scope(None, "d"):
                pass
            with slim.variable_scope(None, "d") as third:
                tensor = tf.identity(tf.ones([]), name="op")
        with slim.variable_scope(second) as again:
            pass
        opened.extend(s.original_name_scope for s in (first, second, third, again))
        if not tf.executing_eagerly():
            assert tensor.op.name == "a/b/c/d_1/op"

    names(build)
    expected = ["a/b/", "a/b/c/", "a/b/c/d_1/", "a/b/c/"]
    assert opened == expected or opened == [s.replace("_1", "") for s in expected]
