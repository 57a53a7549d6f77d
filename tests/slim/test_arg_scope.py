import inspect
import re
import threading

import pytest
import tensorflow as tf

import slim


@slim.add_arg_scope
def first(x, a=1, b=2, *, only=3):
    """First's own docstring."""
    unit = x  # a local variable, which is no argument
    return unit, a, b, only


@slim.add_arg_scope
def second(x, b=20, c=30):
    return x, b, c


@slim.add_arg_scope
def takes_any(x, a=1, **kwargs):
    return x, a, kwargs


def undecorated(x, a=1):
    return x, a


def test_a_scope_sets_defaults_inside_and_not_after():
    with slim.arg_scope([first], a=10, only=30):
        assert first(0) == (0, 10, 2, 30)
    assert first(0) == (0, 1, 2, 3)


def test_an_explicit_argument_wins():
    with slim.arg_scope([first], a=10, b=11):
        assert first(0, a=5) == (0, 5, 11, 3)
        assert first(0, 5) == (0, 5, 11, 3)  # also by position
        assert first(0, 5, 6) == (0, 5, 6, 3)
        assert first(0, a=None) == (0, None, 11, 3)


def test_scopes_nest_and_the_inner_wins():
    with slim.arg_scope([first], a=10, b=11):
        with slim.arg_scope([first], b=12):
            assert first(0) == (0, 10, 12, 3)
            with slim.arg_scope([second], b=99):
                assert first(0) == (0, 10, 12, 3)
                assert second(0) == (0, 99, 30)
        assert first(0) == (0, 10, 11, 3)


def test_a_keyword_applies_to_the_listed_functions_that_accept_it():
    with slim.arg_scope([first, second], a="a", b="b", c="c"):
        assert first(0) == (0, "a", "b", 3)
        assert second(0) == (0, "b", "c")


def test_a_tuple_of_functions_and_no_keywords_are_accepted():
    with slim.arg_scope((first,)) as scope:
        assert first(0) == (0, 1, 2, 3)
    assert scope[slim.arg_scope_func_key(first)] == {}


def test_a_reopened_scope_replaces_the_current_one():
    with slim.arg_scope([first], a=10), slim.arg_scope([second], c=33) as saved:
        pass
    assert first(0) == (0, 1, 2, 3)
    with slim.arg_scope([first], b=77):
        with slim.arg_scope(saved):
            assert first(0) == (0, 10, 2, 3)
            assert second(0) == (0, 20, 33)
        assert first(0) == (0, 1, 77, 3)


def test_a_saved_scope_is_not_changed_by_nested_scopes():
    with slim.arg_scope([first], a=10) as saved:
        with slim.arg_scope([first], a=20):
            pass
    with slim.arg_scope(saved), slim.arg_scope([first], b=1):
        pass
    with slim.arg_scope(saved):
        assert first(0) == (0, 10, 2, 3)


def test_the_scope_is_closed_by_an_error():
    with pytest.raises(RuntimeError, match="inside"), slim.arg_scope([first], a=10):
        raise RuntimeError("inside")
    assert first(0) == (0, 1, 2, 3)


def test_a_function_with_kwargs_gets_all_keywords():
    with slim.arg_scope([takes_any], a=2, other=3):
        assert takes_any(0) == (0, 2, {"other": 3})
        assert takes_any(0, other=4, more=5) == (0, 2, {"other": 4, "more": 5})
    with slim.arg_scope([takes_any, second], c=7):
        assert takes_any(0) == (0, 1, {"c": 7})
        assert second(0) == (0, 20, 7)


def test_a_decorated_function_keeps_its_name_docstring_and_signature():
    assert first.__doc__ == "First's own docstring."
    assert first.__name__ == "first"
    assert list(inspect.signature(first).parameters) == ["x", "a", "b", "only"]
    assert slim.has_arg_scope(first)
    assert not slim.has_arg_scope(undecorated)


def test_current_arg_scope_returns_the_current_defaults():
    assert not slim.current_arg_scope()
    with slim.arg_scope([first], a=10) as scope:
        assert slim.current_arg_scope() is scope
        assert scope == {slim.arg_scope_func_key(first): {"a": 10}}
    assert not slim.current_arg_scope()


def test_functions_of_one_name_have_different_keys():
    layers = [first, second, takes_any, slim.conv1d, slim.conv2d, slim.conv3d, slim.convolution]
    assert len({slim.arg_scope_func_key(layer) for layer in layers}) == len(layers)
    assert slim.arg_scope_func_key(undecorated) == str(undecorated)


def test_a_scope_does_not_reach_another_function_of_the_same_name():
    def cell():
        @slim.add_arg_scope
        def block(rate=1):
            return rate

        return block

    one, other = cell(), cell()
    with slim.arg_scope([one], rate=2):
        assert (one(), other()) == (2, 1)
    with slim.arg_scope([slim.add_arg_scope(one)], rate=3):  # decorated twice, the same function
        assert one() == 3


@pytest.mark.parametrize(
    "wrong, accepted",
    [
        ("aa", "none of the functions accepts 'aa'; did you mean 'a'? Accepted: a, b, c, only, x"),
        ("stride", "none of the functions accepts 'stride'. Accepted: a, b, c, only, x"),
    ],
)
def test_an_unknown_keyword_is_an_error_that_lists_the_arguments(wrong, accepted):
    with pytest.raises(TypeError, match=re.escape(accepted)):
        with slim.arg_scope([first, second], a=1, **{wrong: 1}):
            pass
    assert first(0) == (0, 1, 2, 3)


def test_a_scope_sets_arguments_without_a_default():
    with slim.arg_scope([slim.conv2d], kernel_size=[3, 3], num_outputs=4):
        assert slim.conv2d(tf.ones([1, 8, 8, 2]), padding="VALID").shape == (1, 6, 6, 4)
        assert slim.conv2d(tf.ones([1, 8, 8, 2]), 5, 1, scope="b").shape == (1, 8, 8, 5)


def test_a_misspelt_argument_of_a_layer_is_an_error():
    with pytest.raises(TypeError, match="accepts 'weight_regularizer'; did you mean 'weights_reg"):
        with slim.arg_scope([slim.conv2d, slim.fully_connected], weight_regularizer=None):
            pass


def test_a_function_without_the_decorator_is_an_error():
    with pytest.raises(ValueError, match="undecorated.* is not decorated with @slim.add_arg_scope"):
        with slim.arg_scope([undecorated], a=1):
            pass
    with pytest.raises(ValueError, match="is not decorated with @slim.add_arg_scope"):
        slim.arg_scoped_arguments(undecorated)


def test_a_reopened_scope_accepts_no_keywords():
    with slim.arg_scope([first], a=1) as saved:
        pass
    with pytest.raises(ValueError, match="a saved scope accepts no keywords, but got a, b; open"):
        with slim.arg_scope(saved, a=1, b=2):
            pass


@pytest.mark.parametrize("neither", [first, "conv2d", None])
def test_values_other_than_functions_or_a_scope_are_errors(neither):
    with pytest.raises(TypeError, match="expects a list of functions or a saved scope, not"):
        with slim.arg_scope(neither, a=1):
            pass


def test_arg_scoped_arguments_of_custom_functions():
    assert slim.arg_scoped_arguments(first) == ("a", "b", "only")
    assert slim.arg_scoped_arguments(takes_any) == ("a",)


LAYERS = [
    slim.avg_pool2d, slim.avg_pool3d, slim.batch_norm, slim.bias_add, slim.conv1d, slim.conv2d,
    slim.conv2d_in_plane, slim.conv2d_transpose, slim.conv3d, slim.conv3d_transpose,
    slim.convolution, slim.dropout, slim.flatten, slim.fully_connected, slim.group_norm,
    slim.instance_norm, slim.layer_norm, slim.max_pool2d, slim.max_pool3d, slim.maxout,
    slim.one_hot_encoding, slim.pool, slim.separable_conv2d, slim.softmax, slim.unit_norm,
    slim.model_variable, slim.variable,
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_arg_scoped_arguments_of_layers_are_their_parameters_with_a_default(layer):
    parameters = inspect.signature(layer).parameters.values()
    expected = [p.name for p in parameters if p.default is not inspect.Parameter.empty]
    assert slim.arg_scoped_arguments(layer) == tuple(expected)
    assert "inputs" not in expected


def test_arg_scoped_arguments_of_avg_pool2d_are_complete():
    assert slim.arg_scoped_arguments(slim.max_pool2d) == (
        "stride", "padding", "data_format", "outputs_collections", "scope",
    )  # fmt: skip


def test_only_the_listed_layers_get_the_defaults():
    images = tf.ones([1, 4, 4, 2])
    with slim.arg_scope([slim.conv2d], stride=2, padding="VALID"):
        assert slim.conv2d(images, 3, 2).shape == (1, 2, 2, 3)
        assert slim.convolution(images, 3, 2).shape == (1, 4, 4, 3)
        assert slim.conv2d(images, 3, 2, 1).shape == (1, 3, 3, 3)
        assert slim.max_pool2d(images, 2, stride=1).shape == (1, 3, 3, 2)


def test_threads_have_separate_arg_scopes():
    inside, leave = threading.Event(), threading.Event()
    seen = {}

    def worker():
        seen["at the start"] = first(0)
        with slim.arg_scope([first], a="worker"):
            seen["inside"] = first(0)
            inside.set()
            assert leave.wait(10)
            seen["still inside"] = first(0)
        seen["after"] = first(0)

    thread = threading.Thread(target=worker)
    with slim.arg_scope([first], a="main"):
        thread.start()
        assert inside.wait(10)
        assert first(0) == (0, "main", 2, 3)
    leave.set()
    thread.join()
    assert seen == {
        "at the start": (0, 1, 2, 3),
        "inside": (0, "worker", 2, 3),
        "still inside": (0, "worker", 2, 3),
        "after": (0, 1, 2, 3),
    }
