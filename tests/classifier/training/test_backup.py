"""Backup of the previous run (`--restart`)."""

import contextlib
import os

import pytest

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.training import backup
from slim import _checks
from slim.run_lock import LOCK_FILE, TrainDirLock


def files(directory):
    paths = (path for path in directory.rglob("*") if path.is_file() and path.name != LOCK_FILE)
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_restart_moves_the_previous_run_to_a_backup(train, tmp_path):
    run = tmp_path / "run"
    everything = {"summarize_images": True, "plot_curves": True, "eval_every_steps": 1,
                  "save_summaries_secs": 600, "profile_steps": "1,2", "on_bad_image": "skip",
                  "on_nan": "restore"}  # fmt: skip
    assert train(run, **everything).code == 0
    (run / "notes.txt").write_text("the user's")
    before = files(run)
    assert train(run, optimizer="adam").code == 2
    done = train(run, optimizer="adam", restart=True)
    assert (done.code, done.err) == (0, [])
    assert any(line.startswith(f"previous run: moved to {run}/set_aside/1 (") for line in done.out)
    assert "Starting at step 0 from scratch" in done.out
    assert (run / "notes.txt").exists()
    del before["notes.txt"], before[".slim"]
    # The list of a run's files is complete: everything was moved.
    assert files(run / "set_aside" / "1") == before
    assert any("Adam" in name for name in _saved(run))
    failed = train(run, restart=True, checkpoint_path=tmp_path / "missing")
    assert failed.code == 2
    assert "does not exist" in failed.err[0]
    assert os.listdir(run / "set_aside") == ["1"]
    assert train(run, optimizer="sgd", restart=True).code == 0
    assert sorted(os.listdir(run / "set_aside")) == ["1", "2"]


@pytest.fixture(scope="module")
def existing_run(digits, tmp_path_factory):
    """A run of one step."""
    from classifier.training import run as training

    run = tmp_path_factory.mktemp("existing") / "run"
    flags = {"train_dir": str(run), "dataset_name": "digits", "dataset_dir": str(digits),
             "model_name": "lenet", "batch_size": 8, "max_number_of_steps": 1,
             "optimizer": "sgd", "save_summaries_secs": 0}  # fmt: skip
    training.run(options.build(TrainConfig, **flags))
    return run


@pytest.mark.parametrize(
    "options, words",
    [
        ({"trainable_scopes": "LeNet/typo"}, "LeNet/typo"),
        ({"num_clones": 9, "clone_on_cpu": True}, "9"),
        pytest.param({"labels_offset": 1}, "label", marks=pytest.mark.slow),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_failed_restart_moves_the_previous_run_back(train, existing_run, options, words):
    before = files(existing_run)
    done = train(existing_run, restart=True, **options)
    assert done.code in (1, 2)
    assert any(words in line for line in done.err)
    assert files(existing_run).items() >= before.items()
    written = files(existing_run).keys() - before.keys()
    assert all(name.startswith(os.path.join("set_aside", "")) for name in written)


def fail(directory, *written):
    """Starts over in a directory, writes files, and fails."""
    with contextlib.suppress(KeyError), backup.during(config(directory)):
        for name in written:
            (directory / name).write_text("new")
        raise KeyError


def test_files_of_a_failed_restart_are_kept_and_a_saved_checkpoint_stays(tmp_path, capsys):
    (tmp_path / "model.ckpt-5.index").write_text("old")
    (tmp_path / "config.json").write_text("old")
    fail(tmp_path)
    assert files(tmp_path) == {"model.ckpt-5.index": b"old", "config.json": b"old"}
    assert not (tmp_path / "set_aside").exists()
    fail(tmp_path, "config.json")
    assert f"previous run: moved back to {tmp_path}" in capsys.readouterr().out
    assert files(tmp_path) == {
        "model.ckpt-5.index": b"old",
        "config.json": b"old",
        "set_aside/1/config.json": b"new",
    }
    fail(tmp_path, "model.ckpt-7.index")
    assert files(tmp_path).keys() == {
        "model.ckpt-7.index",
        "set_aside/1/config.json",
        "set_aside/2/config.json",
        "set_aside/2/model.ckpt-5.index",
    }


def _saved(run):
    from slim import checkpoints

    return checkpoints.read(checkpoints.find(run)).variables()


def config(run, **values):
    return options.build(TrainConfig, train_dir=str(run), **{"dataset_dir": "data"} | values)


def test_a_directory_without_a_run_is_not_changed(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert backup.move(config(tmp_path)) is None
    assert backup.move(config(tmp_path / "new")) is None
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize(
    "values",
    [
        {"checkpoint_path": "{run}"},
        {"checkpoint_path": "{run}/model.ckpt-5"},
        {"checkpoint_path": "{run}/best"},
        {"dataset_dir": "{run}/eval/data"},
    ],
)
def test_inputs_of_the_new_run_are_not_moved(tmp_path, values):
    (tmp_path / "best").mkdir()
    (tmp_path / "eval" / "data").mkdir(parents=True)
    (tmp_path / "model.ckpt-5.index").touch()
    (name,) = values
    flags = {name: text.format(run=tmp_path) for name, text in values.items()}
    message = f"restart would move the files that {name}='{tmp_path}"
    with pytest.raises(_checks.UserError, match=message):
        backup.move(config(tmp_path, **flags))
    assert sorted(os.listdir(tmp_path)) == ["best", "eval", "model.ckpt-5.index"]


def test_the_run_of_an_active_trainer_is_not_moved(tmp_path):
    (tmp_path / "model.ckpt-5.index").touch()
    with TrainDirLock(tmp_path), pytest.raises(_checks.UserError, match="is in use by process"):
        backup.move(config(tmp_path))
    assert (tmp_path / "model.ckpt-5.index").exists()
