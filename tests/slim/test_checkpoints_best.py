"""The best checkpoint is not removed by a damaged, edited or missing record."""

import json
import os

import pytest

from slim import checkpoints

RECORD = {"checkpoint": "model.ckpt-4", "step": 4, "metric": "accuracy", "value": 0.9,
          "higher_is_better": True}  # fmt: skip


def values(step):
    return {"net/weights": [float(step)]}


@pytest.fixture
def manager(tmp_path):
    manager = checkpoints.Checkpoints(tmp_path)
    manager.save_best(4, values(4), "accuracy", 0.9)
    return manager


def files(folder, step):
    return {p.name: p.read_bytes() for p in (folder / "best").glob(f"model.ckpt-{step}.*")}


DAMAGES = {
    "truncated": '{"checkpoint": "model.ckpt-4", "st',
    "empty": "",
    "not an object": "[1]",
    "another type": json.dumps(RECORD | {"value": "0.9"}),
    "a bool for a number": json.dumps(RECORD | {"value": True}),
    "a number for a bool": json.dumps(RECORD | {"higher_is_better": 1}),
    "NaN": json.dumps(RECORD | {"value": float("nan")}),
    "another checkpoint": json.dumps(RECORD | {"checkpoint": "model.ckpt-9"}),
    "a path": json.dumps(RECORD | {"checkpoint": "../best/model.ckpt-4"}),
    "another step": json.dumps(RECORD | {"step": 5}),
    "another metric": json.dumps(RECORD | {"metric": "loss"}),
    "a missing key": json.dumps({k: v for k, v in RECORD.items() if k != "metric"}),
    "deep": "[" * 10_000,
    "not UTF-8": "\xff",
}


@pytest.mark.parametrize("text", DAMAGES.values(), ids=DAMAGES)
def test_best_checkpoint_is_kept_when_its_record_is_damaged(tmp_path, manager, caplog, text):
    record, before = tmp_path / "best" / "best.json", files(tmp_path, 4)
    record.write_text(text, "latin-1")
    for step, value in ((6, 0.1), (8, 0.2), (10, 0.3)):
        assert manager.save_best(step, values(step), "accuracy", value) is not None
        assert files(tmp_path, 4) == before
        assert checkpoints.best(tmp_path)["step"] == step
        assert checkpoints.find(tmp_path / "best").endswith(f"model.ckpt-{step}")
    assert not files(tmp_path, 6)
    assert len(files(tmp_path, 10)) == 2
    assert sum("best.json" in message for message in caplog.messages) <= 2
    assert json.loads(record.read_text())["kept"] == ["model.ckpt-4"]
    for backup in (tmp_path / "best").glob("*.damaged"):
        assert backup.read_text("latin-1") == text


def test_best_checkpoint_is_kept_when_its_record_is_missing(tmp_path, manager):
    os.remove(tmp_path / "best" / "best.json")
    assert manager.save_best(6, values(6), "accuracy", 0.1) is not None
    assert len(files(tmp_path, 4)) == 2


@pytest.mark.parametrize("kind", ["FIFO", "directory"])
def test_record_that_is_not_a_regular_file_is_renamed(tmp_path, manager, kind):
    record = tmp_path / "best" / "best.json"
    record.unlink()
    os.mkfifo(record) if kind == "FIFO" else record.mkdir()
    assert manager.save_best(6, values(6), "accuracy", 0.1) is not None
    assert checkpoints.best(tmp_path)["step"] == 6
    assert len(files(tmp_path, 4)) == 2
    assert (tmp_path / "best" / "best.json.damaged").exists()


def test_best_checkpoint_is_recovered_from_known_values(tmp_path, manager, caplog):
    (tmp_path / "best" / "best.json").write_text("{")
    known = {2: 0.95, 4: 0.9, 6: 0.7}
    more = {"known_values": known}
    assert manager.save_best(6, values(6), "accuracy", 0.7, **more) is None
    assert "according to the run's metrics, the best so far is model.ckpt-4 (0.9)" in caplog.text
    assert manager.save_best(8, values(8), "accuracy", 0.91, **more) is not None
    assert checkpoints.best(tmp_path)["step"] == 8
    assert len(files(tmp_path, 4)) == 2  # whatever the damage hid, it stays


def test_rewritten_best_checkpoint_is_not_kept_forever(tmp_path, manager):
    os.remove(tmp_path / "best" / "best.json")  # as after a kill before the first record
    manager.save_best(4, values(4), "accuracy", 0.9)
    assert json.loads((tmp_path / "best" / "best.json").read_text()) == RECORD
    manager.save_best(6, values(6), "accuracy", 0.95)
    assert not files(tmp_path, 4)


def test_checkpoints_of_another_name_in_best_are_not_removed(tmp_path, manager):
    checkpoints.save(tmp_path / "best" / "mine-1", values(1))
    manager.save_best(6, values(6), "accuracy", 0.95)
    assert (tmp_path / "best" / "mine-1.index").exists()
    assert checkpoints.find(tmp_path / "best").endswith("model.ckpt-6")
