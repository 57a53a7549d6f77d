"""A disk that is full, or fails, under a run."""

import contextlib
import errno
import os
import subprocess

import pytest
import tensorflow as tf

from classifier.cli import disk_errors
from classifier.training import run as training
from slim import _checks, checkpoints, learning


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 40 MB: three times LeNet."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


class Filler(learning.Hook):
    """Fills the disk when the run has done two steps and saved them."""

    def __init__(self, disk):
        self._path = disk / "filler"

    def after_steps(self, run, numbers):
        if run.step != 2:
            return
        run.save()
        with open(self._path, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))


@pytest.mark.parametrize(
    "options, where",
    [
        ({"log_every_n_steps": 1}, "metrics.jsonl"),
        pytest.param(
            {"log_every_n_steps": 1, "plot_curves": True}, "curves.png", marks=pytest.mark.slow
        ),
        pytest.param(
            {"save_summaries_secs": 600, "log_every_n_steps": 1},
            "events.out.tfevents.",
            marks=pytest.mark.slow,
        ),
        pytest.param({"profile_steps": "2,3"}, "plugins/profile/", marks=pytest.mark.slow),
        pytest.param({"save_interval_steps": 3}, "model.ckpt-3: ", marks=pytest.mark.slow),
    ],
)
def test_under_a_run(train, tiny_disk, monkeypatch, options, where):
    make_hooks = training.make_hooks
    monkeypatch.setattr(training, "make_hooks", lambda *a: [Filler(tiny_disk), *make_hooks(*a)])
    flags = {"max_number_of_steps": 40, "batch_size": 1, "optimizer": "sgd"} | options
    if "save_summaries_secs" in options:
        flags["max_number_of_steps"] = 3  # they are written at the end
    done = train(tiny_disk / "run", **flags)
    (line,) = done.err
    assert done.code == 1
    assert line.startswith(f"train: {'C' if 'model' in where else 'c'}ould not ")
    assert f"{tiny_disk / 'run'}/{where}" in line
    assert "No space left on device" in line
    assert checkpoints.latest(tiny_disk / "run") == str(tiny_disk / "run" / "model.ckpt-2")
    assert "Free some space" in line
    (tiny_disk / "filler").unlink()
    again = train(tiny_disk / "run", **flags | {"max_number_of_steps": 4})
    assert (again.code, again.err) == (0, [])
    assert any("from step 2 " in line for line in again.out)


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(errno.ENOSPC, "x", "run/images"), "write run/images: No space .* Free some space"),
        (OSError(errno.ENOSPC, "x"), "write to runs/a or the output: No space"),
        (OSError(errno.EMFILE, "x", "a"), "Too many open files. Raise .*ulimit -n"),
        (
            tf.errors.ResourceExhaustedError(
                None, None, "Failed to flush 2 events to a/events.1; Too many open files [Op:F]"
            ),
            "write a/events.1: Too many open files",
        ),
        (OSError(errno.EROFS, "x", "a"), "write a: Read-only file system. Use another directory"),
        (OSError(errno.EACCES, "x", "a"), "access a: Permission denied. Check the permissions"),
        (
            FileNotFoundError(errno.ENOENT, "x", "/no/such/a"),
            "access /no/such/a: No such file or directory. /no was removed or does not exist. The",
        ),
        (
            tf.errors.NotFoundError(None, None, "/no/a/b; No such file or directory"),
            "access /no/a/b: No such file or directory. /no was removed",
        ),
        (
            RuntimeError("Can't close (file write failed: filename = 'a.h5', errno = 28, ...)"),
            "write a.h5: No space left on device",
        ),
        (
            tf.errors.UnknownError(None, None, "b; Input/output error"),
            "write b: .* Check the sy",
        ),
    ],
)
def test_error_of_a_disk_names_file_reason_and_advice(error, words):
    with pytest.raises(_checks.RunError, match=words), disk_errors.translated("runs/a"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("no error of a file"),
        OSError("an error without a number"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]"),
    ],
)
def test_other_errors_pass_unchanged(error):
    with pytest.raises(type(error)) as caught, disk_errors.translated("run"):
        raise error
    assert caught.value is error


def test_a_long_reason_of_hdf5_becomes_a_short_one():
    cause = OSError("Can't write\ndata (file write failed: filename = 'a', errno = 28, ...)")
    error = _checks.RunError(f"Could not save a.h5: {cause}")
    error.__cause__ = cause
    expected = "Could not save a.h5: No space left on device. Free some space"
    assert str(disk_errors.describe(error)).startswith(expected)


def test_lack_of_memory_is_not_reported_as_a_full_disk():
    text = f"run/events.1; {os.strerror(errno.ENOSPC)}"
    assert disk_errors.number_of(tf.errors.ResourceExhaustedError(None, None, text))
    text = "OOM when allocating tensor with shape[10]"
    assert disk_errors.number_of(tf.errors.ResourceExhaustedError(None, None, text)) is None
