"""Servers that stall, flood or send wrong headers: each is a prompt error. No TensorFlow."""

import contextlib
import gzip
import itertools
import os
import socket
import threading
import time

import pytest

from datasets import bounded_http, download
from slim import _checks

CONTENT = gzip.compress(os.urandom(20_000), 1)
NAME = "images.tar.gz"
TIMEOUT = 0.5
HANG = 20  # seconds; far above TIMEOUT, since the machine may be busy
OK = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def serving(answer):
    """Serves each connection by answer(connection, request, url)."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    requests = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=[connection], daemon=True).start()

    def handle(connection):
        with connection, contextlib.suppress(OSError):
            request = connection.recv(65536)
            requests.append(request)
            answer(connection, request, url)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield url, requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def fetch(url, directory, *, name=NAME, size=None, sha256=None, attempts=1, timeout=TIMEOUT):
    downloader = download.Downloader(
        attempts=attempts, timeout=timeout, sleep=lambda seconds: None, report=lambda line: None
    )
    file = download.RemoteFile(name, (f"{url}/{name}",), size, sha256)
    return downloader.fetch([file], str(directory), dataset_name="toy")[name]


def assert_rejected(answer, directory, expected, **kwargs):
    """Asserts that the download fails promptly in one line; returns the requests."""
    start = time.monotonic()
    with (
        serving(answer) as (url, requests),
        pytest.raises(_checks.RunError, match=expected) as caught,
    ):
        fetch(url, directory, **kwargs)
    assert time.monotonic() - start < HANG
    message = str(caught.value)
    assert message.startswith(f"Could not download {kwargs.get('name', NAME)} for toy: ")
    assert message.isprintable()
    assert len(message) < 700
    assert not (directory / NAME).exists()
    return requests


def sending(*parts):
    def answer(connection, request, url):
        for part in parts:
            connection.sendall(part)

    return answer


def trickling(head, part, pause=0.02):
    """Sends `part` repeatedly, so that no single read times out."""

    def answer(connection, request, url):
        connection.sendall(head)
        while True:
            connection.sendall(part)
            time.sleep(pause)

    return answer


def flooding(head, part):
    return sending(head, *itertools.repeat(part * 2000, 20_000))


def body(content, head=OK):
    return head + b"Content-Length: %d\r\n\r\n" % len(content) + content


SLOW_RESPONSE = "no complete response within 0.5 s from http"
SLOW_BODY = "less than 1000 bytes/s within 1 s from http"
ENDLESS = "endless headers or trailers|got more than 100 headers|got more than 65536 bytes"
SLOW = {
    "nothing": (trickling(b"", b"", 1), SLOW_RESPONSE),
    "status line": (trickling(b"", b"H"), SLOW_RESPONSE),
    "headers": (trickling(OK, b"X"), SLOW_RESPONSE),
    "interim responses": (trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), SLOW_RESPONSE),
    "redirect's content": (
        trickling(b"HTTP/1.1 302 F\r\nLocation: /x\r\n\r\n", b"x"),
        SLOW_RESPONSE,
    ),
    "body that stalls": (trickling(OK + b"Content-Length: 99\r\n\r\n\x1f", b"", 1), SLOW_BODY),
    "body": (trickling(OK + b"Content-Length: 9999\r\n\r\n\x1f\x8b", b"x"), SLOW_BODY),
    "chunks": (trickling(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), SLOW_BODY),
    "chunk's size": (trickling(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"), SLOW_BODY),
}
ENDLESS_RESPONSES = {
    "status line": flooding(b"", b"H"),
    "header": flooding(OK, b"X"),
    "headers": flooding(OK, b"X: x\r\n"),
    "interim responses": flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "redirect's content": flooding(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("phase", SLOW)
def test_slow_response_times_out(tmp_path, phase):
    answer, expected = SLOW[phase]
    assert_rejected(answer, tmp_path, expected, timeout=1 if expected == SLOW_BODY else TIMEOUT)


@pytest.mark.parametrize("phase", ENDLESS_RESPONSES)
def test_endless_response_is_rejected(tmp_path, phase):
    assert_rejected(ENDLESS_RESPONSES[phase], tmp_path, ENDLESS, timeout=HANG)


def test_endless_body_and_trailers_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MAX_UNKNOWN_BYTES", 1_000_000)
    assert_rejected(flooding(OK + b"\r\n\x1f\x8b", b"x"), tmp_path, "more than 1000000 bytes from")
    assert_rejected(
        flooding(OK + b"\r\n\x1f\x8b", b"x"), tmp_path, "more than 5000 bytes", size=5000
    )
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n\x1f\r\n0\r\n"
    assert_rejected(flooding(chunked, b"X: x\r\n"), tmp_path, ENDLESS, timeout=HANG)
    assert not (tmp_path / NAME).exists()


def test_slow_but_steady_body_is_downloaded(tmp_path):
    def answer(connection, request, url):
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(CONTENT))
        for start in range(0, len(CONTENT), 1000):
            connection.sendall(CONTENT[start : start + 1000])
            time.sleep(0.1)

    with serving(answer) as (url, _), open(fetch(url, tmp_path, timeout=1.5), "rb") as file:
        assert file.read() == CONTENT


# ---- redirects -----------------------------------------------------------------------------------


def redirecting(location, code=302):
    def answer(connection, request, url):
        head = b"HTTP/1.1 %d Found\r\nLocation: " % code
        connection.sendall(head + location.replace(b"URL", url.encode()) + b"\r\n\r\n")

    return answer


@pytest.mark.parametrize(
    "location, expected",
    [
        (b"http://[::1/x", "an invalid URL .* from http"),
        (b"http://[zz]/x", "an invalid URL|Name or service not known"),
        (b"http://127.0.0.1:port/x", "an invalid URL .*port"),
        (
            b"http://127.0.0.1:99999999/x",
            "an invalid URL|Servname not supported|Connection refused",
        ),
        (b"http://a..b/x", "an invalid URL"),
        (b"http:///x", "no host given|too many redirects"),
        (b"file:///etc/passwd", "302: a redirect to 'file:///etc/passwd', which is not HTTP"),
        (b"FTP://127.0.0.1/x", "302: a redirect to 'FTP://127.0.0.1/x', which is not HTTP"),
        (b"data:,x", "302: a redirect to 'data:,x', which is not HTTP"),
        (b"", "302: too many redirects, or one without a URL"),
        (b"/again", "302: too many redirects, or one without a URL"),
        (b"http://\xff\x01\x1b[2J/", "an invalid URL|not known"),
    ],
)
@pytest.mark.parametrize("code", [302, 308])
def test_invalid_redirect_is_rejected(tmp_path, location, expected, code):
    assert_rejected(
        redirecting(location, code), tmp_path, expected.replace("302", str(code)), timeout=HANG
    )


def test_endless_redirects_are_rejected(tmp_path):
    count = itertools.count()

    def answer(connection, request, url):
        redirecting(b"/%d" % next(count))(connection, request, url)

    requests = assert_rejected(answer, tmp_path, "302: too many redirects", timeout=HANG)
    assert len(requests) <= 12


def test_slow_redirects_share_one_timeout(tmp_path):
    count = itertools.count()

    def answer(connection, request, url):
        time.sleep(0.2)
        redirecting(b"/%d" % next(count))(connection, request, url)

    requests = assert_rejected(answer, tmp_path, SLOW_RESPONSE)
    assert len(requests) <= 4


def test_redirect_is_followed(tmp_path):
    def answer(connection, request, url):
        is_first = request.startswith(b"GET /images.tar.gz ")
        redirecting(b"URL/there%20", 307)(connection, request, url) if is_first else (
            connection.sendall(body(CONTENT))
        )

    with serving(answer) as (url, requests), open(fetch(url, tmp_path, timeout=HANG), "rb") as file:
        assert file.read() == CONTENT
        assert requests[1].startswith(b"GET /there%20 ")


# ---- wrong headers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "length",
    [
        b"9" * 5000,
        b"9" * 19,
        b"-1",
        b"+5",
        b"1_0",
        b"\xb2",
        b"1.5",
        b"0x10",
        b"",
        b"10, 10",
        b"1e3",
    ],
)
def test_invalid_content_length_is_rejected(tmp_path, length):
    answer = sending(OK + b"Content-Length: " + length + b"\r\n\r\n" + CONTENT)
    assert_rejected(answer, tmp_path, "Content-Length '.*', which is not a size from", attempts=3)


def test_huge_content_length_is_rejected(tmp_path):
    answer = sending(OK + b"Content-Length: 999999999999999999\r\n\r\n" + CONTENT)
    assert_rejected(
        answer, tmp_path, "Content-Length 999999999999999999, more than 1099511627776 bytes"
    )
    expected = f"999999999999 bytes, not {len(CONTENT)}, from"
    answer = sending(OK + b"Content-Length: 999999999999\r\n\r\n" + CONTENT)
    assert_rejected(answer, tmp_path, expected, size=len(CONTENT))


def test_body_shorter_or_longer_than_announced_is_rejected(tmp_path):
    head = OK + b"Content-Length: %d\r\n\r\n"
    assert_rejected(
        sending(head % (len(CONTENT) + 1) + CONTENT),
        tmp_path,
        f"the connection ended after {len(CONTENT)} of {len(CONTENT) + 1} bytes from",
    )
    assert_rejected(
        sending(head % (len(CONTENT) + 1) + CONTENT + b"more"),
        tmp_path,
        f"{len(CONTENT) + 1} bytes, not {len(CONTENT)}, from",
        size=len(CONTENT),
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"\0\x1b[2J\xff" * 100,
        b"HTTP/1.1 9999 x\r\n\r\n",
        b"HTTP/1.1 abc\r\n",
    ],
)
def test_invalid_status_line_is_rejected(tmp_path, answer):
    expected = r"Could not download images.tar.gz for toy: \S.* from http"
    assert len(assert_rejected(sending(answer), tmp_path, expected, attempts=3)) == 3


@pytest.mark.parametrize("code", [b"204", b"203", b"206"])
def test_status_that_is_not_a_file_is_rejected(tmp_path, code):
    head = b"HTTP/1.1 " + code + b" x\r\n"
    expected = "20[34], which is not a file|206 with Content-Range '', not from byte 0 to the end"
    assert_rejected(sending(body(CONTENT, head)), tmp_path, expected)


def test_content_encoding_is_accepted_for_gz_only(tmp_path):
    head = OK + b"Content-Encoding: gzip\r\n"
    expected = "Content-Encoding 'gzip', which was not requested"
    assert_rejected(sending(body(CONTENT, head)), tmp_path, expected, name="names.txt")
    with serving(sending(body(CONTENT, head))) as (url, _), open(fetch(url, tmp_path), "rb") as f:
        assert f.read() == CONTENT, "many servers declare a .gz file as encoded"


@pytest.mark.parametrize(
    "content_range",
    [b"", b"bytes 0-9/20", b"bytes 1001-%d/%d", b"bytes \xb2-5/6", b"bytes 1000-1001/%d"],
)
def test_wrong_content_range_starts_over(tmp_path, content_range):
    import hashlib

    size = len(CONTENT)
    if content_range.count(b"%d"):
        content_range %= (size - 1, size)[-content_range.count(b"%d") :]

    def answer(connection, request, url):
        if b"Range: bytes=1000-" in request:
            head = b"HTTP/1.1 206 Partial\r\nContent-Range: " + content_range + b"\r\n"
            connection.sendall(body(CONTENT[1000:], head))
        else:
            connection.sendall(body(CONTENT))

    (tmp_path / (NAME + download.PARTIAL)).write_bytes(CONTENT[:1000])
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    with serving(answer) as (url, requests):
        path = fetch(url, tmp_path, size=size, sha256=sha256, attempts=2, timeout=HANG)
    assert len(requests) == 2
    with open(path, "rb") as file:
        assert file.read() == CONTENT


@pytest.mark.parametrize("size", [1, 2, 300])
def test_short_first_read_is_accepted(tmp_path, size):
    def answer(connection, request, url):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        response = body(CONTENT)
        start = response.index(b"\r\n\r\n") + 4 + size
        connection.sendall(response[:start])
        time.sleep(0.1)
        connection.sendall(response[start:])

    with serving(answer) as (url, _), open(fetch(url, tmp_path, timeout=HANG), "rb") as file:
        assert file.read() == CONTENT


def test_connection_lost_after_the_first_byte_is_retried(tmp_path):
    parts = [CONTENT[:1], CONTENT]

    def answer(connection, request, url):
        head = OK + b"Content-Length: %d\r\n\r\n" % len(CONTENT)
        connection.sendall(head + parts.pop(0))

    with serving(answer) as (url, requests):
        fetch(url, tmp_path, attempts=2, timeout=HANG)
    assert len(requests) == 2


def test_failure_is_one_short_line():
    failure = bounded_http.Failure("a\x1b[2J\n" * 1000)
    assert str(failure).startswith("a\\x1b[2J\\n")
    assert len(str(failure)) == 300
