"""Servers that stall, flood or lie, on real sockets: each is one line, soon. No TensorFlow."""

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
    """Serves connections one after the other, each by answer(connection, request, url)."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    asked = []

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
            asked.append(request)
            answer(connection, request, url)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield url, asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def fetch(url, directory, *, name=NAME, size=None, sha256=None, attempts=1, timeout=TIMEOUT):
    downloader = download.Downloader(
        attempts=attempts, timeout=timeout, sleep=lambda seconds: None, report=lambda line: None
    )
    file = download.RemoteFile(name, (f"{url}/{name}",), size, sha256)
    return downloader.fetch([file], str(directory), dataset_name="toy")[name]


def refused(answer, directory, told, **kwargs):
    """Returns what has been asked."""
    begun = time.monotonic()
    with (
        serving(answer) as (url, asked),
        pytest.raises(_checks.RunError, match=told) as caught,
    ):
        fetch(url, directory, **kwargs)
    assert time.monotonic() - begun < HANG
    message = str(caught.value)
    assert message.startswith(f"toy {kwargs.get('name', NAME)}: ")
    assert message.isprintable()
    assert len(message) < 700
    assert not (directory / NAME).exists()
    return asked


def sending(*parts):
    def answer(connection, request, url):
        for part in parts:
            connection.sendall(part)

    return answer


def trickling(head, part, pause=0.02):
    """Sends `part` again and again, so that no single read takes long."""

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


SLOW_ANSWER = "no complete answer within 0.5 s from http"
SLOW_BODY = "less than 1000 bytes/s within 1 s from http"
ENDLESS = "endless headers or trailers|got more than 100 headers|got more than 65536 bytes"
SLOW = {
    "nothing": (trickling(b"", b"", 1), SLOW_ANSWER),
    "status line": (trickling(b"", b"H"), SLOW_ANSWER),
    "headers": (trickling(OK, b"X"), SLOW_ANSWER),
    "interim answers": (trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), SLOW_ANSWER),
    "redirect's content": (trickling(b"HTTP/1.1 302 F\r\nLocation: /x\r\n\r\n", b"x"), SLOW_ANSWER),
    "body that stalls": (trickling(OK + b"Content-Length: 99\r\n\r\n\x1f", b"", 1), SLOW_BODY),
    "body": (trickling(OK + b"Content-Length: 9999\r\n\r\n\x1f\x8b", b"x"), SLOW_BODY),
    "chunks": (trickling(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), SLOW_BODY),
    "chunk's size": (trickling(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"), SLOW_BODY),
}
ENDLESS_ANSWERS = {
    "status line": flooding(b"", b"H"),
    "header": flooding(OK, b"X"),
    "headers": flooding(OK, b"X: x\r\n"),
    "interim answers": flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "redirect's content": flooding(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("phase", SLOW)
def test_slow_phases_end(tmp_path, phase):
    answer, told = SLOW[phase]
    refused(answer, tmp_path, told, timeout=1 if told == SLOW_BODY else TIMEOUT)


@pytest.mark.parametrize("phase", ENDLESS_ANSWERS)
def test_endless_answers_end(tmp_path, phase):
    refused(ENDLESS_ANSWERS[phase], tmp_path, ENDLESS, timeout=HANG)


def test_an_endless_body_and_endless_trailers_end(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MAX_UNKNOWN_BYTES", 1_000_000)
    refused(flooding(OK + b"\r\n\x1f\x8b", b"x"), tmp_path, "more than 1000000 bytes from")
    refused(flooding(OK + b"\r\n\x1f\x8b", b"x"), tmp_path, "more than 5000 bytes", size=5000)
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n\x1f\r\n0\r\n"
    refused(flooding(chunked, b"X: x\r\n"), tmp_path, ENDLESS, timeout=HANG)
    assert not (tmp_path / NAME).exists()


def test_a_slow_but_steady_body_is_fetched(tmp_path):
    def answer(connection, request, url):
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(CONTENT))
        for start in range(0, len(CONTENT), 1000):
            connection.sendall(CONTENT[start : start + 1000])
            time.sleep(0.1)

    with serving(answer) as (url, _), open(fetch(url, tmp_path, timeout=1.5), "rb") as file:
        assert file.read() == CONTENT


# ---- redirects -----------------------------------------------------------------------------------


def redirecting(place, code=302):
    def answer(connection, request, url):
        head = b"HTTP/1.1 %d Found\r\nLocation: " % code
        connection.sendall(head + place.replace(b"URL", url.encode()) + b"\r\n\r\n")

    return answer


@pytest.mark.parametrize(
    "place, told",
    [
        (b"http://[::1/x", "an invalid address .* from http"),
        (b"http://[zz]/x", "an invalid address|Name or service not known"),
        (b"http://127.0.0.1:port/x", "an invalid address .*port"),
        (
            b"http://127.0.0.1:99999999/x",
            "an invalid address|Servname not supported|Connection refused",
        ),
        (b"http://a..b/x", "an invalid address"),
        (b"http:///x", "no host given|redirects without an end"),
        (b"file:///etc/passwd", "302: a redirect to 'file:///etc/passwd', which is not HTTP"),
        (b"FTP://127.0.0.1/x", "302: a redirect to 'FTP://127.0.0.1/x', which is not HTTP"),
        (b"data:,x", "302: a redirect to 'data:,x', which is not HTTP"),
        (b"", "302: redirects without an end or without an address"),
        (b"/again", "302: redirects without an end or without an address"),
        (b"http://\xff\x01\x1b[2J/", "an invalid address|not known"),
    ],
)
@pytest.mark.parametrize("code", [302, 308])
def test_redirects_that_cannot_be_followed(tmp_path, place, told, code):
    refused(redirecting(place, code), tmp_path, told.replace("302", str(code)), timeout=HANG)


def test_redirects_to_new_addresses_end(tmp_path):
    count = itertools.count()

    def answer(connection, request, url):
        redirecting(b"/%d" % next(count))(connection, request, url)

    asked = refused(answer, tmp_path, "302: redirects without an end", timeout=HANG)
    assert len(asked) <= 12


def test_slow_redirects_share_one_limit(tmp_path):
    count = itertools.count()

    def answer(connection, request, url):
        time.sleep(0.2)
        redirecting(b"/%d" % next(count))(connection, request, url)

    asked = refused(answer, tmp_path, SLOW_ANSWER)
    assert len(asked) <= 4


def test_a_redirect_is_followed(tmp_path):
    def answer(connection, request, url):
        is_first = request.startswith(b"GET /images.tar.gz ")
        redirecting(b"URL/there%20", 307)(connection, request, url) if is_first else (
            connection.sendall(body(CONTENT))
        )

    with serving(answer) as (url, asked), open(fetch(url, tmp_path, timeout=HANG), "rb") as file:
        assert file.read() == CONTENT
        assert asked[1].startswith(b"GET /there%20 ")


# ---- headers that lie ----------------------------------------------------------------------------


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
def test_a_content_length_that_is_no_size(tmp_path, length):
    answer = sending(OK + b"Content-Length: " + length + b"\r\n\r\n" + CONTENT)
    refused(answer, tmp_path, "Content-Length '.*', which is not a size from", attempts=3)


def test_an_enormous_content_length(tmp_path):
    answer = sending(OK + b"Content-Length: 999999999999999999\r\n\r\n" + CONTENT)
    refused(answer, tmp_path, "Content-Length 999999999999999999, more than 1099511627776 bytes")
    told = f"999999999999 bytes, not {len(CONTENT)}, from"
    answer = sending(OK + b"Content-Length: 999999999999\r\n\r\n" + CONTENT)
    refused(answer, tmp_path, told, size=len(CONTENT))


def test_fewer_and_more_bytes_than_promised(tmp_path):
    head = OK + b"Content-Length: %d\r\n\r\n"
    refused(
        sending(head % (len(CONTENT) + 1) + CONTENT),
        tmp_path,
        f"the connection ended after {len(CONTENT)} of {len(CONTENT) + 1} bytes from",
    )
    refused(
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
def test_garbage_instead_of_a_status_line(tmp_path, answer):
    told = r"toy images.tar.gz: \S.* from http"
    assert len(refused(sending(answer), tmp_path, told, attempts=3)) == 3


@pytest.mark.parametrize("code", [b"204", b"203", b"206"])
def test_answers_that_are_no_file(tmp_path, code):
    head = b"HTTP/1.1 " + code + b" x\r\n"
    told = "20[34], which is not a file|206 with Content-Range '', not from byte 0 to the end"
    refused(sending(body(CONTENT, head)), tmp_path, told)


def test_content_that_is_encoded(tmp_path):
    head = OK + b"Content-Encoding: gzip\r\n"
    told = "Content-Encoding 'gzip', which was not asked for"
    refused(sending(body(CONTENT, head)), tmp_path, told, name="names.txt")
    with serving(sending(body(CONTENT, head))) as (url, _), open(fetch(url, tmp_path), "rb") as f:
        assert f.read() == CONTENT, "many servers call a .gz file encoded"


@pytest.mark.parametrize(
    "given", [b"", b"bytes 0-9/20", b"bytes 1001-%d/%d", b"bytes \xb2-5/6", b"bytes 1000-1001/%d"]
)
def test_a_wrong_range_is_not_joined(tmp_path, given):
    import hashlib

    size = len(CONTENT)
    if given.count(b"%d"):
        given %= (size - 1, size)[-given.count(b"%d") :]

    def answer(connection, request, url):
        if b"Range: bytes=1000-" in request:
            head = b"HTTP/1.1 206 Partial\r\nContent-Range: " + given + b"\r\n"
            connection.sendall(body(CONTENT[1000:], head))
        else:
            connection.sendall(body(CONTENT))

    (tmp_path / (NAME + download.PARTIAL)).write_bytes(CONTENT[:1000])
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    with serving(answer) as (url, asked):
        path = fetch(url, tmp_path, size=size, sha256=sha256, attempts=2, timeout=HANG)
    assert len(asked) == 2
    with open(path, "rb") as file:
        assert file.read() == CONTENT


@pytest.mark.parametrize("cut", [1, 2, 300])
def test_a_first_part_of_few_bytes(tmp_path, cut):
    def answer(connection, request, url):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = body(CONTENT)
        start = whole.index(b"\r\n\r\n") + 4 + cut
        connection.sendall(whole[:start])
        time.sleep(0.1)
        connection.sendall(whole[start:])

    with serving(answer) as (url, _), open(fetch(url, tmp_path, timeout=HANG), "rb") as file:
        assert file.read() == CONTENT


def test_a_cut_after_the_first_byte_is_tried_again(tmp_path):
    parts = [CONTENT[:1], CONTENT]

    def answer(connection, request, url):
        head = OK + b"Content-Length: %d\r\n\r\n" % len(CONTENT)
        connection.sendall(head + parts.pop(0))

    with serving(answer) as (url, asked):
        fetch(url, tmp_path, attempts=2, timeout=HANG)
    assert len(asked) == 2


def test_a_failure_is_one_short_line():
    failure = bounded_http.Failure("a\x1b[2J\n" * 1000)
    assert str(failure).startswith("a\\x1b[2J\\n")
    assert len(str(failure)) == 300
