"""HTTP: paths, methods, limits and statuses."""

import asyncio
import functools
import http
import pathlib
import re
import string
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from tornado import iostream, web

from classifier.serving.inputs import RequestError
from classifier.serving.service import Service

_DISCARDED_BYTES = 1 << 30  # of a body that is too large, before the connection is closed
_DIGITS = 19  # Tornado refuses a longer Content-Length
_PAGE = pathlib.Path(__file__).parent / "page"
_HEADERS = {
    "Server": "slim",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
_MODEL = re.compile(r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+))?(?P<rest>.*)")
_GONE = 499  # nginx's status for a client that has closed the connection
_FILES = {"/": "index.html", "/style.css": "style.css", "/script.js": "script.js"}


class _Content(NamedTuple):
    body: bytes
    type: str = "application/json"


class _Route(NamedTuple):
    action: str
    answer: Callable[["Handler"], Awaitable[_Content]]
    methods: tuple[str, ...] = ("GET", "HEAD")


@web.stream_request_body
class Handler(web.RequestHandler):
    """Handles every request.

    A body is received only as far as the limits allow. The rest of one that is refused is
    discarded, since many clients read no answer before they have sent all.
    """

    def initialize(self, service: Service) -> None:
        """Sets the service; Tornado calls it for each request."""
        self.service, self.action = service, "other"
        self._started = time.monotonic()
        self._is_counted = self._is_admitted = self._is_answering = self._is_gone = False
        self._received = bytearray()
        self._problem: RequestError | None = None

    def set_default_headers(self) -> None:
        """Sets the headers of every answer."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Checks the headers, before the body is received."""
        self.service.telemetry.active += 1
        self._is_counted = True
        self.request.connection.set_max_body_size(_DISCARDED_BYTES)
        try:
            self._check_headers()
        except RequestError as error:
            self._problem = error
            if self.request.headers.get("Expect", "").lower() == "100-continue":
                self._fail(error)

    def _check_headers(self) -> None:
        self._route = self._find_route()
        self.action = self._route.action
        headers = self.request.headers
        if self.request.method not in self._route.methods:
            self.set_header("Allow", ", ".join(self._route.methods))
            raise RequestError(
                f"{self.request.method} is not allowed here. Allowed:"
                f" {', '.join(self._route.methods)}",
                http.HTTPStatus.METHOD_NOT_ALLOWED,
            )
        if headers.get("Content-Encoding", "identity") != "identity":
            raise RequestError(
                "Content-Encoding is not supported. Send the body as it is",
                http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            )
        length = headers.get("Content-Length", "0")
        self._check_size(int(length) if length.isdecimal() and len(length) < _DIGITS else 0)
        if "POST" in self._route.methods:
            self._admit()

    def _admit(self) -> None:
        service = self.service
        if service.admitted >= service.options.max_concurrent_requests:
            self.set_header("Retry-After", "1")
            raise RequestError(
                "The server is busy. Send the request again later",
                http.HTTPStatus.SERVICE_UNAVAILABLE,
            )
        service.admitted += 1
        self._is_admitted = True

    def _check_size(self, number: int) -> None:
        megabytes = self.service.options.max_request_mb
        if number > megabytes * 10**6:
            raise RequestError(
                f"The body is larger than {megabytes} MB", http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            )

    def _find_route(self) -> _Route:
        path = self.request.path
        if path in _ROUTES:
            return _ROUTES[path]
        match = _MODEL.fullmatch(path)
        if match is None or match["rest"] not in _MODEL_ROUTES:
            raise RequestError(f"There is no {_shown(path)}", http.HTTPStatus.NOT_FOUND)
        model = self.service.model
        if match["name"] != model.name or match["version"] not in (None, str(model.version)):
            raise RequestError(
                f"There is no {_shown(path)}: the model is {model.name}, version {model.version}",
                http.HTTPStatus.NOT_FOUND,
            )
        return _MODEL_ROUTES[match["rest"]]

    def data_received(self, chunk: bytes) -> None:
        """Keeps a part of the body of an admitted request."""
        if not self._is_admitted or self._problem is not None:
            return
        try:
            self._check_size(len(self._received) + len(chunk))
        except RequestError as error:
            self._problem = error
            self._received.clear()
            return
        self._received += chunk

    async def respond(self) -> None:
        """Answers, after the body has been received."""
        self._is_answering = True
        try:
            if self._problem is not None:
                raise self._problem
            content = await self._route.answer(self)
        except RequestError as error:
            self._fail(error)
        else:
            self.set_header("Content-Type", content.type)
            await self._finish(content.body)
        finally:
            if self._is_gone:
                self._end(_GONE)

    get = head = post = put = delete = patch = options = respond

    async def _finish(self, body: bytes) -> None:
        sent = self.finish(body)
        try:
            await asyncio.wait_for(asyncio.shield(sent), self.service.options.client_timeout_secs)
        except TimeoutError:
            self.request.connection.stream.close()
        except iostream.StreamClosedError:
            pass

    def _fail(self, error: RequestError) -> None:
        self.set_status(error.status)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode({"error": str(error)}))

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answers after an exception or Tornado's own check."""
        reason = http.HTTPStatus(status_code).phrase
        text = "Internal error; see the server's log" if status_code == 500 else reason
        self._fail(RequestError(text, status_code))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Prints an exception that is no fault of the request."""
        if not isinstance(error, web.HTTPError | iostream.StreamClosedError):
            traceback.print_exception(kind, error, trace, file=sys.stderr)

    def on_finish(self) -> None:
        """Counts the request."""
        self._end(_GONE if self._is_gone else self.get_status())

    def on_connection_close(self) -> None:
        """Counts a request whose client has gone, when its work is done."""
        super().on_connection_close()
        self._is_gone = True
        if not self._is_answering:
            self._end(_GONE)

    def _end(self, status: int) -> None:
        if not self._is_counted:
            return
        self._is_counted = False
        telemetry, request = self.service.telemetry, self.request
        telemetry.active -= 1
        self.service.admitted -= self._is_admitted
        seconds = time.monotonic() - self._started
        telemetry.add_request(
            request.remote_ip, request.method, request.path, self.action, status, seconds
        )

    async def _predict(self) -> _Content:
        return _json(await self.service.predict(*self._body()))

    async def _classify(self) -> _Content:
        return _json(await self.service.classify(*self._body()))

    def _body(self) -> tuple[bytes, str]:
        body, self._received = bytes(self._received), bytearray()
        return body, self.request.headers.get("Content-Type", "").lower()

    async def _status(self) -> _Content:
        return _json(self.service.status())

    async def _metadata(self) -> _Content:
        return _json(self.service.metadata())

    async def _metrics(self) -> _Content:
        return _Content(self.service.telemetry.metrics().encode(), "text/plain; version=0.0.4")

    async def _health(self) -> _Content:
        return _Content(b"ok\n", "text/plain")

    async def _page_file(self) -> _Content:
        name = _FILES[self.request.path]
        return _Content(_file(name, self.service.model.name), _TYPES[pathlib.Path(name).suffix])


_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@functools.cache
def _file(name: str, model: str) -> bytes:
    text = (_PAGE / name).read_text(encoding="utf-8")
    # A name is safe in HTML: see the option's check, and the networks' names.
    return (
        string.Template(text).substitute(model=model) if name == "index.html" else text
    ).encode()


def _json(value: Any) -> _Content:
    return _Content(msgspec.json.encode(value))


def _shown(path: str) -> str:
    return repr(path[:100])


_ROUTES: Mapping[str, _Route] = {
    **dict.fromkeys(_FILES, _Route("page", Handler._page_file)),
    "/healthz": _Route("health", Handler._health),
    "/readyz": _Route("health", Handler._health),
    "/metrics": _Route("metrics", Handler._metrics),
}
_MODEL_ROUTES: Mapping[str, _Route] = {
    "": _Route("status", Handler._status),
    "/metadata": _Route("metadata", Handler._metadata),
    ":predict": _Route("predict", Handler._predict, ("POST",)),
    ":classify": _Route("classify", Handler._classify, ("POST",)),
}
