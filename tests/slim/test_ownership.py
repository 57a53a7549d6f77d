"""Ownership marks: directories of the user are errors and never changed."""

import json
import os
import subprocess
import sys

import pytest

from slim import _checks, _ownership, _paths
from slim import checkpoints as checkpoints_lib
from tests.user_files import unchanged

LINKED = "mine, behind a link"


def test_a_new_directory_is_created_and_marked(tmp_path):
    path = str(tmp_path / "a" / "b")
    _ownership.claim(path, "run")
    assert os.listdir(path) == [_ownership.MARK]
    mark = json.loads((tmp_path / "a" / "b" / _ownership.MARK).read_text())
    assert mark == {"kind": "run", "version": 1, "command": os.path.basename(sys.argv[0])}
    _ownership.claim(path, "run")
    assert json.loads((tmp_path / "a" / "b" / _ownership.MARK).read_text()) == mark


def test_mark_is_removed_if_nothing_else_was_written(tmp_path):
    _ownership.claim(str(tmp_path / "a"), "export")
    _ownership.release(str(tmp_path / "a"))
    assert os.listdir(tmp_path / "a") == []
    _ownership.claim(str(tmp_path / "a"), "export")
    (tmp_path / "a" / "file").touch()
    _ownership.release(str(tmp_path / "a"))
    _ownership.release(str(tmp_path / "missing"))
    assert _ownership.read_own_mark(str(tmp_path / "a"), "export")


def test_a_marked_directory_may_hold_anything_else(tmp_path):
    _ownership.claim(str(tmp_path), "run")
    (tmp_path / "notes.txt").write_text("mine")
    _ownership.claim(str(tmp_path), "run")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_users_directory_is_an_error_that_lists_its_content_and_the_remedy(tmp_path):
    for name in "fedcba":
        (tmp_path / name).write_text(name)
    (tmp_path / "a\x1b[2Jb").write_text("terminal escape")
    message = (
        r"train_dir='.*' holds files that slim did not create: a, a\\x1b\[2Jb, b, c, d, "
        r"\.\.\. \(2 more\)\. Use another directory, new or empty"
    )
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match=message):
        _ownership.claim(str(tmp_path), "run", name="train_dir")


@pytest.mark.parametrize("content", ["", "{}", '{"kind": 3, "version": 1}', "garbage", "[" * 999])
def test_mark_with_foreign_content_is_not_accepted(tmp_path, content):
    (tmp_path / _ownership.MARK).write_text(content)
    (tmp_path / "thesis").write_text("mine")
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match=r"slim did not create: "):
        _ownership.claim(str(tmp_path), "run")


@pytest.mark.parametrize("kind", ["link", "directory", "FIFO"])
def test_mark_that_is_not_a_regular_file_is_not_accepted(tmp_path, kind):
    _ownership.claim(str(tmp_path / "ours"), "run")
    path = tmp_path / "users" / _ownership.MARK
    path.parent.mkdir()
    {"link": lambda: path.symlink_to(tmp_path / "ours" / _ownership.MARK),
     "directory": path.mkdir, "FIFO": lambda: os.mkfifo(path)}[kind]()  # fmt: skip
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match=r"not create: \.slim\."):
        _ownership.claim(str(path.parent), "run")


def test_an_empty_mark_of_a_killed_process_is_completed(tmp_path):
    (tmp_path / _ownership.MARK).touch()
    _ownership.claim(str(tmp_path), "run")
    assert _ownership.read_mark(str(tmp_path)).kind == "run"


def test_directory_of_another_kind_is_an_error(tmp_path):
    _ownership.claim(str(tmp_path), "dataset")
    message = "output_dir='.*' holds a dataset, not an export. Use another directory, new or empty"
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match=message):
        _ownership.claim(str(tmp_path), "export", name="output_dir")
    _ownership.claim(str(tmp_path), "evaluation", also=("dataset",))
    assert _ownership.read_mark(str(tmp_path)).kind == "dataset"


def test_files_of_operating_systems_are_tolerated_and_kept(tmp_path):
    names = [".DS_Store", "Thumbs.db", "desktop.ini", ".nfs000012ab", ".saving-abcdefgh"]
    for name in names[:-1]:
        (tmp_path / name).write_text("x")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / names[-1]).mkdir()
    _ownership.claim(str(tmp_path), "run")
    assert set(os.listdir(tmp_path)) == {*names, "lost+found", _ownership.MARK}


@pytest.mark.parametrize("name", [".bashrc", ".git", ".saving-of-the-user", ".DS_Store2"])
def test_other_hidden_files_count_as_user_files(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="slim did not create"):
        _ownership.claim(str(tmp_path), "run")


CLAIM = """
import sys
from slim import _checks, _ownership
try:
    _ownership.claim(sys.argv[1], "run")
except _checks.UserError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_log_of_the_command_may_be_in_the_directory(tmp_path, stream):
    with open(tmp_path / "log.txt", "w") as log:
        log.write("begin\n")
        log.flush()
        command = [sys.executable, "-c", CLAIM, str(tmp_path)]
        assert subprocess.run(command, **{stream: log}).returncode == 0
    done = subprocess.run([*command[:-1], str(tmp_path / "run")], stdout=subprocess.DEVNULL)
    assert done.returncode == 0
    (tmp_path / _ownership.MARK).unlink()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "slim did not create: log.txt, run." in done.stderr


def test_an_empty_log_that_tee_has_opened_is_tolerated(tmp_path):
    (tmp_path / "train.log").touch()
    _ownership.claim(str(tmp_path), "run")


def test_unreadable_or_unwritable_directory_is_an_error_of_one_line(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        with pytest.raises(_checks.UserError, match="cannot be read: Permission denied"):
            _ownership.claim(str(tmp_path), "run")

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_ownership._files, "create_exclusive", full)
    with pytest.raises(_checks.RunError, match=r"\.slim could not be written: No space left on"):
        _ownership.claim(str(tmp_path), "run")
    assert os.listdir(tmp_path) == []


def test_a_link_to_a_directory_may_be_claimed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to("disk")
    _ownership.claim(str(tmp_path / "run"), "run")
    assert os.listdir(tmp_path / "disk") == [_ownership.MARK]


# ---- work directories ----------------------------------------------------------------------------


def occupy(path, kind):
    """Creates an entry of the user at a path."""
    outside = path.parent / "outside"
    outside.mkdir()
    (outside / "thesis").write_text(LINKED)
    if kind == "directory":
        path.mkdir()
        (path / "thesis").write_text("mine")
    elif kind == "link":
        path.symlink_to(outside)
    elif kind == "link to ours":
        _ownership.work_directory(str(path.parent / "ours"), "conversion")
        path.symlink_to(path.parent / "ours")
    elif kind == "file":
        path.write_text("mine")
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize(
    "kind", ["directory", "link", "link to ours", "file", "FIFO", "dangling link"]
)
def test_work_directory_never_claims_or_removes_what_it_did_not_create(tmp_path, kind):
    path = tmp_path / "conversion.partial"
    occupy(path, kind)
    with unchanged(tmp_path):
        with pytest.raises(_checks.UserError, match="was not created by slim. Move it away, or"):
            _ownership.work_directory(str(path), "conversion")
        _ownership.remove(str(path), "conversion")


def test_a_work_directory_is_taken_over_by_the_next_attempt_and_removed(tmp_path):
    path = str(tmp_path / "work")
    _ownership.work_directory(path, "conversion")
    (tmp_path / "work" / "half").write_text("x")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "work" / "link").symlink_to(tmp_path / "mine")
    _ownership.work_directory(path, "conversion")
    assert (tmp_path / "work" / "half").exists()
    with pytest.raises(_checks.UserError, match="was not created by slim"):
        _ownership.work_directory(path, "downloads")
    _ownership.remove(path, "downloads")
    assert os.path.exists(path)
    _ownership.remove(path, "conversion")
    assert os.listdir(tmp_path) == ["mine"]
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_empty_directory_of_a_killed_process_is_taken_over(tmp_path):
    (tmp_path / "work").mkdir()
    _ownership.work_directory(str(tmp_path / "work"), "conversion")
    assert _ownership.read_own_mark(str(tmp_path / "work"), "conversion")


def test_only_files_named_in_the_mark_are_removed(tmp_path):
    path = tmp_path / "downloads"
    _ownership.work_directory(str(path), "downloads", ["a.tgz", "a.tgz.part"])
    _ownership.work_directory(str(path), "downloads", ["b.zip", "a.tgz"])
    for name in ("a.tgz", "b.zip", "mine.zip"):
        (path / name).write_text(name)
    (path / "a.tgz.part").symlink_to(path / "mine.zip")
    _ownership.remove(str(path), "downloads")
    assert sorted(os.listdir(path)) == [_ownership.MARK, "a.tgz.part", "mine.zip"]
    (path / "a.tgz.part").unlink()
    (path / "mine.zip").unlink()
    _ownership.remove(str(path), "downloads")
    assert os.listdir(tmp_path) == []


def test_names_in_a_mark_cannot_lead_out_of_the_directory(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "work").mkdir()
    mark = {"kind": "downloads", "version": 1, "files": ["../mine", str(tmp_path / "mine"), ".."]}
    (tmp_path / "work" / _ownership.MARK).write_text(json.dumps(mark))
    _ownership.remove(str(tmp_path / "work"), "downloads")
    assert os.listdir(tmp_path) == ["mine"]


# ---- overlaps, entries, outputs ------------------------------------------------------------------


@pytest.mark.parametrize(
    "first, second, how",
    [
        ("a", "a", "the same as"),
        ("a/b/c", "a", "inside"),
        ("a", "a/b", "above"),
        ("link", "a", "the same as"),
        ("link/new", "a", "inside"),
        ("a/../a/./b", "a", "inside"),
        ("new", "new/b", "above"),
    ],
)
def test_overlapping_directories_are_refused(tmp_path, first, second, how):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    message = f"dataset_dir='.*' is {how} source_dir='.*'. Use a separate directory"
    with pytest.raises(_checks.UserError, match=message):
        _ownership.check_apart(dataset_dir=str(tmp_path / first), source_dir=str(tmp_path / second))


def test_directories_with_a_common_name_prefix_do_not_overlap(tmp_path):
    _ownership.check_apart(a=str(tmp_path / "data"), b=str(tmp_path / "data2"))
    _ownership.check_apart(a=str(tmp_path / "x" / "y"), b=str(tmp_path / "x" / "z"))
    _ownership.check_apart(a=str(tmp_path), b=None)


def test_entries_with_our_names_must_be_of_the_expected_kind(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dirlink").symlink_to("dir")
    _ownership.check_entries(str(tmp_path), files=("file", "none"), directories=("dir", "none"))
    for files, directories, reason in (
        (("link",), (), "link is a link, not a regular file. Move it away"),
        (("dir",), (), "dir is a directory, not a regular file"),
        ((), ("dirlink",), "dirlink is a link, not a directory"),
        ((), ("file",), "file is a regular file, not a directory"),
    ):
        with pytest.raises(_checks.UserError, match=reason):
            _ownership.check_entries(str(tmp_path), files=files, directories=directories)


def test_output_replaces_only_an_earlier_output(tmp_path):
    def check(name):
        _ownership.check_output(
            str(tmp_path / name),
            "output_csv",
            "a table",
            lambda path: _ownership.starts_with(path, b"file,"),
        )

    (tmp_path / "earlier").write_text("file,rank\n")
    (tmp_path / "empty").touch()
    (tmp_path / "mine").write_text("name,grade\n")
    (tmp_path / "link").symlink_to("earlier")
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", "earlier", "empty"):
        check(name)
    with pytest.raises(_checks.UserError, match="mine' exists and is not a table. Use another"):
        check("mine")
    for name, kind in (("link", "a link"), ("fifo", "a FIFO")):
        with pytest.raises(
            _checks.UserError, match=f"output_csv='.*{name}' is {kind}. Use another"
        ):
            check(name)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"[1]", b"{", b'{"a": 1}', b"\xff\xfe", b"[" * 5000]
)
def test_foreign_json_does_not_have_our_keys(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    assert not _ownership.has_keys(str(tmp_path / "f"), ("a", "b"))
    assert not _ownership.has_keys(str(tmp_path / "none"), ())
    assert not _ownership.starts_with(str(tmp_path / "none"), b"x")


@pytest.mark.parametrize("kind", ["link", "dangling", "directory", "FIFO"])
def test_atomic_write_replaces_only_regular_files(tmp_path, kind):
    (tmp_path / "mine").write_text("mine")
    path = tmp_path / "f"
    {"link": lambda: path.symlink_to("mine"), "dangling": lambda: path.symlink_to("nowhere"),
     "directory": path.mkdir, "FIFO": lambda: os.mkfifo(path)}[kind]()  # fmt: skip
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="which is never replaced"):
        _paths.write_atomically(str(path), b"ours")


# ---- checkpoints ---------------------------------------------------------------------------------


def save(directory, step, **options):
    checkpoints_lib.Checkpoints(directory, **options).save(step, {"w": [float(step)]})


def test_rotation_does_not_remove_links(tmp_path):
    save(tmp_path / "run", 1)
    save(tmp_path / "foreign", 2)
    for path in (tmp_path / "foreign").glob("model.ckpt-2.*"):
        (tmp_path / "run" / path.name).symlink_to(path)
    with unchanged(tmp_path / "foreign"):
        for step in (3, 4, 5):
            save(tmp_path / "run", step, max_to_keep=1)
    assert (tmp_path / "run" / "model.ckpt-2.index").is_symlink()
    assert not (tmp_path / "run" / "model.ckpt-1.index").exists()


def test_a_checkpoint_does_not_replace_a_link(tmp_path):
    save(tmp_path / "run", 1)
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run" / "model.ckpt-2.index").symlink_to(tmp_path / "mine")
    with pytest.raises(_checks.UserError, match="model.ckpt-2.index is a link, which is never"):
        save(tmp_path / "run", 2)
    assert (tmp_path / "mine").read_text() == "mine"


def best(directory, step, value):
    manager = checkpoints_lib.Checkpoints(directory)
    return manager.save_best(step, {"w": [float(step)]}, "accuracy", value)


def test_best_that_is_a_link_is_refused_and_its_checkpoints_stay(tmp_path):
    save(tmp_path / "foreign", 1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best").symlink_to(tmp_path / "foreign")
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="best is a link, not a dir"):
        best(tmp_path / "run", 2, 0.9)


@pytest.mark.parametrize("record", [None, b"", b'{"checkpoint": "model', b"[]"])
def test_without_an_intact_record_no_best_checkpoint_is_removed(tmp_path, record):
    best(tmp_path, 1, 0.5)
    path = tmp_path / "best" / "best.json"
    path.unlink()
    if record is not None:
        path.write_bytes(record)
    best(tmp_path, 2, 0.1)
    assert (tmp_path / "best" / "model.ckpt-1.index").exists()


def test_other_checkpoints_in_best_stay(tmp_path):
    best(tmp_path, 1, 0.5)
    checkpoints_lib.save(tmp_path / "best" / "published.ckpt", {"w": [0.0]})
    best(tmp_path, 2, 0.9)
    assert not (tmp_path / "best" / "model.ckpt-1.index").exists()
    assert (tmp_path / "best" / "published.ckpt.index").exists()
