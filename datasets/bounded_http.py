"""HTTP with limits on time and bytes; no TensorFlow.

The timeout of `http.client` applies to single reads only: it does not end a connection that sends a
byte per second, endless headers or trailers, or redirects with endless content.
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
_MAX_OVERHEAD_BYTES = 1 << 20  # before the body, redirects included; per read of the body
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # worth a retry


class Failure(Exception):
    """A URL did not return the file: `transient` if a retry may succeed, `wrong` if the content is
    not the file's."""

    def __init__(self, reason: str, *, transient: bool = False, wrong: bool = False) -> None:
        super().__init__(_json.printable(reason)[:300])
        self.transient = transient
        self.wrong = wrong


class Exchange:
    """A request and its response.

    Args:
      timeout: seconds until the headers are complete, redirects included; then seconds for which
        the body may be slower than `MIN_RATE`.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._allowance = _MAX_OVERHEAD_BYTES
        self._is_body = False
        self._responses: list[http.client.HTTPResponse] = []

    def open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Returns the response, whose headers have been read.

        Raises:
          Failure: if the response is an error, or a redirect that cannot be followed.
          OSError, http.client.HTTPException: like `urlopen`; reading the body may raise them, too.
        """
        try:
            return self._open(request)
        except BaseException:
            for response in self._responses:  # urllib leaves some open
                response.close()
            raise

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        opener = urllib.request.build_opener(_Http(self), _Https(self), _Redirects())
        try:
            return opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            code = error.code  # 416: the partial file is longer than the file
            reason = (
                f"{code}: too many redirects, or one without a URL" if code < 400 else str(code)
            )
            raise Failure(reason, transient=code in _TRANSIENT, wrong=code == 416) from error
        except (ValueError, OverflowError, http.client.InvalidURL) as error:
            raise Failure(f"an invalid URL ({error})") from error

    def begin_body(self) -> None:
        """Switches to the limits of the body: its rate, and the overhead of each read."""
        self._is_body = True
        self._deadline = time.monotonic() + self._timeout

    def received(self) -> None:
        """Resets the allowed overhead after a part of the body has been read."""
        self._allowance = _MAX_OVERHEAD_BYTES

    def read_into(self, raw: io.RawIOBase, sock: socket.socket, buffer: Any) -> int:
        """Reads from the connection until the deadline, which each part of the body extends."""
        remaining = self._deadline - time.monotonic()
        try:
            if remaining <= 0:
                raise TimeoutError
            sock.settimeout(remaining)
            count = raw.readinto(buffer) or 0
        except TimeoutError:
            slow = f"less than {MIN_RATE} bytes/s" if self._is_body else "no complete response"
            raise TimeoutError(f"{slow} within {self._timeout:g} s") from None
        self._allowance -= count
        if self._allowance < 0:
            raise ConnectionError("endless headers or trailers")
        if self._is_body:
            latest = time.monotonic() + self._timeout
            self._deadline = min(latest, self._deadline + count / MIN_RATE)
        return count

    def connect(self, kind: type[http.client.HTTPConnection]) -> Callable[..., Any]:
        """Returns a function that opens a connection whose responses this exchange reads."""

        def respond(sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
            response = http.client.HTTPResponse(sock, *args, **kwargs)
            raw = _Connection(self, response.fp.detach(), sock)
            response.fp = io.BufferedReader(raw)
            self._responses.append(response)
            return response

        def connection(host: str, **kwargs: Any) -> http.client.HTTPConnection:
            opened = kind(host, **kwargs)
            opened.response_class = respond  # type: ignore[assignment]
            return opened

        return connection


class _Connection(io.RawIOBase):
    """The bytes from a server, read within the limits of an exchange."""

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
    """Follows redirects to HTTP and HTTPS only; urllib would follow them to FTP as well."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: Any, headers: Any) -> Any:
        url = headers.get("Location") or headers.get("URI") or ""
        if urllib.parse.urlsplit(url).scheme not in ("", "http", "https"):
            raise Failure(f"{code}: a redirect to {url[:100]!r}, which is not HTTP")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
