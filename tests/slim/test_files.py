"""Opening files of unknown origin."""

import errno
import os

import pytest

from slim import _files


def test_open_regular_follows_links_and_rejects_special_files(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link_to_fifo").symlink_to("fifo")
    with _files.open_regular(tmp_path / "link") as file:
        assert file.read() == b"abc"
    for name in ("fifo", "link_to_fifo"):
        with pytest.raises(OSError, match=r"not a regular file \(a FIFO\)"):
            _files.open_regular(tmp_path / name)
    with pytest.raises(IsADirectoryError, match=r"not a regular file \(a directory\)"):
        _files.open_regular(tmp_path)
    with pytest.raises(OSError, match=r"not a regular file \(a device\)"):
        _files.open_regular("/dev/zero")
    with pytest.raises(OSError, match="its path contains a NUL character"):
        _files.open_regular(tmp_path / "file\0name")


def test_read_bounded_rejects_a_larger_file(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert _files.read_bounded(tmp_path / "file", 3) == b"abc"
    with pytest.raises(OSError, match="larger than 2 bytes") as caught:
        _files.read_bounded(tmp_path / "file", 2)
    assert caught.value.errno == errno.EFBIG


def test_open_lock_keeps_content_and_follows_no_link(tmp_path):
    (tmp_path / "lock").write_text("held")
    with _files.open_lock(tmp_path / "lock") as file:
        assert file.read() == "held"
    (tmp_path / "link").symlink_to("lock")
    with pytest.raises(OSError, match="symbolic links"):
        _files.open_lock(tmp_path / "link")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        _files.open_lock(tmp_path / "fifo")
    _files.open_lock(tmp_path / "new").close()
    assert (tmp_path / "lock").read_text() == "held"


def test_create_exclusive_replaces_nothing(tmp_path):
    (tmp_path / "dangling").symlink_to("target")
    with pytest.raises(FileExistsError):
        _files.create_exclusive(tmp_path / "dangling")
    with _files.create_exclusive(tmp_path / "new") as file:
        file.write(b"abc")
    assert not (tmp_path / "target").exists()
    assert (tmp_path / "new").read_bytes() == b"abc"


def test_kind_of_returns_the_kind_of_a_path(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    assert _files.kind_of(tmp_path / "link") == "a link"
    assert _files.kind_of(tmp_path) == "a directory"
    assert _files.kind_of(tmp_path / "absent") == "missing"
