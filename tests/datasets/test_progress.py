"""Progress bars on a terminal, and lines in a log file."""

import os
import pty
import subprocess
import sys
import termios

from datasets import progress

CODE = """
import time
from datasets import progress
progress._SECONDS = 0.3
with progress.bar(30, "img", "digits") as bar:
    for _ in range(30):
        time.sleep({pause})
        bar.update()
"""


def run(pause, stderr, term="xterm"):
    return subprocess.run(
        [sys.executable, "-c", CODE.format(pause=pause)],
        env={**os.environ, "TERM": term},
        stderr=stderr,
        text=True,
        timeout=60,
    )


def test_log_file_has_lines():
    lines = run(0.03, subprocess.PIPE).stderr.split("\n")
    assert 2 <= len(lines) - 1 <= 5
    assert lines[-1] == ""
    for line in lines[:-1]:
        assert line.startswith("digits: ")
        assert "/30 [" in line
        assert "img/s]" in line
        assert line.isprintable()


def test_log_file_has_no_lines_for_short_work():
    assert run(0.0, subprocess.PIPE).stderr == ""


def test_terminal_has_a_bar():
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 80))
    assert run(0.0, child).returncode == 0
    shown = os.read(parent, 10_000).decode()
    os.close(parent)
    os.close(child)
    assert "digits: 100%" in shown
    assert "30/30" in shown


def test_dumb_terminal_has_lines():
    parent, child = pty.openpty()
    assert run(0.03, child, term="dumb").returncode == 0
    shown = os.read(parent, 10_000).decode()
    os.close(parent)
    os.close(child)
    assert "/30 [" in shown
    assert all(line.isprintable() for line in shown.split("\r\n"))


def test_bytes_without_a_total(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    with progress.bar(None, "B", "archive.zip") as bar:
        bar.update(2_000_000)
    assert "archive.zip: 2.00MB [" in capsys.readouterr().err
