"""HTTP within limits of time and bytes; no TensorFlow.

`http.client` limits single reads only: a server that sends a byte a second is never given up, and
neither are endless headers, redirects with endless content, or trailers.
"""

import http.client
import io
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from slim import _json

MIN_RATE = 1000  # bytes per second of a body
_MAX_OVERHEAD_BYTES = 1 << 20  # up to the body, with answers that redirect; of a read of the body
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # worth another try


class Failure(Exception):
    """An address did not return the file: `passing` if it may do so later, `wrong` if it returned
    something else."""

    def __init__(self, reason: str, *, passing: bool = False, wrong: bool = False) -> None:
        super().__init__(_json.printable(reason)[:300])
        self.passing = passing
        self.wrong = wrong


class Exchange:
    """A request and its answer.

    Args:
      timeout: seconds until the headers are complete, redirects included; then seconds that the
        body may be slower than `MIN_RATE`.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._room = _MAX_OVERHEAD_BYTES
        self._is_body = False
        self._answers: list[http.client.HTTPResponse] = []

    def open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Returns the answer, of which the headers have been read.

        Raises:
          Failure: if it is an error, or a redirect that cannot be followed.
          OSError, http.client.HTTPException: as `urlopen`; with them the body can fail, too.
        """
        try:
            return self._open(request)
        except BaseException:
            for answer in self._answers:  # urllib leaves some open
                answer.close()
            raise

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        opener = urllib.request.build_opener(_Http(self), _Https(self), _Redirects())
        try:
            return opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            code = error.code  # 416: what is there is no beginning of what is offered
            redirects = ": redirects without an end or without an address" * (300 <= code < 400)
            raise Failure(
                f"{code}{redirects}", passing=code in _PASSING, wrong=code == 416
            ) from error
        except (ValueError, OverflowError, http.client.InvalidURL) as error:
            raise Failure(f"an invalid address ({error})") from error

    def begin_body(self) -> None:
        """Starts the limits of the body: its rate, and what comes with each part of it."""
        self._is_body = True
        self._deadline = time.monotonic() + self._timeout

    def received(self) -> None:
        """Notes that a part of the body has come, so that what comes with the next may again."""
        self._room = _MAX_OVERHEAD_BYTES

    def read_into(self, raw: io.RawIOBase, sock: socket.socket, buffer: Any) -> int:
        """Reads from the connection what comes before the deadline, which moves with the body."""
        left = self._deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
            count = raw.readinto(buffer) or 0
        except TimeoutError:
            slow = f"less than {MIN_RATE} bytes/s" if self._is_body else "no complete answer"
            raise TimeoutError(f"{slow} within {self._timeout:g} s") from None
        self._room -= count
        if self._room < 0:
            raise ConnectionError("endless headers or trailers")
        if self._is_body:
            latest = time.monotonic() + self._timeout
            self._deadline = min(latest, self._deadline + count / MIN_RATE)
        return count

    def connect(self, kind: type[http.client.HTTPConnection]) -> Callable[..., Any]:
        """Returns what opens a connection whose answers are read by this exchange."""

        def respond(sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
            response = http.client.HTTPResponse(sock, *args, **kwargs)
            raw = _Connection(self, response.fp.detach(), sock)
            response.fp = io.BufferedReader(raw)
            self._answers.append(response)
            return response

        def connection(host: str, **kwargs: Any) -> http.client.HTTPConnection:
            made = kind(host, **kwargs)
            made.response_class = respond  # type: ignore[assignment]
            return made

        return connection


class _Connection(io.RawIOBase):
    """The bytes that a server sends."""

    def __init__(self, exchange: Exchange, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._exchange, self._raw, self._sock = exchange, raw, sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._exchange.read_into(self._raw, self._sock, buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Http(urllib.request.HTTPHandler):
    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._exchange.connect(http.client.HTTPConnection), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._exchange.connect(http.client.HTTPSConnection), req)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTP alone; urllib would follow them to FTP as well."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: Any, headers: Any) -> Any:
        place = headers.get("Location") or headers.get("URI") or ""
        if urllib.parse.urlsplit(place).scheme not in ("", "http", "https"):
            raise Failure(f"{code}: a redirect to {place[:100]!r}, which is not HTTP")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
