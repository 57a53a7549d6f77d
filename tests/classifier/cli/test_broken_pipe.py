"""Scripts whose output nobody reads any more."""

import contextlib
import os
import subprocess
import sys

import pytest

from classifier.cli import broken_pipe, flags
from classifier.config.training import TrainConfig
from slim import checkpoints
from tests import source_tree


@pytest.fixture
def closed_pipe(monkeypatch):
    """Makes a pipe without a reader of a standard stream."""
    with contextlib.ExitStack() as stack:

        def make(name):
            reader, writer = os.pipe()
            os.close(reader)
            # As Python opens them: a line goes out at its end on stderr alone.
            buffering = 1 if name == "stderr" else -1
            stream = stack.enter_context(open(writer, "w", buffering, encoding="utf-8"))
            monkeypatch.setattr(sys, name, stream)

        yield make


@pytest.mark.parametrize(
    "names",
    [["stdout"], pytest.param(["stdout", "stderr"], marks=pytest.mark.slow)],
    ids=len,
)
def test_a_run_goes_on(train, tmp_path, closed_pipe, names):
    for name in names:
        closed_pipe(name)
    done = train(tmp_path, log_every_n_steps=1)
    assert done.code == 0
    message = f"stdout was closed; training continues, metrics are in {tmp_path}/metrics.jsonl"
    assert [line.startswith(message) for line in done.err] == [True] * (len(names) == 1)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert checkpoints.latest(tmp_path) == str(tmp_path / "model.ckpt-2")


def test_another_script_ends_as_tools_do():
    command = [sys.executable, "train_image_classifier.py", "--help"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=source_tree.ROOT, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_an_error_on_a_closed_stderr(closed_pipe):
    for name in ("stdout", "stderr"):
        closed_pipe(name)
    assert flags.main(TrainConfig, None, "", ["train", "--wrong"]) == 141


def test_other_streams_are_left_as_they_are(capsys):
    with broken_pipe.ignore("gone"):
        print("printed")
        print("wrong", file=sys.stderr)
        assert not sys.stdout.isatty()
    assert tuple(capsys.readouterr()) == ("printed\n", "wrong\n")
