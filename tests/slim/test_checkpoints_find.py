"""From a path to a checkpoint, for any spelling of the path and any state file."""

import logging
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from slim import _checks, checkpoints
from slim.checkpoints import _listing

VALUES = {"net/weights": np.arange(6, dtype=np.float32).reshape(2, 3), "global_step": np.int64(3)}


@pytest.fixture
def run(tmp_path):
    """Returns a directory with model.ckpt-1, -2 and -10."""
    directory = tmp_path / "run"
    manager = checkpoints.Checkpoints(directory)
    for step in (1, 2, 10):
        manager.save(step, VALUES)
    return directory


@pytest.mark.parametrize(
    "suffix", ["", "/", "/model.ckpt-10", "/model.ckpt-10.index", "/model.ckpt-10.meta",
               "/model.ckpt-10.data-00000-of-00001"],
)  # fmt: skip
def test_every_spelling_of_a_path_finds_the_same_checkpoint(run, suffix):
    prefix = checkpoints.find(f"{run}{suffix}")
    assert os.path.normpath(prefix) == str(run / "model.ckpt-10")


def test_all_checkpoints_are_listed_oldest_first(run, tmp_path):
    prefixes = checkpoints.find_all(run)
    assert prefixes == [str(run / f"model.ckpt-{step}") for step in (1, 2, 10)]
    assert list(map(checkpoints.step_of, prefixes)) == [1, 2, 10]
    assert checkpoints.find_all(tmp_path / "none") == []
    assert checkpoints.find_all(run / "model.ckpt-1.index") == []


def test_an_older_checkpoint_can_be_named(run):
    assert checkpoints.find(run / "model.ckpt-2.index") == str(run / "model.ckpt-2")


@pytest.mark.parametrize("content", [None, b""])
def test_the_path_of_the_state_file_means_its_directory(run, content, monkeypatch):
    if content is not None:
        (run / "checkpoint").write_bytes(content)
    message = "is a list of checkpoints, not a checkpoint. Use its directory, "
    with pytest.raises(_checks.UserError, match=f"{message}{run}$"):
        checkpoints.find(run / "checkpoint")
    monkeypatch.chdir(run)
    with pytest.raises(_checks.UserError, match=rf"^checkpoint {message}\.$"):
        checkpoints.find("checkpoint")


def test_a_checkpoint_may_have_the_name_of_the_state_file(tmp_path):
    checkpoints.save(tmp_path / "checkpoint", VALUES)
    (tmp_path / "checkpoint").write_bytes(b"")
    assert checkpoints.find(tmp_path / "checkpoint") == str(tmp_path / "checkpoint")
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "checkpoint").write_bytes(b"\x93a checkpoint of the format V1")
    assert checkpoints.find(tmp_path / "v1" / "checkpoint") == str(tmp_path / "v1" / "checkpoint")


@pytest.mark.parametrize(
    "content, warning",
    [(None, "is missing"), (b"", "is empty"), (b"\0\0\0\0", "is empty"),
     (b"\x93garbage", "is garbage"),
     (b'model_checkpoint_path: "\\x"\n', "is garbage"),
     (b'model_checkpoint_path: "gone/model.ckpt-7"\n', "names model.ckpt-7, which is not"),
     (b'model_checkpoint_path: "C:\\\\old\\\\model.ckpt-2"\n', "names model.ckpt-2, which is not"),
     (b'model_checkpoint_path: "/old/place/model.ckpt-2"\n', "names model.ckpt-2, which is not")],
)  # fmt: skip
def test_missing_or_damaged_state_file_is_rebuilt_from_the_directory_with_a_warning(
    run, caplog, content, warning
):
    (run / "checkpoint").unlink()
    if content is not None:
        (run / "checkpoint").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.find(run) == str(run / "model.ckpt-10")
    assert warning in caplog.text
    assert "model.ckpt-10" in caplog.text


def test_intact_state_file_is_followed_without_a_warning_even_to_an_older_checkpoint(run, caplog):
    names = [f'all_model_checkpoint_paths: "model.ckpt-{n}"\n' for n in (1, 2, 10)]
    (run / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-2"\n' + "".join(names))
    assert checkpoints.find(run) == str(run / "model.ckpt-2")
    assert not caplog.records


def test_copied_directory_never_refers_to_its_source(run, tmp_path):
    (run / "checkpoint").write_text(f'model_checkpoint_path: "{run}/model.ckpt-10"\n')
    shutil.copytree(run, tmp_path / "copy")
    assert checkpoints.find(tmp_path / "copy") == str(tmp_path / "copy" / "model.ckpt-10")


@pytest.mark.parametrize("name", ["a[1]*b?", "with blank", "Gewichte é 重み", 'quote"back\\slash'])
def test_glob_characters_in_paths_are_literal(tmp_path, name):
    directory = tmp_path / name
    manager = checkpoints.Checkpoints(directory, basename=name)
    manager.save(4, VALUES)
    prefix = checkpoints.find(directory)
    assert prefix == str(directory / f"{name}-4")
    assert manager.latest() == prefix
    assert checkpoints.verify(prefix) == 2
    variable = tf.Variable(tf.zeros([2, 3]))
    assert (
        checkpoints.Checkpoints(directory, basename=name)
        .restore_latest({"net/weights": variable})
        .step
        == 4
    )
    np.testing.assert_array_equal(variable, VALUES["net/weights"])


def test_state_files_are_compatible_with_tensorflow_in_both_directions(tmp_path):
    manager = checkpoints.Checkpoints(tmp_path, basename="é m", keep_every_n_hours=1)
    manager.save(1, VALUES)
    manager.save(2, VALUES)
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "é m-2")
    state = tf.train.get_checkpoint_state(str(tmp_path))
    ours = _listing.read_state(str(tmp_path))
    assert tuple(state.all_model_checkpoint_timestamps) == ours.times
    assert state.last_preserved_timestamp == ours.last_preserved
    (tmp_path / "checkpoint").write_text(str(state))
    assert _listing.read_state(str(tmp_path)) == ours
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "é m-2"', encoding="utf-8")
    assert _listing.read_state(str(tmp_path)).newest == "é m-2"


def test_a_prefix_wins_over_a_directory_of_the_same_name(tmp_path):
    checkpoints.save(tmp_path / "model", VALUES)
    (tmp_path / "model").mkdir()
    prefix = checkpoints.find(tmp_path / "model")
    assert checkpoints.verify(prefix) == 2


def test_error_without_a_checkpoint_lists_what_is_there(tmp_path, run):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.txt").write_text("x")
    cases = {
        "": "The path of the checkpoint is empty",
        "b": r"No checkpoint in \S*b \(it contains: a.txt\). Expected model.ckpt-\*.index",
        "b/x": r"No checkpoint at \S*/b/x. \S*/b contains: a.txt",
        "none/x": r"No checkpoint at \S*none/x: there is no directory \S*none",
        "run/model.ckpt-11": r"No checkpoint at \S*-11. Nearest: \S*run/model.ckpt-10,",
        "run/zzz": r"No checkpoint at \S*zzz. Nearest: \S*run/model.ckpt-1, ",
    }
    for path, message in cases.items():
        with pytest.raises(_checks.UserError, match=message):
            checkpoints.find(path and f"{tmp_path}/{path}")
    os.remove(run / "model.ckpt-10.index")
    with pytest.raises(
        _checks.UserError, match=r"its index file \S*model.ckpt-10.index is missing"
    ):
        checkpoints.find(run / "model.ckpt-10.data-00000-of-00001")


def test_latest_is_none_without_checkpoints(tmp_path):
    assert checkpoints.latest(tmp_path) is None
    assert checkpoints.latest(tmp_path / "nowhere") is None


def test_public_names_are_exactly_those_of_all():
    assert all(getattr(checkpoints, name).__doc__ for name in dir(checkpoints))
    with pytest.raises(AttributeError, match=r"'slim.checkpoints' has no attribute 'Saver'"):
        checkpoints.Saver  # noqa: B018
