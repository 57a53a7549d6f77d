"""Rotation, fallback to older checkpoints, the best one, and waiting for a trainer's."""

import json
import logging
import os
import time

import numpy as np
import pytest
import tensorflow as tf

from slim import _checks, checkpoints
from slim.checkpoints import _listing


def values(step):
    """Returns values that depend on the step."""
    return {"net/weights": np.full([50], step, np.float32), "global_step": np.int64(step)}


@pytest.fixture
def variables():
    """Returns variables to restore, all -1."""
    return {
        "net/weights": tf.Variable(tf.fill([50], -1.0)),
        "global_step": tf.Variable(-1, dtype=tf.int64),
    }


@pytest.fixture
def manager(tmp_path):
    """Returns the manager of a directory with checkpoints 10, 20 and 30."""
    manager = checkpoints.Checkpoints(tmp_path)
    for step in (10, 20, 30):
        manager.save(step, values(step))
    return manager


class Clock:
    """A clock that the test sets, in hours."""

    hours = 1000.0

    def __call__(self):
        return self.hours * 3600


def steps_on_disk(directory):
    return sorted(int(name[11:-6]) for name in os.listdir(directory) if name.endswith(".index"))


def test_newest_checkpoints_are_kept_and_listed_in_the_state_file(tmp_path):
    manager = checkpoints.Checkpoints(tmp_path, max_to_keep=2)
    for step in (1, 5, 9, 12):
        assert manager.save(step, values(step)) == str(tmp_path / f"model.ckpt-{step}")
    assert manager.all_steps() == [9, 12]
    assert manager.latest() == str(tmp_path / "model.ckpt-12")
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["checkpoint"]
        + [f"model.ckpt-{n}.{end}" for n in (9, 12) for end in ("index", "data-00000-of-00001")]
    )
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert [os.path.basename(p) for p in state.all_model_checkpoint_paths] == [
        "model.ckpt-9", "model.ckpt-12",
    ]  # fmt: skip
    again = checkpoints.Checkpoints(tmp_path, max_to_keep=2)
    again.save(13, values(13))
    assert again.all_steps() == [12, 13]


@pytest.mark.parametrize("unlimited", [None, 0])
def test_no_limit_keeps_all_checkpoints(tmp_path, unlimited):
    manager = checkpoints.Checkpoints(tmp_path, max_to_keep=unlimited)
    for step in range(8):
        manager.save(step, values(step))
    assert manager.all_steps() == list(range(8))


@pytest.mark.parametrize("restarts", [False, True])
def test_keep_checkpoint_every_n_hours_holds_across_restarts(tmp_path, restarts):
    clock = Clock()

    def make():
        return checkpoints.Checkpoints(tmp_path, max_to_keep=1, keep_every_n_hours=2, clock=clock)

    manager = make()
    for step in range(10):
        manager = make() if restarts else manager
        manager.save(step, values(step))
        clock.hours += 0.5
    # Written half an hour apart, the first at hour 0: those at hours 2 and 4 stay, and the newest.
    assert steps_on_disk(tmp_path) == [4, 8, 9]


def test_clock_set_back_does_not_stop_rotation(tmp_path):
    clock = Clock()
    for step, hours in enumerate((1000, 1003, 10, 12.5, 15)):
        clock.hours = hours
        manager = checkpoints.Checkpoints(
            tmp_path, max_to_keep=1, keep_every_n_hours=2, clock=clock
        )
        manager.save(step, values(step))
    assert steps_on_disk(tmp_path) == [1, 3, 4]


def test_saving_a_step_twice_counts_once(tmp_path):
    manager = checkpoints.Checkpoints(tmp_path, max_to_keep=2)
    for step in (1, 2, 2, 2):
        manager.save(step, values(step))
    assert manager.all_steps() == [1, 2]


def test_rotation_removes_only_checkpoints_of_the_state_file(tmp_path):
    checkpoints.save(tmp_path / "inception_v3.ckpt", values(1))
    for step in (1, 2, 3):
        checkpoints.save(tmp_path / f"model.ckpt-{step}", values(step))
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-2"\n')
    manager = checkpoints.Checkpoints(tmp_path, max_to_keep=1)
    manager.save(4, values(4))
    # 1 is older than all in the state file: the user kept it. 3 is newer: its save was interrupted.
    assert manager.all_steps() == [1, 4]
    assert (tmp_path / "inception_v3.ckpt.index").exists()
    (tmp_path / "checkpoint").unlink()
    checkpoints.Checkpoints(tmp_path, max_to_keep=1).save(5, values(5))
    assert steps_on_disk_named(tmp_path) == [1, 5]


def steps_on_disk_named(directory):
    return checkpoints.Checkpoints(directory).all_steps()


@pytest.mark.parametrize(
    "arguments, message",
    [({"max_to_keep": -1}, "max_to_keep=-1 must not be negative"),
     ({"keep_every_n_hours": 0}, "keep_every_n_hours=0 must be positive"),
     ({"basename": "a/b"}, "basename='a/b' must be a file name without a directory"),
     ({"basename": ""}, "basename='' must be a file name")],
)  # fmt: skip
def test_arguments_out_of_range_are_errors(tmp_path, arguments, message):
    with pytest.raises(_checks.UserError, match=message):
        checkpoints.Checkpoints(tmp_path, **arguments)
    with pytest.raises(_checks.UserError, match="step=-1 must not be negative"):
        checkpoints.Checkpoints(tmp_path).save(-1, values(1))


def test_the_newest_checkpoint_is_restored(manager, variables):
    restored = manager.restore_latest(variables)
    assert (restored.step, restored.unreadable) == (30, ())
    assert str(restored.report) == "restored 2, missing 0, mismatched 0, unused 0"
    assert variables["global_step"].numpy() == 30


def test_empty_directory_restores_nothing(tmp_path, variables):
    assert checkpoints.Checkpoints(tmp_path / "new").restore_latest(variables) is None
    assert checkpoints.Checkpoints(tmp_path).restore_latest(variables) is None
    assert checkpoints.Checkpoints(tmp_path).latest() is None


def truncate_data(prefix):
    os.truncate(prefix + ".data-00000-of-00001", 100)


def flip_data(prefix):
    with open(prefix + ".data-00000-of-00001", "r+b") as file:
        file.seek(60)
        file.write(b"\xaa")


def remove_data(prefix):
    os.remove(prefix + ".data-00000-of-00001")


def truncate_index(prefix):
    os.truncate(prefix + ".index", 60)


DAMAGES = [truncate_data, flip_data, remove_data, truncate_index]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_newest_checkpoint_is_renamed_with_a_warning_and_the_previous_one_restored(
    tmp_path, manager, variables, caplog, damage
):
    damage(str(tmp_path / "model.ckpt-30"))
    with caplog.at_level(logging.ERROR):
        restored = checkpoints.Checkpoints(tmp_path).restore_latest(variables)
    assert restored.step == 20
    assert variables["net/weights"].numpy()[0] == 20
    [(prefix, reason)] = restored.unreadable
    assert prefix == str(tmp_path / "model.ckpt-30")
    assert prefix in reason
    assert f"UNREADABLE CHECKPOINT, trying the previous one. {reason}" in caplog.text
    # Renamed, so that an evaluator does not read it and rotation does not count it.
    assert (tmp_path / "model.ckpt-30.index.unreadable").exists()
    assert checkpoints.find(tmp_path) == str(tmp_path / "model.ckpt-20")
    assert manager.all_steps() == [10, 20]


def test_only_damaged_checkpoints_are_an_error_and_none_is_renamed(tmp_path, manager, variables):
    for step, damage in zip((10, 20, 30), DAMAGES, strict=False):
        damage(str(tmp_path / f"model.ckpt-{step}"))
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(_checks.RunError, match=r"None of 3 checkpoint\(s\) in \S+ is readable: "):
        manager.restore_latest(variables)
    assert sorted(os.listdir(tmp_path)) == before
    assert variables["global_step"].numpy() == -1


# The state file before the last save.
OLDER = b"\n".join(
    [
        b'model_checkpoint_path: "model.ckpt-20"',
        b'all_model_checkpoint_paths: "model.ckpt-10"',
        b'all_model_checkpoint_paths: "model.ckpt-20"',
    ]
)


@pytest.mark.parametrize("content", [None, b"", b"garbage", OLDER])
def test_missing_or_damaged_state_file_restores_the_newest_checkpoint(
    tmp_path, manager, variables, content
):
    (tmp_path / "checkpoint").unlink()
    if content is not None:
        (tmp_path / "checkpoint").write_bytes(content)
    again = checkpoints.Checkpoints(tmp_path)
    assert again.restore_latest(variables).step == 30
    # The next save lists all of them again.
    again.save(40, values(40))
    state = tf.train.get_checkpoint_state(str(tmp_path))
    expected = [str(tmp_path / f"model.ckpt-{step}") for step in (10, 20, 30, 40)]
    assert list(state.all_model_checkpoint_paths) == expected


@pytest.mark.parametrize("traces", ["checkpoint", "model.ckpt-1.index.unreadable", "two"])
def test_remains_of_checkpoints_without_a_readable_one_are_an_error(tmp_path, variables, traces):
    names = [f"model.ckpt-{n}.data-00000-of-00001" for n in (1, 2)] if traces == "two" else [traces]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        _checks.RunError, match=r"No complete checkpoint in \S+, only parts of some: "
    ):
        checkpoints.Checkpoints(tmp_path).restore_latest(variables)


def test_partial_files_of_an_interrupted_first_save_are_removed(tmp_path, variables, caplog):
    (tmp_path / "model.ckpt-1.data-00000-of-00001").write_bytes(b"x")
    (tmp_path / ".saving-dead_one").mkdir()
    manager = checkpoints.Checkpoints(tmp_path)
    assert manager.restore_latest(variables) is None
    assert "The first save in" in caplog.text
    manager.save(2, values(2))
    assert "Removed" in caplog.text
    assert sorted(os.listdir(tmp_path)) == [
        "checkpoint", "model.ckpt-2.data-00000-of-00001", "model.ckpt-2.index",
    ]  # fmt: skip


def test_checkpoint_of_another_network_is_an_error_and_not_skipped(manager):
    with pytest.raises(_checks.UserError, match=r"checkpoint shape \[50\], network shape \[9\]"):
        manager.restore_latest({"net/weights": tf.Variable(tf.zeros([9]))})


def test_failed_removal_of_an_old_checkpoint_is_a_warning(tmp_path, manager, monkeypatch, caplog):
    def refuse(path):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "remove", refuse)
    checkpoints.Checkpoints(tmp_path, max_to_keep=1).save(40, values(40))
    assert "Could not remove" in caplog.text
    assert "Operation not permitted" in caplog.text


def test_only_a_better_checkpoint_replaces_the_best(tmp_path):
    manager = checkpoints.Checkpoints(tmp_path)
    kept = []
    for step, accuracy in enumerate([0.5, 0.4, float("nan"), 0.5, 0.9, 0.8]):
        prefix = manager.save_best(step, values(step), "accuracy", np.float32(accuracy))
        kept.append(prefix is not None)
    assert kept == [True, False, False, False, True, False]
    assert sorted(os.listdir(tmp_path / "best")) == [
        "best.json", "checkpoint", "model.ckpt-4.data-00000-of-00001", "model.ckpt-4.index",
    ]  # fmt: skip
    assert checkpoints.find(tmp_path / "best") == str(tmp_path / "best" / "model.ckpt-4")
    assert json.loads((tmp_path / "best" / "best.json").read_text()) == {
        "checkpoint": "model.ckpt-4", "step": 4, "metric": "accuracy",
        "value": pytest.approx(0.9), "higher_is_better": True,
    }  # fmt: skip
    assert checkpoints.best(tmp_path)["step"] == 4
    assert manager.all_steps() == []


def test_lower_may_be_better_and_another_metric_starts_over(tmp_path, caplog):
    manager = checkpoints.Checkpoints(tmp_path)
    for step, loss in enumerate([0.5, 0.6, 0.4]):
        manager.save_best(step, values(step), "loss", loss, higher_is_better=False)
    assert checkpoints.best(tmp_path)["step"] == 2
    assert manager.save_best(3, values(3), "accuracy", 0.1) is not None
    assert "held the best loss; it now holds the best accuracy" in caplog.text


def test_damaged_record_of_the_best_is_a_warning(tmp_path, caplog):
    manager = checkpoints.Checkpoints(tmp_path)
    assert checkpoints.best(tmp_path) is None
    manager.save_best(1, values(1), "accuracy", 0.9)
    (tmp_path / "best" / "best.json").write_text("{")
    assert manager.save_best(2, values(2), "accuracy", 0.1) is not None
    assert "The best so far is unknown" in caplog.text
    os.remove(tmp_path / "best" / "model.ckpt-2.index")
    assert checkpoints.best(tmp_path) is None
    assert "names model.ckpt-2, which does not exist" in caplog.text


def test_index_is_removed_before_the_data(tmp_path, manager):
    (tmp_path / "model.ckpt-30.meta").write_bytes(b"")
    names = [os.path.basename(p) for p in _listing.files_of(str(tmp_path / "model.ckpt-30"))]
    assert names == [
        "model.ckpt-30.index", "model.ckpt-30.data-00000-of-00001", "model.ckpt-30.meta",
    ]  # fmt: skip


def test_waiting_returns_the_next_checkpoint_or_none_at_the_timeout(tmp_path, manager):
    newest = str(tmp_path / "model.ckpt-30")
    assert checkpoints.wait_for_new_checkpoint(tmp_path) == newest
    assert checkpoints.wait_for_new_checkpoint(tmp_path, str(tmp_path / "model.ckpt-20")) == newest
    begun = time.monotonic()
    assert checkpoints.wait_for_new_checkpoint(tmp_path, newest, 0.05, timeout=0.3) is None
    assert 0.2 <= time.monotonic() - begun < 2
    assert checkpoints.wait_for_new_checkpoint(tmp_path / "later", None, 0.01, timeout=0.02) is None


def test_waiting_is_logged_periodically(tmp_path, monkeypatch, caplog):
    from slim.checkpoints import _follow

    monkeypatch.setattr(_follow, "_SECONDS_BETWEEN_MESSAGES", 0.1)
    checkpoints.wait_for_new_checkpoint(tmp_path, None, 0.01, timeout=0.35)
    assert 2 <= caplog.text.count("Waiting for a checkpoint in") <= 3


def test_waiting_for_a_regular_file_is_an_error(tmp_path, manager):
    for path in (tmp_path / "checkpoint", tmp_path / "model.ckpt-30"):
        with pytest.raises(_checks.UserError, match="is a file. Pass the directory of"):
            checkpoints.wait_for_new_checkpoint(path)


def test_iterator_yields_each_newest_checkpoint_once_until_timeout_fn_is_true(tmp_path, manager):
    calls = []

    def enough():
        calls.append(1)
        if len(calls) == 2:
            manager.save(40, values(40))
        return len(calls) >= 4

    prefixes = list(checkpoints.checkpoints_iterator(tmp_path, timeout=0.01, timeout_fn=enough))
    assert [os.path.basename(prefix) for prefix in prefixes] == ["model.ckpt-30", "model.ckpt-40"]
    assert len(calls) == 4
    assert len(list(checkpoints.checkpoints_iterator(tmp_path, timeout=0))) == 1


def test_iterator_waits_min_interval_secs(tmp_path, manager):
    times = []
    for _ in checkpoints.checkpoints_iterator(tmp_path, min_interval_secs=0.3, timeout=0.5):
        times.append(time.monotonic())
        if len(times) < 3:
            manager.save(40 + len(times), values(1))
    assert len(times) == 3
    assert min(np.diff(times)) >= 0.3
