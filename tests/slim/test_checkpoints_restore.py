"""Restoring: everything or nothing, under every strategy, and TF-Slim's assign functions."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, checkpoints

SAVED = {
    "net/weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "net/biases": np.arange(3, dtype=np.float32),
    "net/weights/Momentum": np.ones([2, 3], np.float32),
    "global_step": np.int64(7),
}


@pytest.fixture
def prefix(tmp_path):
    """Returns the prefix of a checkpoint of SAVED."""
    return checkpoints.save(tmp_path / "model.ckpt-7", SAVED)


def zeros(**shapes):
    """Returns variables of -1 by name, with `__` for `/`."""
    return {
        name.replace("__", "/"): tf.Variable(tf.fill(shape, -1.0), name=name.replace("__", "/"))
        for name, shape in shapes.items()
    }


def untouched(variables):
    return all((variable.numpy() == -1).all() for variable in variables.values())


def test_matching_variables_are_restored_and_the_others_reported(prefix):
    variables = zeros(net__weights=[2, 3], net__biases=[3])
    report = checkpoints.restore(prefix, variables)
    assert report.restored == ("net/weights", "net/biases")
    assert report.unused == ("global_step", "net/weights/Momentum")
    assert str(report) == "restored 2, missing 0, mismatched 0, unused 2"
    for name, variable in variables.items():
        np.testing.assert_array_equal(variable, SAVED[name])


def test_missing_variables_are_errors_unless_allowed(prefix):
    variables = zeros(net__biases=[3], net__gamma=[3], net__beta=[3])
    message = r"has 1 of 3 variables. Missing: net/gamma, net/beta. Pass strict=False"
    with pytest.raises(_checks.UserError, match=message):
        checkpoints.restore(prefix, variables)
    assert untouched(variables)
    report = checkpoints.restore(prefix, variables, strict=False)
    assert report.missing == ("net/gamma", "net/beta")
    assert variables["net/biases"].numpy()[2] == 2


def test_checkpoint_of_another_network_is_an_error_even_if_variables_may_be_missing(prefix):
    variables = zeros(resnet__weights=[2, 3])
    message = (
        r"has 0 of 1 variables: it is of another network. Missing: resnet/weights. It contains: g"
    )
    with pytest.raises(_checks.UserError, match=message):
        checkpoints.restore(prefix, variables, strict=False)


def test_shape_mismatch_is_an_error_with_both_shapes_or_skipped(prefix):
    variables = zeros(net__biases=[3], net__weights=[2, 5])
    message = (
        r"does not match: net/weights: checkpoint shape \[2, 3\], network shape \[2, 5\]. Exclude"
    )
    with pytest.raises(_checks.UserError, match=message):
        checkpoints.restore(prefix, variables)
    assert untouched(variables)
    assert checkpoints.compare(prefix, variables).mismatched[0].name == "net/weights"
    assert untouched(variables)
    report = checkpoints.restore(prefix, variables, skip_mismatched=True)
    assert [m.expected.shape for m in report.mismatched] == [(2, 5)]
    assert report.restored == ("net/biases",)
    assert variables["net/weights"].numpy().max() == -1


def test_dtypes_are_converted_within_their_kind_only(prefix):
    variables = {
        "global_step": tf.Variable(0, dtype=tf.int32),
        "net/weights": tf.Variable(tf.zeros([2, 3], tf.bfloat16)),
    }
    checkpoints.restore(prefix, variables)
    assert variables["global_step"].numpy() == 7
    np.testing.assert_array_equal(
        tf.cast(variables["net/weights"], tf.float32), SAVED["net/weights"]
    )
    with pytest.raises(
        _checks.UserError, match="global_step: checkpoint type int64, network type float32"
    ):
        checkpoints.restore(prefix, {"global_step": tf.Variable(0.0)})


def test_damage_in_the_last_variable_leaves_all_variables_unchanged(tmp_path, prefix):
    variables = zeros(net__biases=[3], net__weights__Momentum=[2, 3])
    data = tmp_path / "model.ckpt-7.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(_checks.RunError, match="is truncated at variable 'net/weights/Momentum'"):
        checkpoints.restore(prefix, variables)
    assert untouched(variables)


MIRRORED = """
import sys
import tensorflow as tf
from slim import checkpoints
device = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    weights = tf.Variable(tf.zeros([3]))
    moving = tf.Variable(tf.zeros([3]), trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.MEAN)

def step():
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    moving.assign(tf.fill([3], tf.cast(replica, tf.float32)))

strategy.run(tf.function(step))
weights.assign([1.0, 2.0, 3.0])
saved = checkpoints.save(sys.argv[1], {"weights": weights, "moving": moving})
assert checkpoints.read(saved).get("moving").tolist() == [0.5, 0.5, 0.5]
weights.assign(tf.zeros([3]))
checkpoints.restore(saved, {"weights": weights, "moving": moving})
for values, expected in ((weights.values, [1, 2, 3]), (moving.values, [0.5, 0.5, 0.5])):
    assert len(values) == 2
    assert all(value.numpy().tolist() == expected for value in values), values
"""


@pytest.mark.slow
def test_mirrored_variables_are_saved_once_and_restored_on_each_replica(tmp_path):
    command = [sys.executable, "-c", MIRRORED, str(tmp_path / "m")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr[-2000:]


def test_assign_from_checkpoint_accepts_lists_dicts_and_any_path(tmp_path, prefix):
    variables = zeros(net__weights=[2, 3], net__biases=[3])
    function = checkpoints.assign_from_checkpoint_fn(tmp_path, list(variables.values()))
    assert untouched(variables)
    assert function().restored == ("net/weights", "net/biases")
    np.testing.assert_array_equal(variables["net/weights"], SAVED["net/weights"])
    other = tf.Variable(tf.zeros([3]))
    report = checkpoints.assign_from_checkpoint(prefix + ".index", {"net/biases": other})
    assert report.unused == ("global_step", "net/weights", "net/weights/Momentum")
    assert other.numpy().tolist() == [0, 1, 2]


def test_assign_from_checkpoint_may_ignore_missing_variables(prefix):
    variables = zeros(net__biases=[3], net__beta=[3])
    message = "has 1 of 2 variables. Missing: net/beta. Pass ignore_missing_vars=True to skip"
    with pytest.raises(_checks.UserError, match=message):
        checkpoints.assign_from_checkpoint(prefix, variables)
    assert untouched(variables)
    report = checkpoints.assign_from_checkpoint(prefix, variables, ignore_missing_vars=True)
    assert (report.restored, report.missing) == (("net/biases",), ("net/beta",))
    with pytest.raises(_checks.UserError, match=r"has 0 of 1 variables. Missing: x$"):
        checkpoints.assign_from_checkpoint(prefix, zeros(x=[1]), ignore_missing_vars=True)


def test_assign_from_checkpoint_reshapes_on_request(prefix):
    variables = zeros(net__biases=[3], net__weights=[1, 1, 6])
    message = r"Variable 'net/weights' has shape \[1, 1, 6\], its value \[2, 3\]"
    with pytest.raises(_checks.UserError, match=message):
        checkpoints.assign_from_checkpoint(prefix, variables)
    assert untouched(variables)
    checkpoints.assign_from_checkpoint(prefix, variables, reshape_variables=True)
    assert variables["net/weights"].numpy().ravel().tolist() == list(range(6))
    with pytest.raises(_checks.UserError, match=r"has shape \[5\], its value \[3\]"):
        checkpoints.assign_from_checkpoint(prefix, zeros(net__biases=[5]), reshape_variables=True)


def test_assign_from_checkpoint_rejects_ambiguous_lists(tmp_path, prefix):
    with pytest.raises(_checks.UserError, match="var_list is empty: there is nothing to assign"):
        checkpoints.assign_from_checkpoint_fn(prefix, [])
    twins = [tf.Variable(0.0, name="a"), tf.Variable(0.0, name="a")]
    with pytest.raises(_checks.UserError, match="Two variables of var_list have the name 'a'"):
        checkpoints.assign_from_checkpoint_fn(prefix, twins)
    with pytest.raises(_checks.UserError, match=r"No checkpoint at \S*model.ckpt-8. Nearest: "):
        checkpoints.assign_from_checkpoint_fn(tmp_path / "model.ckpt-8", twins[:1])


def test_assign_from_values_assigns_by_name():
    variables = zeros(a=[2], b=[1])
    checkpoints.assign_from_values_fn({"a": [1.0, 2.0]}, variables)()
    assert variables["a"].numpy().tolist() == [1, 2]
    for values, message in (
        ({"b": [1.0], "c": [1.0]}, "There is no variable 'c' to assign to"),
        ({"b": [1.0], "a": [1.0]}, r"Variable 'a' has shape \[2\], its value \[1\]"),
        ({"b": [1.0], "a": [1, 2]}, "Variable 'a' is float32, its value int64"),
    ):
        with pytest.raises(_checks.UserError, match=message):
            checkpoints.assign_from_values(values, variables)
        assert variables["b"].numpy() == [-1]


def test_assign_from_values_uses_the_current_store():
    store = slim.VariableStore()
    with store.as_default():
        weights = slim.model_variable("net/weights", [2], initializer=slim.zeros_initializer())
        checkpoints.assign_from_values({"net/weights": np.array([3.0, 4.0])})
    assert weights.numpy().tolist() == [3, 4]
