"""Downloads from a local server, with and without faults. No TensorFlow."""

import errno
import gzip
import hashlib
import os
import subprocess
import sys

import pytest

from datasets import download
from slim import _checks
from tests.datasets import sample_files

CONTENT = gzip.compress(os.urandom(200_000), 1)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "images.tar.gz"


@pytest.fixture
def server():
    with sample_files.served({f"/{mirror}/{NAME}": CONTENT for mirror in ("a", "b")}) as state:
        yield state


def remote_file(server, mirrors=("a", "b"), size=SIZE, sha256=SHA256, name=NAME):
    return download.RemoteFile(
        name, tuple(f"{server.url}/{mirror}/{name}" for mirror in mirrors), size, sha256
    )


def fetch(directory, files, source_dir=None, waits=None, **kwargs):
    waits = [] if waits is None else waits
    downloader = download.Downloader(
        sleep=waits.append, report=kwargs.pop("report", lambda line: None), **kwargs
    )
    files = files if isinstance(files, list) else [files]
    return downloader.fetch(files, str(directory), dataset_name="toy", source_dir=source_dir)


def test_download_from_the_first_url(server, tmp_path):
    lines = []
    paths = fetch(tmp_path / "new", remote_file(server), report=lines.append)
    assert paths == {NAME: str(tmp_path / "new" / NAME)}
    assert (tmp_path / "new" / NAME).read_bytes() == CONTENT
    assert os.listdir(tmp_path / "new") == [NAME]
    assert lines == [f"Downloading {NAME} from {server.url}/a/{NAME}"]
    assert server.requests == [(f"/a/{NAME}", None)]


def test_intact_file_is_not_downloaded_again(server, tmp_path):
    fetch(tmp_path, remote_file(server))
    server.requests.clear()
    fetch(tmp_path, remote_file(server))
    assert server.requests == []
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"!")
    fetch(tmp_path, remote_file(server))
    assert len(server.requests) == 1
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_mirror_is_used_after_404(server, tmp_path):
    del server.files[f"/a/{NAME}"]
    waits = []
    fetch(tmp_path, remote_file(server), waits=waits)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == [f"/a/{NAME}", f"/b/{NAME}"]
    assert waits == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_transient_errors_are_retried_with_doubled_waits(server, tmp_path, code):
    server.behaviors[f"/a/{NAME}"] = [sample_files.status(code)] * 3
    waits = []
    fetch(tmp_path, remote_file(server), waits=waits, wait=0.5)
    assert waits == [0.5, 1.0, 2.0]
    assert len(server.requests) == 4


def test_interrupted_download_resumes(server, tmp_path):
    server.behaviors[f"/a/{NAME}"] = [sample_files.truncated(0.5)]
    fetch(tmp_path, remote_file(server))
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert server.requests == [
        (f"/a/{NAME}", None),
        (f"/a/{NAME}", f"bytes={int(len(CONTENT) * 0.5)}-"),
    ]
    assert os.listdir(tmp_path) == [NAME]


def test_another_run_resumes_from_a_mirror(server, tmp_path):
    server.behaviors[f"/a/{NAME}"] = [sample_files.truncated(0.25)]
    with pytest.raises(_checks.RunError, match=r"the connection ended after \d+ of \d+ bytes from"):
        fetch(tmp_path, remote_file(server, ["a"]), attempts=1)
    assert os.listdir(tmp_path) == [NAME + download.PARTIAL]
    del server.files[f"/a/{NAME}"]
    fetch(tmp_path, remote_file(server))
    assert server.requests[-1] == (f"/b/{NAME}", f"bytes={int(len(CONTENT) * 0.25)}-")
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_server_without_ranges_starts_over(server, tmp_path):
    server.behaviors[f"/a/{NAME}"] = [sample_files.truncated(0.5), sample_files.without_ranges]
    fetch(tmp_path, remote_file(server))
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_partial_file_of_another_file_is_discarded(server, tmp_path):
    (tmp_path / (NAME + download.PARTIAL)).write_bytes(b"\x1f\x8b" + bytes(1000))
    fetch(tmp_path, remote_file(server))
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert [byte_range for _, byte_range in server.requests] == ["bytes=1002-", None]


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 5])
def test_partial_file_as_long_as_the_file_is_verified(server, tmp_path, length):
    (tmp_path / (NAME + download.PARTIAL)).write_bytes(b"\x1f\x8b" + bytes(length - 2))
    fetch(tmp_path, remote_file(server))
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_partial_file_is_discarded_without_a_checksum(server, tmp_path):
    (tmp_path / (NAME + download.PARTIAL)).write_bytes(CONTENT[:100])
    fetch(tmp_path, remote_file(server, size=None, sha256=None))
    assert server.requests == [(f"/a/{NAME}", None)]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_wrong_checksum_is_reported_and_the_file_kept(server, tmp_path):
    server.files = {f"/{p}/{NAME}": CONTENT[:-1] + b"!" for p in "ab"}
    with pytest.raises(_checks.RunError) as caught:
        fetch(tmp_path, remote_file(server))
    message = str(caught.value)
    assert message.startswith(f"Could not download {NAME} for toy: sha256 is ")
    assert (
        f"not {SHA256} (kept as {NAME}.rejected) from {server.url}/a/{NAME}, sha256 is" in message
    )
    assert f"set source_dir to a directory with {NAME} ({len(CONTENT)} bytes," in message
    assert os.listdir(tmp_path) == [NAME + download.REJECTED]


def test_wrong_size_is_reported(server, tmp_path):
    server.files[f"/a/{NAME}"] = CONTENT + b"more"
    server.files[f"/b/{NAME}"] = CONTENT[:-7]
    with pytest.raises(
        _checks.RunError,
        match=f"{len(CONTENT) + 4} bytes, not {len(CONTENT)}, from .*{len(CONTENT) - 7} bytes, not",
    ):
        fetch(tmp_path, remote_file(server))
    assert os.listdir(tmp_path) == []


def test_content_beyond_the_known_size_is_rejected(server, tmp_path):
    def endless(handler, content):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content + b"more")
        return True

    server.behaviors[f"/a/{NAME}"] = [endless]
    with pytest.raises(_checks.RunError, match=f"more than {len(CONTENT)} bytes from"):
        fetch(tmp_path, remote_file(server, ["a"]))


@pytest.mark.parametrize("known", [True, False])
def test_html_with_status_200_is_rejected(server, tmp_path, known):
    server.behaviors[f"/a/{NAME}"] = [sample_files.html]
    facts = {} if known else {"size": None, "sha256": None}
    fetch(tmp_path, remote_file(server, **facts))
    assert (tmp_path / NAME).read_bytes() == CONTENT
    server.behaviors = {f"/{mirror}/{NAME}": [sample_files.html] for mirror in "ab"}
    os.remove(tmp_path / NAME)
    with pytest.raises(_checks.RunError, match="an HTML page instead of the file from .*/b/"):
        fetch(tmp_path, remote_file(server, **facts))
    assert os.listdir(tmp_path) == []


def test_wrong_file_type_is_rejected(server, tmp_path):
    server.files[f"/a/{NAME}"] = b"PK\x03\x04 and so on"
    with pytest.raises(_checks.RunError, match=r"not a \.gz file \(it starts with b'PK"):
        fetch(tmp_path, remote_file(server, ["a"], size=None, sha256=None))


def test_html_instead_of_text_is_rejected(server, tmp_path):
    server.files["/a/names.txt"] = b"cat\n"
    fetch(tmp_path, remote_file(server, ["a"], None, None, "names.txt"))
    assert (tmp_path / "names.txt").read_text() == "cat\n"
    server.behaviors["/a/other.txt"] = [sample_files.html]
    with pytest.raises(_checks.RunError, match="an HTML page instead"):
        fetch(tmp_path, remote_file(server, ["a"], None, None, "other.txt"))


def test_slow_download_succeeds_and_stalled_download_is_retried(server, tmp_path):
    server.behaviors[f"/a/{NAME}"] = [sample_files.stalling(0.2)]
    fetch(tmp_path, remote_file(server), timeout=5)
    os.remove(tmp_path / NAME)
    server.requests.clear()
    server.behaviors[f"/a/{NAME}"] = [sample_files.stalling(2)]
    waits = []
    fetch(tmp_path, remote_file(server), timeout=0.3, waits=waits)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert waits == [1.0]
    assert server.requests[1][1].startswith("bytes=")


def test_refused_connection_is_retried(tmp_path):
    with sample_files.served({}) as gone:
        pass
    waits = []
    with pytest.raises(_checks.RunError, match=": Connection refused from http"):
        fetch(tmp_path, remote_file(gone, ["a"]), waits=waits, attempts=3)
    assert waits == [1.0, 2.0]


def test_error_lists_status_of_every_url(server, tmp_path):
    server.behaviors[f"/a/{NAME}"] = [sample_files.status(403)]
    del server.files[f"/b/{NAME}"]
    with pytest.raises(_checks.RunError) as caught:
        fetch(tmp_path, [remote_file(server), remote_file(server, name="z.tgz")])
    assert str(caught.value) == (
        f"Could not download {NAME} for toy: 403 from {server.url}/a/{NAME}, 404 from"
        f" {server.url}/b/{NAME}. Download it by hand and set source_dir to a directory with"
        f" {NAME} ({len(CONTENT)} bytes, sha256 {SHA256});"
        f" z.tgz ({len(CONTENT)} bytes, sha256 {SHA256})"
    )


def test_file_without_url_is_reported(tmp_path):
    with pytest.raises(_checks.RunError, match="x.zip for toy: it has no URL. Download it"):
        fetch(tmp_path, download.RemoteFile("x.zip", ()))


@pytest.mark.parametrize("name", ["", "..", "a/b.zip", "/etc/passwd"])
def test_name_with_directory_is_rejected(tmp_path, name):
    with pytest.raises(ValueError, match="of a RemoteFile is not a plain file name"):
        fetch(tmp_path, download.RemoteFile(name, ()))


def test_zero_attempts_are_rejected():
    with pytest.raises(_checks.UserError, match="attempts=0 must be positive"):
        download.Downloader(attempts=0)


# ---- files from source_dir -----------------------------------------------------------------------


def test_source_dir_replaces_the_download(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    paths = fetch(tmp_path / "out", remote_file(server), source_dir=str(tmp_path))
    assert paths == {NAME: str(tmp_path / NAME)}
    assert server.requests == []
    assert not (tmp_path / "out").exists()


def test_source_dir_error_lists_every_problem(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"!")
    (tmp_path / "b.zip").write_bytes(b"<html>")
    with pytest.raises(_checks.UserError) as caught:
        fetch(
            tmp_path,
            [
                remote_file(server),
                remote_file(server, sha256=None, size=None, name="b.zip"),
                remote_file(server, name="c.tgz", sha256=None),
            ],
            source_dir=str(tmp_path),
        )
    message = str(caught.value)
    assert message.startswith(f"source_dir='{tmp_path}' lacks files of toy: {NAME} (")
    assert f": sha256 is {hashlib.sha256(CONTENT[:-1] + b'!').hexdigest()}, not" in message
    assert "b.zip: an HTML page instead of the file; c.tgz (" in message
    assert message.endswith("bytes): missing")


# ---- the disk ------------------------------------------------------------------------------------


def test_missing_disk_space_is_reported_before_the_download(server, tmp_path, monkeypatch):
    free = type("Usage", (), {"free": len(CONTENT) - 1})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: free)
    with pytest.raises(_checks.RunError, match="Not enough space for the download in .* MB needed"):
        fetch(tmp_path, remote_file(server))
    assert server.requests == []


def test_download_resumes_after_a_full_disk(server, tmp_path, monkeypatch):
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
        _checks.RunError, match=r"tar.gz could not be written: No space left on device. The partial"
    ) as caught:
        fetch(tmp_path, remote_file(server))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert 0 < (tmp_path / (NAME + download.PARTIAL)).stat().st_size <= 100_000
    server.requests.clear()
    fetch(tmp_path, remote_file(server))
    assert server.requests[0][1].startswith("bytes=")
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("ending", ["", download.PARTIAL, download.REJECTED])
@pytest.mark.parametrize("kind", ["directory", "link", "FIFO"])
def test_existing_links_directories_and_fifos_are_rejected_and_unchanged(
    server, tmp_path, ending, kind
):
    path = tmp_path / "downloads" / (NAME + ending)
    path.parent.mkdir()
    (tmp_path / "mine").write_text("mine")
    {"directory": path.mkdir, "link": lambda: path.symlink_to("../mine"),
     "FIFO": lambda: os.mkfifo(path)}[kind]()  # fmt: skip
    with pytest.raises(_checks.UserError, match=f"{NAME}{ending} is a {kind}, which is never rep"):
        fetch(path.parent, remote_file(server))
    assert os.listdir(path.parent) == [path.name]
    assert (tmp_path / "mine").read_text() == "mine"
    assert server.requests == []


def test_download_modules_do_not_load_tensorflow():
    code = (
        "import sys; from datasets import archives, download;"
        " assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
