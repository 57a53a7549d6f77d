"""In a plain graph, slim's scopes and variables are TensorFlow 1's."""

import threading

import pytest
import tensorflow as tf

import slim
from slim.graph import in_graph

v1 = tf.compat.v1
KEYS = v1.GraphKeys


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def names(variables):
    return [variable.op.name for variable in variables]


def test_in_graph_is_true_in_a_graph_and_its_branches():
    seen = [in_graph()]
    tf.cond(v1.placeholder(tf.bool), lambda: seen.append(in_graph()) or 1.0, lambda: 0.0)
    assert seen == [True, True]


def test_in_graph_is_false_in_eager_code_and_its_functions(graph):
    seen = []
    with graph.as_default(), tf.init_scope():
        seen.append(in_graph())
    code = lambda: seen.append(in_graph())  # noqa: E731
    thread = threading.Thread(target=lambda: (code(), tf.function(code)()))
    thread.start()  # a thread has the outer, eager context
    thread.join()
    assert seen == [True, False, False]


def test_scopes_of_both_kinds_nest():
    with v1.variable_scope("outer"):
        with slim.variable_scope("middle"):
            with v1.variable_scope("inner"):
                slim.conv2d(tf.ones([1, 4, 4, 3]), 2, 1)
            v1.get_variable("own", [2])
        slim.fully_connected(tf.ones([1, 3]), 2)
    assert names(v1.global_variables()) == [
        "outer/middle/inner/Conv/weights",
        "outer/middle/inner/Conv/biases",
        "outer/middle/own",
        "outer/fully_connected/weights",
        "outer/fully_connected/biases",
    ]


def test_reuse_reaches_from_one_kind_to_the_other():
    def tower():
        return slim.fully_connected(tf.ones([1, 3]), 2, scope="fc")

    with v1.variable_scope("net") as scope:
        tower()
        with pytest.raises(ValueError, match="net/fc/weights already exists"):
            tower()
        scope.reuse_variables()
        tower()
    with slim.variable_scope(scope, reuse=True):
        weights = v1.get_variable("fc/weights", [3, 2])
    with slim.variable_scope("net", reuse=slim.AUTO_REUSE):
        tower()
    assert weights is v1.global_variables()[0]
    assert len(v1.global_variables()) == 2


def test_scopes_take_values_and_know_themselves():
    with slim.variable_scope(None, "Net", [tf.ones([1])]) as scope:
        assert slim.get_variable_scope() is scope
        assert (scope.name, scope.original_name_scope) == ("Net", "Net/")
    with slim.variable_scope(None, "Net") as second:
        assert second.name == "Net_1"


def test_variables_stand_in_tensorflow_1s_collections():
    regularizer = slim.l2_regularizer(0.1)
    slim.variable("own", [2], collections=["mine"])
    slim.variable("step", [], trainable=False, initializer=tf.zeros_initializer())
    slim.model_variable("weights", [2], regularizer=regularizer, collections=["mine"])
    slim.local_variable(0.0, name="count")
    slim.global_variable(0.0, name="total")
    assert names(v1.global_variables()) == ["step", "weights", "total"]
    assert names(v1.trainable_variables()) == ["own", "weights"]
    assert names(v1.local_variables()) == names(slim.get_local_variables()) == ["count"]
    assert names(slim.get_model_variables()) == ["weights"]
    assert names(slim.get_variables(collection="mine")) == ["own", "weights"]
    assert len(v1.losses.get_regularization_losses()) == 1
    assert len(slim.losses.get_regularization_losses("weights")) == 1
    assert slim.losses.get_regularization_losses("own") == []


def test_each_graph_has_its_own_variables_and_names():
    for _ in range(2):
        with tf.Graph().as_default():
            slim.conv2d(tf.ones([1, 4, 4, 3]), 2, 1)
            slim.conv2d(tf.ones([1, 4, 4, 3]), 2, 1)
            assert names(slim.get_variables(suffix="weights")) == ["Conv/weights", "Conv_1/weights"]
    assert slim.get_variables() == []


def test_getters_filter_as_in_eager():
    slim.separable_conv2d(tf.ones([1, 8, 8, 3]), 4, 3, 1, scope="sep")
    slim.batch_norm(tf.ones([1, 8, 8, 3]), scope="bn")
    assert names(slim.get_variables_by_suffix("weights")) == [
        "sep/depthwise_weights",
        "sep/pointwise_weights",
    ]
    assert names(slim.get_variables_by_name("beta")) == ["bn/beta"]
    assert names(slim.get_variables_to_restore(exclude=["sep"])) == [
        "bn/beta", "bn/moving_mean", "bn/moving_variance",
    ]  # fmt: skip
    assert slim.get_unique_variable("bn/beta").op.name == "bn/beta"
    with pytest.raises(ValueError, match="there is no variable 'bn/bet' .*did you mean 'bn/beta'"):
        slim.get_unique_variable("bn/bet")
    kept = slim.filter_variables(slim.get_variables(), ["bn"], ["moving"])
    assert names(kept) == ["bn/beta"]
    assert slim.filter_variables(slim.get_variables(), []) == []


def test_add_model_variable_adds_a_variable_once():
    own = v1.get_variable("own", [2])
    slim.add_model_variable(own)
    slim.add_model_variable(own)
    assert slim.get_model_variables() == [own]
    with pytest.raises(ValueError, match="the variable keeps its name 'own'. Remove the argument"):
        slim.add_model_variable(own, "other")


def test_partitions_have_the_name_of_the_whole_variable():
    partitioner = tf.compat.v1.fixed_size_partitioner(2)
    whole = slim.variable("w", [4, 3], partitioner=partitioner)
    assert [slim.get_variable_full_name(part) for part in whole] == ["w", "w"]


def test_custom_getters_and_devices_are_called():
    requests = []

    def getter(name, **options):
        requests.append((name, options["reuse"]))
        return v1.get_variable(name, options["shape"])

    with v1.variable_scope("net"):
        slim.variable("w", [1], custom_getter=getter)
        placed = slim.variable("v", [1], device=lambda op: "/cpu:1")
    assert requests == [("w", False)]
    assert placed.device.endswith(("/device:CPU:1", "/cpu:1"))


def test_the_global_step_is_tensorflow_1s():
    assert slim.get_global_step() is None
    step = slim.get_or_create_global_step()
    assert step is v1.train.get_global_step() is slim.assert_or_get_global_step()
    with tf.Graph().as_default() as other:
        assert slim.get_global_step() is None
    assert slim.create_global_step(other).graph is other
    with pytest.raises(ValueError, match="already exists"):
        slim.create_global_step()


@pytest.mark.parametrize(
    "value, message",
    [
        (lambda: tf.constant(1.0), "does not have integer type"),
        (lambda: tf.constant([1]), "is not scalar"),
        (lambda: "step", "does not have integer type"),
    ],
)
def test_global_steps_of_another_type_are_errors(value, message):
    with pytest.raises(TypeError, match=message):
        slim.assert_global_step(value())
    slim.assert_global_step(tf.constant(1))
    assert slim.assert_or_get_global_step(global_step_tensor=tf.constant(1)) is not None


def test_named_outputs_are_collections_of_tensors_with_aliases():
    net = slim.conv2d(tf.ones([1, 4, 4, 3]), 2, 1, outputs_collections=["ends"], scope="a")
    v1.add_to_collection("ends", tf.identity(net, name="other"))
    assert list(slim.convert_collection_to_dict("ends")) == ["a", "other"]
    assert slim.convert_collection_to_dict("ends", clear_collection=True)["a"] is net
    assert v1.get_collection("ends") == []
