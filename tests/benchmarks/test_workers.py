"""Contestants in processes of their own: the protocol and the environments."""

import pytest

from benchmarks import workers

PROGRAM = """
import sys, time
sys.path.insert(0, {peers!r})
import protocol

def prepare(batch):
    if batch > 9:
        raise ValueError("too many images")
    print("a library's own output")
    def step():
        kept = bytearray(batch * 40_000_000)
        time.sleep(0.01)
    return protocol.repeated(step), {{"parameters": batch}}

protocol.serve(prepare)
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    peers = str(workers.PEERS)
    monkeypatch.setattr(workers, "PEERS", tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM.format(peers=peers))
    (tmp_path / "ends.py").write_text("raise SystemExit('no such package')")
    with workers.Worker("program.py") as worker:
        yield worker


def test_contestants_of_a_worker_run_by_name(worker):
    assert worker.prepare("one", batch=1) == {"parameters": 1}
    assert worker.prepare("four", batch=4) == {"parameters": 4}
    one, four = worker.run("one", 2), worker.run("four", 1)
    assert one["seconds"] >= 0.02
    assert one["processor_seconds"] < one["seconds"]
    assert four["peak_bytes"] >= one["peak_bytes"] + 100_000_000
    assert worker.run("one", 1)["peak_bytes"] < four["peak_bytes"]  # a peak is that of its run
    assert worker.idle_load < 0.5


def test_error_of_a_contestant_is_reported_and_the_worker_lives_on(worker):
    with pytest.raises(workers.WorkerError, match=r"program.py: ValueError: too many images. Its"):
        worker.prepare("ten", batch=10)
    assert worker.prepare("one", batch=1) == {"parameters": 1}


def test_last_lines_of_a_worker_that_ended_are_reported(worker):
    with workers.Worker("ends.py") as ended:
        with pytest.raises(workers.WorkerError, match=r"(?s)ends.py: it ended.*no such package"):
            ended.prepare("one", batch=1)


def test_environment_is_installed_again_if_its_requirements_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "PEERS", tmp_path)
    monkeypatch.setattr(workers, "ENVIRONMENTS", tmp_path / "environments")
    commands = []
    monkeypatch.setattr(
        workers.venv, "create", lambda path, **_: path.mkdir(parents=True, exist_ok=True)
    )
    monkeypatch.setattr(workers.subprocess, "run", lambda command, **_: commands.append(command))
    for requirements, installations in (("a==1", 1), ("a==1", 1), ("a==2", 2)):
        (tmp_path / "torch.txt").write_text(requirements)
        python = workers.python_of("torch")
        assert python == str(tmp_path / "environments" / "torch" / "bin" / "python")
        assert len(commands) == installations
    assert commands[0][:4] == [python, "-m", "pip", "install"]
