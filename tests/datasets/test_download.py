"""Downloads from a real server on the loopback interface, good and bad. No TensorFlow."""

import errno
import gzip
import hashlib
import os
import subprocess
import sys

import pytest

from datasets import download
from slim import _checks
from tests.datasets import archives_in_the_true_format as archives

CONTENT = gzip.compress(os.urandom(200_000), 1)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "pictures.tar.gz"


@pytest.fixture
def server():
    with archives.served({f"/{place}/{NAME}": CONTENT for place in ("a", "b")}) as state:
        yield state


def wanted(server, places=("a", "b"), size=SIZE, sha256=SHA256, name=NAME):
    return download.RemoteFile(
        name, tuple(f"{server.url}/{place}/{name}" for place in places), size, sha256
    )


def fetch(directory, files, source_dir=None, waited=None, **kwargs):
    waited = [] if waited is None else waited
    downloader = download.Downloader(
        sleep=waited.append, report=kwargs.pop("report", lambda line: None), **kwargs
    )
    files = files if isinstance(files, list) else [files]
    return downloader.fetch(files, str(directory), dataset_name="toy", source_dir=source_dir)


def test_clean(server, tmp_path):
    told = []
    paths = fetch(tmp_path / "new", wanted(server), report=told.append)
    assert paths == {NAME: str(tmp_path / "new" / NAME)}
    assert (tmp_path / "new" / NAME).read_bytes() == CONTENT
    assert os.listdir(tmp_path / "new") == [NAME]
    assert told == [f"Fetching {NAME} from {server.url}/a/{NAME}"]
    assert server.asked == [(f"/a/{NAME}", None)]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    fetch(tmp_path, wanted(server))
    server.asked.clear()
    fetch(tmp_path, wanted(server))
    assert server.asked == []
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"!")
    fetch(tmp_path, wanted(server))
    assert len(server.asked) == 1
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_mirror_after_404(server, tmp_path):
    del server.files[f"/a/{NAME}"]
    waited = []
    fetch(tmp_path, wanted(server), waited=waited)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == [f"/a/{NAME}", f"/b/{NAME}"]
    assert waited == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_errors_that_pass_are_tried_again_with_longer_waits(server, tmp_path, code):
    server.habits[f"/a/{NAME}"] = [archives.status(code)] * 3
    waited = []
    fetch(tmp_path, wanted(server), waited=waited, wait=0.5)
    assert waited == [0.5, 1.0, 2.0]
    assert len(server.asked) == 4


def test_cut_at_half_then_resumed(server, tmp_path):
    server.habits[f"/a/{NAME}"] = [archives.cut_at(0.5)]
    fetch(tmp_path, wanted(server))
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert server.asked == [
        (f"/a/{NAME}", None),
        (f"/a/{NAME}", f"bytes={int(len(CONTENT) * 0.5)}-"),
    ]
    assert os.listdir(tmp_path) == [NAME]


def test_resumed_by_another_run_and_from_another_place(server, tmp_path):
    server.habits[f"/a/{NAME}"] = [archives.cut_at(0.25)]
    with pytest.raises(_checks.RunError, match=r"the connection ended after \d+ of \d+ bytes from"):
        fetch(tmp_path, wanted(server, ["a"]), attempts=1)
    assert os.listdir(tmp_path) == [NAME + download.PARTIAL]
    del server.files[f"/a/{NAME}"]
    fetch(tmp_path, wanted(server))
    assert server.asked[-1] == (f"/b/{NAME}", f"bytes={int(len(CONTENT) * 0.25)}-")
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_server_without_ranges_begins_anew(server, tmp_path):
    server.habits[f"/a/{NAME}"] = [archives.cut_at(0.5), archives.without_ranges]
    fetch(tmp_path, wanted(server))
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_beginning_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / (NAME + download.PARTIAL)).write_bytes(b"\x1f\x8b" + bytes(1000))
    fetch(tmp_path, wanted(server))
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["bytes=1002-", None]


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 5])
def test_a_beginning_as_long_as_the_file(server, tmp_path, length):
    (tmp_path / (NAME + download.PARTIAL)).write_bytes(b"\x1f\x8b" + bytes(length - 2))
    fetch(tmp_path, wanted(server))
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_without_a_checksum_halves_are_not_joined(server, tmp_path):
    (tmp_path / (NAME + download.PARTIAL)).write_bytes(CONTENT[:100])
    fetch(tmp_path, wanted(server, size=None, sha256=None))
    assert server.asked == [(f"/a/{NAME}", None)]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_wrong_hash(server, tmp_path):
    server.files = {f"/{p}/{NAME}": CONTENT[:-1] + b"!" for p in "ab"}
    with pytest.raises(_checks.RunError) as caught:
        fetch(tmp_path, wanted(server))
    message = str(caught.value)
    assert message.startswith(f"toy {NAME}: sha256 is ")
    assert (
        f"not {SHA256} (kept as {NAME}.rejected) from {server.url}/a/{NAME}, sha256 is" in message
    )
    assert f"pass --source_dir=DIR (needs: 1 file(s), {NAME} ({len(CONTENT)} bytes," in message
    assert os.listdir(tmp_path) == [NAME + download.REJECTED]


def test_wrong_size(server, tmp_path):
    server.files[f"/a/{NAME}"] = CONTENT + b"more"
    server.files[f"/b/{NAME}"] = CONTENT[:-7]
    with pytest.raises(
        _checks.RunError,
        match=f"{len(CONTENT) + 4} bytes, not {len(CONTENT)}, from .*{len(CONTENT) - 7} bytes, not",
    ):
        fetch(tmp_path, wanted(server))
    assert os.listdir(tmp_path) == []


def test_more_than_was_announced(server, tmp_path):
    def endless(handler, content):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content + b"more")
        return True

    server.habits[f"/a/{NAME}"] = [endless]
    with pytest.raises(_checks.RunError, match=f"more than {len(CONTENT)} bytes from"):
        fetch(tmp_path, wanted(server, ["a"]))


@pytest.mark.parametrize("known", [True, False])
def test_html_with_status_200_is_no_archive(server, tmp_path, known):
    server.habits[f"/a/{NAME}"] = [archives.html]
    facts = {} if known else {"size": None, "sha256": None}
    fetch(tmp_path, wanted(server, **facts))
    assert (tmp_path / NAME).read_bytes() == CONTENT
    server.habits = {f"/{place}/{NAME}": [archives.html] for place in "ab"}
    os.remove(tmp_path / NAME)
    with pytest.raises(_checks.RunError, match="an HTML page instead of the file from .*/b/"):
        fetch(tmp_path, wanted(server, **facts))
    assert os.listdir(tmp_path) == []


def test_another_kind_of_file(server, tmp_path):
    server.files[f"/a/{NAME}"] = b"PK\x03\x04 and so on"
    with pytest.raises(_checks.RunError, match=r"no \.gz file \(it starts with b'PK"):
        fetch(tmp_path, wanted(server, ["a"], size=None, sha256=None))


def test_a_text_may_not_be_html_either(server, tmp_path):
    server.files["/a/names.txt"] = b"cat\n"
    fetch(tmp_path, wanted(server, ["a"], None, None, "names.txt"))
    assert (tmp_path / "names.txt").read_text() == "cat\n"
    server.habits["/a/other.txt"] = [archives.html]
    with pytest.raises(_checks.RunError, match="an HTML page instead"):
        fetch(tmp_path, wanted(server, ["a"], None, None, "other.txt"))


def test_slow_is_not_wrong_and_silence_is_given_up(server, tmp_path):
    server.habits[f"/a/{NAME}"] = [archives.stalling(0.2)]
    fetch(tmp_path, wanted(server), timeout=5)
    os.remove(tmp_path / NAME)
    server.asked.clear()
    server.habits[f"/a/{NAME}"] = [archives.stalling(2)]
    waited = []
    fetch(tmp_path, wanted(server), timeout=0.3, waited=waited)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert waited == [1.0]
    assert server.asked[1][1].startswith("bytes=")


def test_nobody_listens(tmp_path):
    with archives.served({}) as gone:
        pass
    waited = []
    with pytest.raises(_checks.RunError, match="Connection refused from http"):
        fetch(tmp_path, wanted(gone, ["a"]), waited=waited, attempts=3)
    assert waited == [1.0, 2.0]


def test_all_the_statuses_are_told(server, tmp_path):
    server.habits[f"/a/{NAME}"] = [archives.status(403)]
    del server.files[f"/b/{NAME}"]
    with pytest.raises(_checks.RunError) as caught:
        fetch(tmp_path, [wanted(server), wanted(server, name="z.tgz")])
    assert str(caught.value) == (
        f"toy {NAME}: 403 from {server.url}/a/{NAME}, 404 from {server.url}/b/{NAME}."
        " Download it yourself and pass --source_dir=DIR (needs: 2 file(s),"
        f" {NAME} ({len(CONTENT)} bytes, sha256 {SHA256});"
        f" z.tgz ({len(CONTENT)} bytes, sha256 {SHA256}))"
    )


def test_a_file_without_address(tmp_path):
    with pytest.raises(_checks.RunError, match="x.zip: it has no address. Download it"):
        fetch(tmp_path, download.RemoteFile("x.zip", ()))


@pytest.mark.parametrize("name", ["", "..", "a/b.zip", "/etc/passwd"])
def test_names_that_are_paths(tmp_path, name):
    with pytest.raises(ValueError, match="of a RemoteFile is not a plain file name"):
        fetch(tmp_path, download.RemoteFile(name, ()))


def test_no_attempts():
    with pytest.raises(_checks.UserError, match="attempts=0 must be positive"):
        download.Downloader(attempts=0)


# ---- files fetched by hand -----------------------------------------------------------------------


def test_source_dir(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    paths = fetch(tmp_path / "out", wanted(server), source_dir=str(tmp_path))
    assert paths == {NAME: str(tmp_path / NAME)}
    assert server.asked == []
    assert not (tmp_path / "out").exists()


def test_source_dir_says_all_that_is_wrong(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"!")
    (tmp_path / "b.zip").write_bytes(b"<html>")
    with pytest.raises(_checks.UserError) as caught:
        fetch(
            tmp_path,
            [
                wanted(server),
                wanted(server, sha256=None, size=None, name="b.zip"),
                wanted(server, name="c.tgz", sha256=None),
            ],
            source_dir=str(tmp_path),
        )
    message = str(caught.value)
    assert message.startswith(f"toy cannot be made from source_dir='{tmp_path}': {NAME} (")
    assert f": sha256 is {hashlib.sha256(CONTENT[:-1] + b'!').hexdigest()}, not" in message
    assert "b.zip: an HTML page instead of the file; c.tgz (" in message
    assert message.endswith("bytes): is not there")


# ---- the disk ------------------------------------------------------------------------------------


def test_no_room_is_told_before_anything_is_fetched(server, tmp_path, monkeypatch):
    free = type("Usage", (), {"free": len(CONTENT) - 1})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: free)
    with pytest.raises(_checks.RunError, match="No room for the download in .* are needed"):
        fetch(tmp_path, wanted(server))
    assert server.asked == []


def test_a_disk_that_fills_up(server, tmp_path, monkeypatch):
    real = download._files.open_output

    class Full:
        def __init__(self, file):
            self.file, self.room = file, 100_000

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def write(self, data):
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(data)

        def flush(self):
            self.file.flush()

    monkeypatch.setattr(
        download._files, "open_output", lambda path, append: Full(real(path, append=append))
    )
    monkeypatch.setattr(download, "_CHUNK", 1 << 14)
    with pytest.raises(
        _checks.RunError, match=r"tar.gz could not be written: No space left on device. What is"
    ) as caught:
        fetch(tmp_path, wanted(server))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert 0 < (tmp_path / (NAME + download.PARTIAL)).stat().st_size <= 100_000
    server.asked.clear()
    fetch(tmp_path, wanted(server))
    assert server.asked[0][1].startswith("bytes=")
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("ending", ["", download.PARTIAL, download.REJECTED])
@pytest.mark.parametrize("kind", ["directory", "link", "FIFO"])
def test_what_is_no_regular_file_is_refused_and_untouched(server, tmp_path, ending, kind):
    path = tmp_path / "downloads" / (NAME + ending)
    path.parent.mkdir()
    (tmp_path / "mine").write_text("mine")
    {"directory": path.mkdir, "link": lambda: path.symlink_to("../mine"),
     "FIFO": lambda: os.mkfifo(path)}[kind]()  # fmt: skip
    with pytest.raises(_checks.UserError, match=f"{NAME}{ending} is a {kind}, which is never rep"):
        fetch(path.parent, wanted(server))
    assert os.listdir(path.parent) == [path.name]
    assert (tmp_path / "mine").read_text() == "mine"
    assert server.asked == []


def test_no_tensorflow():
    code = (
        "import sys; from datasets import archives, download;"
        " assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
