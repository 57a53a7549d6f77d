import numpy as np
import pytest
import tensorflow as tf

import slim


@pytest.fixture
def store():
    """Returns a store of two towers with model variables, and other variables."""
    store = slim.VariableStore()
    with store.as_default():
        for tower in ("tower", "tower_b"):
            with slim.variable_scope(tower):
                slim.model_variable("weights", [2], collections=["big", "kernels"])
                slim.model_variable("mean", [2], trainable=False)
                with slim.variable_scope("fc"):
                    slim.model_variable("weights", [3], collections=["kernels"])
        slim.variable("own/weights", [])
        slim.variable("counter", [], tf.int32, trainable=False)
        slim.create_global_step()
        yield store


ALL = [
    "tower/weights", "tower/mean", "tower/fc/weights",
    "tower_b/weights", "tower_b/mean", "tower_b/fc/weights",
    "own/weights", "counter", "global_step",
]  # fmt: skip
MODEL = ALL[:6]


def names(variables):
    return [slim.get_variable_full_name(v) for v in variables]


def test_getters_without_a_filter_keep_the_order_of_creation(store):
    assert names(slim.get_variables()) == ALL
    assert names(slim.get_model_variables()) == MODEL
    assert names(slim.get_trainable_variables()) == [
        name for name in ALL if name.endswith("weights")
    ]


@pytest.mark.parametrize(
    "scope, expected",
    [
        ("tower", MODEL),  # a prefix of the name, as in TensorFlow 1
        ("tower/", MODEL[:3]),
        ("tower/fc", ["tower/fc/weights"]),
        ("tower.*/fc", ["tower/fc/weights", "tower_b/fc/weights"]),
        ("weights", []),
        (".*weights", [name for name in ALL if name.endswith("weights")]),
        ("", ALL),
    ],
)
def test_a_scope_is_matched_at_the_beginning(store, scope, expected):
    assert names(slim.get_variables(scope)) == expected
    assert names(slim.get_model_variables(scope)) == [n for n in expected if n in MODEL]


def test_a_scope_object_is_a_scope_too(store):
    with slim.variable_scope("tower_b") as scope:
        pass
    assert names(slim.get_variables(scope)) == MODEL[3:]


@pytest.mark.parametrize(
    "suffix, expected",
    [
        ("weights", [name for name in ALL if name.endswith("weights")]),
        ("fc/weights", ["tower/fc/weights", "tower_b/fc/weights"]),
        ("counter", ["counter"]),
        ("c/weights", []),
    ],
)
def test_a_name_is_matched_in_whole_parts_and_a_suffix_is_not(store, suffix, expected):
    assert names(slim.get_variables_by_name(suffix)) == expected
    for cut in range(1, min(len(suffix), 5)) if expected else ():
        end = suffix[cut:]
        assert names(slim.get_variables(suffix=end)) == [n for n in ALL if n.endswith(end)]
        assert names(slim.get_variables_by_suffix(end)) == [n for n in ALL if n.endswith(end)]


def test_scope_and_suffix_together(store):
    assert names(slim.get_variables("tower/", "weights")) == ["tower/weights", "tower/fc/weights"]
    assert names(slim.get_variables_by_suffix("weights", "tower_b/f")) == ["tower_b/fc/weights"]
    assert names(slim.get_variables_by_name("weights", "own")) == ["own/weights"]
    assert names(slim.get_trainable_variables("tower/", "mean")) == []
    assert names(slim.get_model_variables("tower/", "mean")) == ["tower/mean"]


def test_variables_are_added_to_their_collections(store):
    assert names(slim.get_variables(collection="big")) == ["tower/weights", "tower_b/weights"]
    assert names(slim.get_variables("tower/", collection="kernels")) == [
        "tower/weights",
        "tower/fc/weights",
    ]
    assert slim.get_variables(collection="none") == []


def test_variables_collections_of_a_layer_by_variable_name():
    net = tf.ones([1, 4, 4, 2])
    collections = {"weights": ["kernels"], "biases": ["offsets"]}
    slim.conv2d(net, 3, 1, scope="a", variables_collections=collections)
    slim.conv2d(net, 3, 1, scope="b", variables_collections=["all", "kernels"])
    slim.batch_norm(net, scope="bn", variables_collections={"beta": ["offsets"]})
    assert names(slim.get_variables(collection="kernels")) == ["a/weights", "b/weights", "b/biases"]
    assert names(slim.get_variables(collection="offsets")) == ["a/biases", "bn/beta"]
    assert names(slim.get_variables(collection="all")) == ["b/weights", "b/biases"]


def test_get_unique_variable_returns_exactly_one(store):
    assert slim.get_unique_variable("tower/mean") is store.named_variables["tower/mean"]
    with pytest.raises(ValueError, match="no variable 'tower/maen' in .*; did you mean 'tower/me"):
        slim.get_unique_variable("tower/maen")
    with pytest.raises(ValueError, match=r"there is no variable 'zzz' in this store\.$"):
        slim.get_unique_variable("zzz")


def test_variables_to_restore_by_include_and_exclude(store):
    assert names(slim.get_variables_to_restore()) == ALL
    assert names(slim.get_variables_to_restore(exclude=["tower", "own"])) == [
        "counter",
        "global_step",
    ]
    assert names(slim.get_variables_to_restore(include=["tower/", "tower/fc", "own"])) == [
        *MODEL[:3],
        "own/weights",
    ]
    assert names(slim.get_variables_to_restore(["tower"], ["tower/", "tower_b/fc"])) == MODEL[3:5]
    assert slim.get_variables_to_restore(include=[]) == []


@pytest.mark.parametrize("argument", ["include", "exclude"])
def test_variables_to_restore_given_as_a_string_are_errors(store, argument):
    with pytest.raises(TypeError, match=f"{argument} is provided but is not a list or a tuple"):
        slim.get_variables_to_restore(**{argument: "tower"})


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({}, ALL),
        ({"include_patterns": ["weights"]}, [n for n in ALL if "weights" in n]),
        ({"include_patterns": ["fc", "own"]}, ["tower/fc/weights", "tower_b/fc/weights",
                                               "own/weights"]),
        ({"exclude_patterns": ["tower", "count"]}, ["own/weights", "global_step"]),
        ({"include_patterns": ["tower_"], "exclude_patterns": ["fc"]}, MODEL[3:5]),
        ({"include_patterns": ["fc"], "reg_search": False}, []),
        ({"include_patterns": ["tower/"], "exclude_patterns": ["weights"], "reg_search": False},
         MODEL[:3]),
    ],
)  # fmt: skip
def test_filter_variables_by_patterns(store, arguments, expected):
    assert names(slim.filter_variables(slim.get_variables(), **arguments)) == expected


def test_add_model_variable_adds_an_existing_variable():
    store = slim.VariableStore()
    own = tf.Variable([1.0], name="mine", trainable=False)
    with store.as_default():
        slim.add_model_variable(own)
        slim.add_model_variable(tf.Variable([2.0], name="x"), name="scope/other")
        assert names(slim.get_model_variables()) == ["mine", "scope/other"]
        assert names(slim.get_trainable_variables()) == ["scope/other"]
    assert store.named_variables["mine"] is own
    with slim.VariableStore().as_default():
        assert slim.get_variable_full_name(own) == "mine"  # its own name elsewhere


def test_records_hold_the_requested_attributes(store):
    record = store.records["tower/weights"]
    assert (record.model, record.trainable, record.collections) == (
        True, True, frozenset({"big", "kernels"}),
    )  # fmt: skip
    assert not store.records["own/weights"].model
    assert list(store.records) == ALL


def test_variables_have_the_dtype_and_default_initializer_of_their_kind():
    with slim.VariableStore().as_default():
        counter = slim.variable("counter", [2], tf.int64)
        assert (counter.dtype, counter.numpy().tolist()) == (tf.int64, [0, 0])
        weights = slim.variable("weights", [50, 70], tf.float64)
        limit = np.sqrt(6 / 120)
        assert weights.dtype == tf.float64
        assert 0.9 * limit < np.abs(weights.numpy()).max() <= limit
        values = slim.variable("values", dtype=tf.float64, initializer=[1, 2])
        assert (values.dtype, values.numpy().tolist()) == (tf.float64, [1.0, 2.0])


def test_arg_scope_reaches_variables():
    with slim.VariableStore().as_default():
        with slim.arg_scope([slim.variable, slim.model_variable], trainable=False):
            assert not slim.variable("a", []).trainable
            assert not slim.model_variable("b", []).trainable
            assert slim.model_variable("c", [], trainable=True).trainable


def test_synchronization_and_aggregation_reach_the_variable():
    with slim.VariableStore().as_default():
        variable = slim.variable(
            "v", [], trainable=False, synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.MEAN,
        )  # fmt: skip
    assert variable.synchronization == tf.VariableSynchronization.ON_READ
    assert variable.aggregation == tf.VariableAggregation.MEAN


def test_global_step_is_an_int64_variable_created_once():
    store = slim.VariableStore()
    with store.as_default():
        assert slim.get_global_step() is None
        step = slim.get_or_create_global_step()
        assert (step.dtype, step.shape, step.numpy(), step.trainable) == (tf.int64, (), 0, False)
        assert slim.get_or_create_global_step() is slim.get_global_step() is step
        with pytest.raises(ValueError, match="already exists in this store; use get_or_create"):
            slim.create_global_step()
        with slim.variable_scope("inside"):
            assert slim.get_or_create_global_step() is step
    assert list(store.named_variables) == ["global_step"]
    assert store.records["global_step"].model is False
    with slim.VariableStore().as_default():
        assert slim.get_global_step() is None
