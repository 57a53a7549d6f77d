"""Compatibility with TensorFlow 1's Saver in both directions, formats V1 and V2."""

import os

import numpy as np
import pytest
import tensorflow as tf

from slim import _checks, checkpoints

tf1 = tf.compat.v1
VALUES = {
    "LeNet/conv1/weights": np.random.default_rng(1).normal(size=[5, 5, 1, 32]).astype(np.float32),
    "LeNet/conv1/biases": np.array([0.1, -0.0, np.inf], np.float32),
    "LeNet/conv1/weights/Momentum": np.full([5, 5, 1, 32], 1e-40, np.float32),
    "global_step": np.int64(2**40 + 1),
}


def graph_variables(values):
    """Creates reference variables in a graph, as TF-Slim does."""
    return {
        name: tf1.get_variable(name, initializer=value, use_resource=False)
        for name, value in values.items()
    }


@pytest.fixture(params=["V1", "V2", "V2 sharded"])
def tf_slim_run(request, tmp_path):
    """Returns a directory in which TensorFlow 1's Saver saved VALUES."""
    version, _, sharded = request.param.partition(" ")
    directory = tmp_path / "run [1]*"
    directory.mkdir()
    with tf.Graph().as_default(), tf1.Session() as session:
        graph_variables(VALUES)
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(
            write_version=getattr(tf1.train.SaverDef, version), sharded=bool(sharded)
        )
        saver.save(session, str(directory / "model.ckpt"), global_step=3)
    assert (directory / "model.ckpt-3").exists() == (version == "V1")
    return directory


@pytest.mark.parametrize("state_file", [True, False])
def test_tf_slims_checkpoints_are_located_and_read(tf_slim_run, state_file):
    if not state_file:
        (tf_slim_run / "checkpoint").unlink()
    prefix = checkpoints.find(tf_slim_run)
    assert prefix == str(tf_slim_run / "model.ckpt-3") == checkpoints.find(prefix + ".meta")
    reader = checkpoints.read(prefix)
    assert set(reader.variables()) == set(VALUES)
    for name, value in VALUES.items():
        assert reader.variables()[name] == (value.shape, value.dtype)
        assert reader.get(name).tobytes() == value.tobytes()
    variables = {name: tf.Variable(tf.zeros_like(value)) for name, value in VALUES.items()}
    assert checkpoints.Checkpoints(tf_slim_run).restore_latest(variables).step == 3
    assert all(variables[name].numpy().tobytes() == VALUES[name].tobytes() for name in VALUES)


def test_rotation_in_a_tf_slim_run_removes_all_files_of_a_checkpoint(tf_slim_run):
    checkpoints.Checkpoints(tf_slim_run, max_to_keep=1).save(4, VALUES)
    assert sorted(os.listdir(tf_slim_run)) == [
        "checkpoint", "model.ckpt-4.data-00000-of-00001", "model.ckpt-4.index",
    ]  # fmt: skip


def test_our_checkpoint_is_restored_by_tensorflow_1s_saver(tmp_path):
    checkpoints.Checkpoints(tmp_path).save(5, VALUES)
    with tf.Graph().as_default(), tf1.Session() as session:
        variables = graph_variables({name: np.zeros_like(v) for name, v in VALUES.items()})
        tf1.train.Saver().restore(session, tf.train.latest_checkpoint(str(tmp_path)))
        for name, variable in variables.items():
            assert session.run(variable).tobytes() == VALUES[name].tobytes()


def test_our_checkpoint_has_the_bytes_of_tensorflow_1s(tmp_path):
    ours = tmp_path / "ours"
    checkpoints.save(ours, VALUES)
    with tf.Graph().as_default(), tf1.Session() as session:
        graph_variables(VALUES)
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, str(tmp_path / "theirs"), write_meta_graph=False)
    for end in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"ours{end}").read_bytes() == (tmp_path / f"theirs{end}").read_bytes()


@pytest.fixture
def old(tmp_path):
    """Returns a checkpoint in the format V1."""
    with tf.Graph().as_default(), tf1.Session() as session:
        graph_variables(VALUES)
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(write_version=tf1.train.SaverDef.V1)
        saver.save(session, str(tmp_path / "model.ckpt"), write_meta_graph=False)
    return tmp_path / "model.ckpt"


@pytest.mark.parametrize("size", [0, 1, 40, 2000, -1])
def test_truncated_v1_file_is_damaged(old, size):
    os.truncate(old, size if size >= 0 else old.stat().st_size - 1)
    with pytest.raises(_checks.RunError, match=rf"Checkpoint {old}: {old} is truncated"):
        checkpoints.verify(checkpoints.find(old))


def test_flipped_bit_in_a_v1_file_is_detected_or_harmless(old):
    intact, messages = old.read_bytes(), []
    positions = range(0, len(intact), 41)
    for position in positions:
        broken = bytearray(intact)
        broken[position] ^= 4
        old.write_bytes(broken)
        try:
            reader = checkpoints.read(old)
            assert set(reader.variables()) == set(VALUES)
            assert all(reader.get(n).tobytes() == v.tobytes() for n, v in VALUES.items())
        except _checks.RunError as error:
            messages.append(str(error))
    assert len(messages) > len(positions) / 2
    assert all(str(old) in message for message in messages)
