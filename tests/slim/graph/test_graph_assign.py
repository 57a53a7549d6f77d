"""Assignment in a plain graph: an op and its feeds, or a function of a session."""

import numpy as np
import pytest
import tensorflow as tf

import slim

v1 = tf.compat.v1


@pytest.fixture
def variables():
    with tf.Graph().as_default():
        yield {
            "a/w": v1.get_variable("a/w", [2, 3], initializer=tf.zeros_initializer()),
            "a/b": v1.get_variable("a/b", [3], initializer=tf.zeros_initializer()),
        }


@pytest.fixture
def checkpoint(tmp_path):
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("a/w", initializer=np.arange(6.0, dtype=np.float32).reshape(2, 3))
        v1.get_variable("flat", initializer=np.arange(6.0, dtype=np.float32))
        session.run(v1.global_variables_initializer())
        return v1.train.Saver().save(session, str(tmp_path / "model.ckpt"))


def values_after(variables, *runs):
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        for run in runs:
            run(session)
        return session.run(dict(variables))


def test_values_are_assigned_by_an_op_and_its_feeds(variables):
    operation, feeds = slim.assign_from_values({"a/b": [1, 2, 3]})
    fn = slim.assign_from_values_fn({"a/w": np.ones([6])})
    result = values_after(variables, lambda session: session.run(operation, feeds), fn)
    np.testing.assert_array_equal(result["a/b"], [1, 2, 3])
    np.testing.assert_array_equal(result["a/w"], np.ones([2, 3]))


def test_values_for_an_unknown_variable_are_an_error(variables):
    with pytest.raises(ValueError, match="Variable a/x wasn't found in the graph; did you mean"):
        slim.assign_from_values({"a/x": 1})


def test_a_checkpoint_is_assigned_by_an_op_and_its_feeds(variables, checkpoint):
    operation, feeds = slim.assign_from_checkpoint(checkpoint, [variables["a/w"]])
    fn = slim.assign_from_checkpoint_fn(checkpoint, {"a/w": variables["a/w"]})
    for run in (lambda session: session.run(operation, feeds), fn):
        result = values_after(variables, run)
        np.testing.assert_array_equal(result["a/w"].ravel(), np.arange(6))


def test_values_of_a_partitioned_variable_are_cut(checkpoint):
    with tf.Graph().as_default():
        partitioner = v1.fixed_size_partitioner(3, axis=1)
        parts = list(v1.get_variable("a/w", [2, 3], partitioner=partitioner))
        operation, feeds = slim.assign_from_checkpoint(checkpoint, parts)
        result = values_after(
            {str(i): part for i, part in enumerate(parts)}, lambda s: s.run(operation, feeds)
        )
    np.testing.assert_array_equal(result["1"].ravel(), [1, 4])


def test_missing_variables_are_errors_or_skipped(variables, checkpoint):
    with pytest.raises(ValueError, match=r"Checkpoint is missing variable \[a/b\]"):
        slim.assign_from_checkpoint(checkpoint, list(variables.values()))
    operation, _ = slim.assign_from_checkpoint(checkpoint, list(variables.values()), True)
    assert operation is not None
    fn = slim.assign_from_checkpoint_fn(checkpoint, list(variables.values()), True)
    np.testing.assert_array_equal(values_after(variables, fn)["a/w"].ravel(), np.arange(6))
    assert slim.assign_from_checkpoint_fn(checkpoint, [variables["a/b"]], True) is None
    with pytest.raises(ValueError, match="var_list cannot be empty"):
        slim.assign_from_checkpoint_fn(checkpoint, [])


def test_other_shapes_are_errors_or_reshaped(variables, checkpoint):
    flat = {"flat": variables["a/w"]}
    with pytest.raises(ValueError, match="Total size of new array must be unchanged for flat"):
        slim.assign_from_checkpoint(checkpoint, flat)
    fn = slim.assign_from_checkpoint_fn(checkpoint, flat, reshape_variables=True)
    np.testing.assert_array_equal(values_after(variables, fn)["a/w"].ravel(), np.arange(6))
    with pytest.raises(ValueError, match="reshape_variables: use assign_from_checkpoint_fn"):
        slim.assign_from_checkpoint(checkpoint, flat, reshape_variables=True)
