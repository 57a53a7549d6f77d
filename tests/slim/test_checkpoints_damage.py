"""Truncated files, flipped bits, full disks: detected, named, and without partial results."""

import errno
import os
import resource
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from slim import _checks, checkpoints

WEIGHTS = np.random.default_rng(0).normal(size=[100, 10]).astype(np.float32)
VALUES = {
    "net/weights": WEIGHTS,
    "net/biases": np.zeros(10, np.float32),
    "global_step": np.int64(7),
}


def flip(path, position):
    """Flips one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)


@pytest.fixture
def prefix(tmp_path):
    """Returns the prefix of a checkpoint."""
    return checkpoints.save(str(tmp_path / "model.ckpt-7"), VALUES)


@pytest.fixture
def data(tmp_path, prefix):
    """Returns its data file."""
    return tmp_path / "model.ckpt-7.data-00000-of-00001"


@pytest.fixture
def index(tmp_path, prefix):
    """Returns its index file."""
    return tmp_path / "model.ckpt-7.index"


def test_saved_values_are_read_bit_for_bit(prefix):
    values = {
        "float": WEIGHTS, "int32": np.arange(3, dtype=np.int32), "bool": np.array([True, False]),
        "half": WEIGHTS.astype(np.float16), "empty": np.zeros([0, 3], np.float32),
        "nan": np.array([np.nan, -0.0, np.inf]), "brain": tf.cast(WEIGHTS, tf.bfloat16),
        "text": np.array([b"a", b"\0b"], object), "variable": tf.Variable(WEIGHTS),
    }  # fmt: skip
    checkpoints.save(prefix, values)
    reader = checkpoints.read(prefix)
    assert list(reader.variables()) == sorted(values)
    for name, value in values.items():
        expected = tf.convert_to_tensor(value).numpy()
        assert reader.variables()[name].shape == expected.shape
        assert reader.variables()[name].dtype == tf.as_dtype(expected.dtype)
        assert reader.get(name).tobytes() == expected.tobytes() or name == "text"
    assert list(reader.get("text")) == [b"a", b"\0b"]
    assert "float" in reader
    with pytest.raises(_checks.UserError, match="has no variable 'flaot'; did you mean 'float'"):
        reader.get("flaot")


def test_equal_values_give_equal_bytes_in_any_order_and_directory(tmp_path, data, index):
    other = checkpoints.save(tmp_path / "else" / "best", dict(reversed(VALUES.items())))
    assert data.read_bytes() == (tmp_path / "else/best.data-00000-of-00001").read_bytes()
    assert index.read_bytes() == (tmp_path / "else/best.index").read_bytes()
    assert sorted(os.listdir(tmp_path / "else")) == ["best.data-00000-of-00001", "best.index"]
    assert other == str(tmp_path / "else" / "best")


def test_saving_no_variables_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="tensors is empty: there is nothing to save"):
        checkpoints.save(tmp_path / "x", {})


@pytest.mark.parametrize("size", [0, 1, 40, 2000, 4047])
def test_truncated_data_file_is_damaged(prefix, data, size):
    os.truncate(data, size)
    with pytest.raises(_checks.RunError, match=rf"{data} is truncated at variable '"):
        checkpoints.verify(prefix)


@pytest.mark.parametrize("size", [0, 1, 47, 48, 100, -1])
def test_truncated_index_is_damaged(prefix, index, size):
    os.truncate(index, size if size >= 0 else index.stat().st_size - 1)
    with pytest.raises(_checks.RunError, match=rf"{index} is truncated"):
        checkpoints.read(prefix)


@pytest.mark.parametrize("position", [0, 7, 8, 20, 48, 2000, 4047])
def test_flipped_bit_in_the_data_is_damage(prefix, data, position):
    assert data.stat().st_size == 4048
    flip(data, position)
    with pytest.raises(_checks.RunError, match=rf"{data} is damaged \(checksum mismatch\) at var"):
        checkpoints.verify(prefix)


def test_flipped_bit_anywhere_in_the_index_is_detected_or_harmless(prefix, index):
    intact, messages = index.read_bytes(), []
    for position in range(len(intact)):
        flip(index, position)
        try:
            checkpoints.verify(prefix)
            reader = checkpoints.read(prefix)
            assert set(reader.variables()) == set(VALUES)
            assert all(np.array_equal(reader.get(name), VALUES[name]) for name in VALUES)
        except _checks.RunError as error:
            messages.append(str(error))
        index.write_bytes(intact)
    assert len(messages) > len(intact) / 2
    assert all(str(index) in message or "data-0" in message for message in messages)


def test_missing_data_file_is_damage(prefix, data):
    data.unlink()
    with pytest.raises(_checks.RunError, match=rf"its data file {data} is missing"):
        checkpoints.verify(prefix)


def test_checkpoint_deleted_before_opening_or_while_reading_is_gone(prefix, data, index):
    reader = checkpoints.read(prefix)
    index.unlink()
    data.unlink()
    for attempt in (lambda: reader.get("net/weights"), lambda: checkpoints.read(prefix)):
        with pytest.raises(checkpoints.CheckpointGone, match=r"does not exist \(any more\)"):
            attempt()


def test_unknown_read_error_is_passed_on(prefix, monkeypatch):
    def fail(path):
        raise tf.errors.InternalError(None, None, "the reader broke [Op:X]")

    monkeypatch.setattr(tf.train, "load_checkpoint", fail)
    with pytest.raises(_checks.RunError, match=r"model.ckpt-7.index cannot be read: the reader br"):
        checkpoints.read(prefix)


@pytest.fixture
def tiny_disk(tmp_path):
    """Yields a directory on a file system of 1 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_leaves_the_old_checkpoints_and_nothing_else(tiny_disk):
    manager = checkpoints.Checkpoints(tiny_disk)
    manager.save(1, VALUES)
    before = {path.name: path.read_bytes() for path in tiny_disk.iterdir()}
    with pytest.raises(_checks.RunError, match=r"Could not save \S*model.ckpt-2: .*[Nn]o space"):
        manager.save(2, {"big": np.ones(2**19, np.float32)})
    assert {path.name: path.read_bytes() for path in tiny_disk.iterdir()} == before
    manager.save(3, VALUES)
    assert manager.all_steps() == [1, 3]


def test_a_file_size_limit_leaves_the_old_checkpoints_and_nothing_else(tmp_path):
    manager = checkpoints.Checkpoints(tmp_path)
    manager.save(1, VALUES)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(_checks.RunError, match=r"Could not save \S*model.ckpt-2: .*too large"):
            manager.save(2, {"big": np.ones(2**18, np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_directory_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(_checks.RunError, match=r"Could not save .*: (Not a directory|File exists)"):
        checkpoints.save(tmp_path / "file" / "model", VALUES)


@pytest.mark.parametrize("best", [False, True])
def test_full_disk_at_the_state_file_keeps_the_new_checkpoint(tmp_path, monkeypatch, best):
    from slim import _paths

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    manager = checkpoints.Checkpoints(tmp_path)
    monkeypatch.setattr(_paths, "write_atomically", full)
    message = "could not write best.json" if best else "could not write the state file of"
    with pytest.raises(_checks.RunError, match=rf"Saved .*{message}.*: No space"):
        manager.save_best(1, VALUES, "accuracy", 0.5) if best else manager.save(1, VALUES)
    assert checkpoints.verify(checkpoints.find(tmp_path / "best" if best else tmp_path)) == 3
