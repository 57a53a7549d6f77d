"""One function for a plain graph and for eager code: what was passed, and errors that say so."""

import inspect

import pytest
import tensorflow as tf

import slim
from slim import _checks, learning
from slim._modes import serves_both
from tests.slim import tiny


def graph_form(master, path, count=1, *, rest=0):
    return "graph", master, path, count, rest


def eager_form(path, batches, count=None, *, own=2):
    return "eager", path, batches, count, own


@serves_both(graph=graph_form, eager=eager_form)
def both(*args, **kwargs):
    """Does something."""
    return "batches" in kwargs or len(args) == 2


def test_arguments_decide_which_function_is_called():
    assert both("", "p", 3) == ("graph", "", "p", 3, 0)
    assert both("p", "b") == ("eager", "p", "b", None, 2)
    assert both(path="p", batches="b", own=1) == ("eager", "p", "b", None, 1)
    assert both.__doc__ == "Does something."


def test_signature_is_that_of_the_graph_and_keywords_of_the_other():
    expected = "(master, path, count=1, *, rest=0, batches=None, own=2)"
    assert str(inspect.signature(both)) == expected


@pytest.mark.parametrize(
    "args, kwargs, error, message",
    [
        (
            ("m", "p", 1, 2),
            {},
            ValueError,
            r"both in a tf.Graph accepts 3 arguments by posi",
        ),
        (("m", "p", 1), {"own": 1}, ValueError, "both has no argument 'own' in a tf.Graph. Remove"),
        (("p", "b"), {"rest": 1}, ValueError, "both has no argument 'rest' without a tf.Graph."),
        (("p", "b"), {"unknown": 1}, TypeError, "unexpected keyword argument 'unknown'"),
    ],
)
def test_arguments_of_the_other_mode_are_errors(args, kwargs, error, message):
    with pytest.raises(error, match=message):
        both(*args, **kwargs)


@pytest.mark.parametrize(
    "loss, optimizer, message",
    [
        (
            tf.constant,
            "momentum",
            "optimizer='momentum' is not an optimizer. Pass one",
        ),
        (
            3.0,
            slim.optimizers.GradientDescent(0.1),
            "total_loss is 3.0, not a tensor of",
        ),
    ],
)
def test_create_train_op_says_what_it_accepts(loss, optimizer, message):
    with pytest.raises(_checks.UserError, match=message):
        learning.create_train_op(loss, optimizer)


def test_a_loss_without_history_is_an_error():
    with pytest.raises(_checks.UserError, match="a function that returns it: slim"):
        learning.create_train_op(tf.constant(1.0), slim.optimizers.GradientDescent(0.1))


def test_arguments_of_a_graph_have_no_effect_on_a_loss_function():
    with pytest.raises(_checks.UserError, match="create_train_op has no argument 'update_ops'"):
        tiny.train_op(update_ops=[])


def test_gradients_may_be_lists_of_pairs():
    variable = tf.Variable(1.0, name="mine")
    pairs = [(tf.constant(4.0), variable)]
    assert float(learning.clip_gradient_norms(pairs, 2.0)[0][0]) == 2.0
    for key in ("mine", variable.ref()):
        assert float(learning.multiply_gradients(pairs, {key: 0.5})[0][0]) == 2.0
    by_name = {"mine": pairs[0][0]}
    assert float(learning.multiply_gradients(by_name, {"mine": 0.5})["mine"]) == 2.0


def test_evaluation_without_batches_says_what_to_write():
    message = r"expects batches, a tf.data.Dataset, not None. Write slim.evaluation.evaluate_once\("
    with pytest.raises(_checks.UserError, match=message):
        slim.evaluation.evaluate_once("", "run")
