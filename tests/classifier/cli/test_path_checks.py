import os

import pytest

from classifier.cli import path_checks
from slim import _checks


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "flowers").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.ckpt-3.index").touch()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    return tmp_path


@pytest.mark.parametrize(
    "kind, path",
    [
        ("directory", "flowers"),
        ("new_directory", "flowers"),
        ("new_directory", "a/b/c"),
        ("new_file", "file"),
        ("new_file", "a/b.json"),
        ("checkpoint", "run"),
        ("checkpoint", "run/model.ckpt-3"),
        ("checkpoint", "run/model.ckpt-3.index"),
        ("checkpoints", "run"),
        ("checkpoints", "all"),
        ("images", "notes"),
        ("images", "notes/*.txt"),
        ("directory", "gs://bucket/flowers"),
    ],
)
def test_valid_paths_pass(disk, monkeypatch, kind, path):
    monkeypatch.chdir(disk)
    path_checks.check(kind, "name", path)


@pytest.mark.parametrize(
    "kind, path, problem",
    [
        ("directory", "flwers", r"dir='flwers' does not exist; did you mean '.*/flowers'\?"),
        ("directory", "far/away", "dir='far/away' does not exist, nor does '.*/far'"),
        ("directory", "file", "dir='file' is a file, not a directory"),
        ("new_directory", "file", "dir='file' is a regular file, not a directory"),
        ("new_directory", "file/run", "'file/run' cannot be created: '.*/file' is a regular file"),
        ("new_directory", "fifo", "dir='fifo' is a FIFO, not a directory"),
        ("new_directory", "gone/run", "'gone/run' cannot be created: '.*/gone' is a broken link"),
        ("new_file", "run", "dir='run' is a directory, not a file"),
        ("new_file", "run/", "dir='run/' is a directory, not a file"),
        ("new_file", "a/", "dir='a/' is a directory, not a file"),
        ("new_file", "fifo", "dir='fifo' is a FIFO, not a regular file"),
        ("new_file", "/dev/null", "dir='/dev/null' is a device, not a regular file"),
        ("new_file", "file/a.csv", "cannot be created: '.*/file' is a regular file"),
        ("new_file", "fifo/a.csv", "cannot be created: '.*/fifo' is a FIFO"),
        ("new_file", "l" * 300 + "/a.csv", "cannot be created: File name too long"),
        ("checkpoint", "notes", r"has no checkpoint \(.*index\)\. It contains: a\.txt"),
        ("checkpoint", "flowers", "has no checkpoint .* It contains: nothing"),
        ("checkpoint", "run/model.ckpt-4", r"does not exist; did you mean '.*ckpt-3\.index'"),
        ("checkpoints", "flowers", "has no checkpoint .* It contains: nothing"),
        ("images", "notes/*.png", r"dir='notes/\*\.png' matches no file"),
        ("images", "run/a.png", "dir='run/a.png' does not exist"),
    ],
)
def test_invalid_path_is_an_error_that_says_what_exists(disk, monkeypatch, kind, path, problem):
    monkeypatch.chdir(disk)
    with pytest.raises(_checks.UserError, match=problem):
        path_checks.check(kind, "dir", path)


def test_a_directory_of_exports_is_answered_with_their_paths(tmp_path):
    (tmp_path / "saved_model").mkdir()
    for file in ("saved_model/saved_model.pb", "lenet.pb", "lenet.tflite", "labels.txt"):
        (tmp_path / file).touch()
    with pytest.raises(_checks.UserError, match="is a directory of exports") as error:
        path_checks.check("model", "model", str(tmp_path))
    listed = str(error.value).partition("Use one of them: ")[2]
    names = ("lenet.pb", "lenet.tflite", "saved_model")
    assert listed == ", ".join(str(tmp_path / name) for name in names)
    path_checks.check("model", "model", str(tmp_path / "saved_model"))


def test_a_folder_without_permission_is_named(disk, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(_checks.UserError, match="cannot be written: no permission for '.*flowers'"):
        path_checks.check("new_directory", "train_dir", str(disk / "flowers" / "run"))
    with pytest.raises(_checks.UserError, match="cannot be written: no permission for '.*flowers'"):
        path_checks.check("new_file", "eval_json", str(disk / "flowers" / "a" / "b.json"))


def test_glob_characters_in_a_checkpoint_path_are_letters(disk):
    (disk / "a[1]").mkdir()
    (disk / "a[1]" / "model.ckpt-1.index").touch()
    path_checks.check("checkpoint", "name", str(disk / "a[1]" / "model.ckpt-1"))
