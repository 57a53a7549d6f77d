"""Directories, atomic files and the trainer's lock, with real files and real processes."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from slim import _checks, _paths
from slim.run_lock import LOCK_FILE, TrainDirLock

HOLD = """
import sys, time
from slim.run_lock import TrainDirLock
with TrainDirLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Yields a process that holds the lock of tmp_path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_writable_directory_is_created_and_stays_empty(tmp_path):
    path = _paths.check_writable_directory(tmp_path / "a" / "b é [1]*")
    assert os.listdir(path) == []


def test_path_that_cannot_be_a_directory_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    cases = {
        "": "train_dir is empty; a directory is needed",
        str(tmp_path / "file"): "train_dir=.*file' is a file; a directory is needed",
        str(tmp_path / "dangling"): "train_dir=.*dangling' is a broken link; a directory",
        str(tmp_path / "file" / "run"): "train_dir=.*run' cannot be created: Not a directory",
        "/proc/slim": "train_dir='/proc/slim' cannot be created: No such file",
        "/proc": "train_dir='/proc' is not writable: ",
    }
    for path, message in cases.items():
        with pytest.raises(_checks.UserError, match=message) as caught:
            _paths.check_writable_directory(path, "train_dir")
        assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "x"


def test_atomic_write_replaces_the_file_and_removes_its_temporary_file(tmp_path):
    for content in (b"one", b"two"):
        _paths.write_atomically(str(tmp_path / "f"), content)
        assert (tmp_path / "f").read_bytes() == content
        assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_sweeping_keeps_files_of_a_running_writer_and_foreign_files(tmp_path):
    dead = tmp_path / ".saving-dead_one"
    dead.mkdir()
    (dead / "lock").write_text(_paths._LOCK_TEXT)
    (dead / "half").write_text("x")
    (tmp_path / ".saving-at_once_").mkdir()
    (tmp_path / ".saving-a_file__").write_text("")
    (tmp_path / "model").mkdir()
    for name, text in ((".saving-the_user", "mine"), (".saving-no_mark_", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").write_text(text)
        (tmp_path / name / "thesis").write_text("mine")
    (tmp_path / ".saving-unlocked").mkdir()
    (tmp_path / ".saving-unlocked" / "thesis").write_text("mine")
    (tmp_path / ".saving-of-the-user").mkdir()
    (tmp_path / ".saving-link____").symlink_to(tmp_path / "model")
    (tmp_path / ".saving-locklink").mkdir()
    (tmp_path / ".saving-locklink" / "lock").symlink_to(dead / "lock")
    kept = set(os.listdir(tmp_path)) - {".saving-dead_one", ".saving-at_once_"}
    with _paths.scratch_directory(str(tmp_path)) as scratch:
        assert _paths.sweep_scratch(str(tmp_path)) == [".saving-at_once_", ".saving-dead_one"]
        assert os.path.isdir(scratch)
    assert set(os.listdir(tmp_path)) == kept
    assert (tmp_path / ".saving-unlocked" / "thesis").read_text() == "mine"


def test_lock_error_names_the_process_that_holds_the_directory(tmp_path, holder):
    message = rf"{tmp_path} is in use by process {holder.pid} on host \S+ since \d{{4}}-\d\d-\d\d "
    with pytest.raises(_checks.UserError, match=message), TrainDirLock(tmp_path):
        pass


def test_lock_of_a_killed_process_is_released(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert str(holder.pid) in (tmp_path / LOCK_FILE).read_text()
    with TrainDirLock(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_FILE).read_text()
        assert str(holder.pid) not in (tmp_path / LOCK_FILE).read_text()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", ["", '{"pid": 12, "ho'])
def test_truncated_lock_file_is_ignored(tmp_path, content):
    (tmp_path / LOCK_FILE).write_text(content)
    with TrainDirLock(tmp_path):
        (tmp_path / LOCK_FILE).write_text(content)
        with pytest.raises(_checks.UserError, match="in use by another process; wait for it"):
            TrainDirLock(tmp_path).__enter__()
    with TrainDirLock(tmp_path):
        pass


def _link(path):
    (path.parent / "notes").write_text("mine")
    path.symlink_to(path.parent / "notes")


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda path: path.write_text("my notes"), "a file of another program"),
        (_link, "a link"),
        (lambda path: path.symlink_to("nowhere"), "a link"),
        (lambda path: path.mkdir(), "a directory"),
        (os.mkfifo, "a FIFO"),
    ],
    ids=["file", "link", "dangling", "directory", "fifo"],
)
def test_lock_path_of_another_kind_is_an_error_of_one_line(tmp_path, make, reason):
    path = tmp_path / LOCK_FILE
    make(path)
    before = path.lstat()
    message = f"train.lock cannot be used as a lock: {reason}. Move it away, or choose another"
    with pytest.raises(_checks.UserError, match=message), TrainDirLock(tmp_path):
        pass
    assert path.lstat() == before
    assert not (tmp_path / "nowhere").exists()
    if (tmp_path / "notes").exists():
        assert (tmp_path / "notes").read_text() == "mine"


def test_only_one_of_many_processes_holds_the_lock(tmp_path):
    script = """
import os, sys, time
from slim import _checks
from slim.run_lock import TrainDirLock
done, end = 0, time.monotonic() + 30
while done < 25 and time.monotonic() < end:
    try:
        with TrainDirLock(sys.argv[1]):
            os.mkdir(sys.argv[1] + "/inside")  # fails if another is inside
            os.rmdir(sys.argv[1] + "/inside")
            done += 1
    except _checks.UserError:
        time.sleep(0.0005)
assert done == 25, done
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(40) for process in processes] == [0, 0, 0]


def test_locating_a_checkpoint_does_not_load_tensorflow(tmp_path):
    script = """
import sys
from slim import _paths, checkpoints, run_lock
_paths.check_writable_directory(sys.argv[1])
try:
    checkpoints.find(sys.argv[1])
except ValueError as error:
    print(error)
checkpoints.wait_for_new_checkpoint(sys.argv[1], timeout=0)
assert "tensorflow" not in sys.modules and "numpy" not in sys.modules
"""
    begun = time.monotonic()
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "it contains: nothing" in answer.stdout
    assert time.monotonic() - begun < 5


def test_space_is_checked_without_leaving_a_file(tmp_path):
    _paths.check_space(str(tmp_path), 10_000)
    assert os.listdir(tmp_path) == []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            _paths.check_space(str(tmp_path), 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_new_file_gets_its_directory(tmp_path):
    _paths.write_new_file(str(tmp_path / "a" / "b" / "c"), b"text")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"text"
