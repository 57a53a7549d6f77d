"""The sockets of the server, and its stop, which loses no request."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable

from tornado import httpserver, ioloop, iostream, web

from classifier.config import problems
from classifier.config.problems import named
from classifier.config.serving import ServingOptions
from classifier.serving.handler import Handler
from classifier.serving.service import Service

_MAX_CONNECTIONS = 512  # or half of the files that the process may open
_BACKLOG = 128
_HEADER_BYTES = 16 << 10
_BUFFER_BYTES = 1 << 20
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_POLL = 0.02  # seconds
_QUIET = 12  # polls without a request, after which idle connections are closed


def bind(options: ServingOptions) -> socket.socket:
    """Returns a socket with the address of the options, which does not listen yet.

    Raises:
      UserError: if the address is unknown or used.
    """
    host, port = options.address, options.port
    flag = named("port", port)
    try:
        if not host and socket.has_dualstack_ipv6():
            family, address = socket.AF_INET6, ("::", port)
        else:
            addresses = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)
            family, address = addresses[0][0], addresses[0][4]
    except OSError as error:
        raise problems.error(
            "{} is not an address: {}", named("host", host), error.strerror
        ) from error
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not host and family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise problems.error(
            "{} cannot be used: {}. Use another port, or {} for a free one",
            flag,
            error.strerror,
            named("port", 0),
        ) from error
    return sock


class Server(httpserver.HTTPServer):
    """An HTTP server on one socket, with a limited number of connections."""

    def initialize(self, service: Service, sock: socket.socket) -> None:
        """Sets up the server; Tornado calls it.

        Args:
          service: answers the requests.
          sock: from `bind`.
        """
        timeout = service.options.client_timeout_secs
        super().initialize(
            web.Application([(".*", Handler, {"service": service})], log_function=lambda _: None),
            idle_connection_timeout=timeout,
            body_timeout=timeout,
            max_header_size=_HEADER_BYTES,
            max_buffer_size=_BUFFER_BYTES,
        )
        self.service, self._socket, self._open = service, sock, 0
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = min(_MAX_CONNECTIONS, files // 2)

    def listen_on_socket(self) -> None:
        """Starts to accept connections."""
        self._socket.listen(_BACKLOG)
        ioloop.IOLoop.current().add_handler(
            self._socket, lambda *_: self._accept(), ioloop.IOLoop.READ
        )

    def _accept(self) -> None:
        """Accepts the waiting connections."""
        with contextlib.suppress(BlockingIOError):
            while True:
                with contextlib.suppress(ConnectionAbortedError):
                    connection, address = self._socket.accept()
                    self._add(connection, address)

    def _add(self, connection: socket.socket, address: tuple) -> None:
        if self._open >= self._most:
            with connection, contextlib.suppress(OSError):
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection.recv(_BUFFER_BYTES)  # unread data would turn the answer into a reset
                connection.send(_BUSY)
            return
        self._open += 1
        stream = iostream.IOStream(connection, max_buffer_size=_BUFFER_BYTES)
        self.handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        """Counts a closed connection."""
        super().on_close(server_conn)
        self._open -= 1

    async def drain(self) -> bool:
        """Stops listening, answers the requests of accepted connections, and closes these.

        Returns:
          whether all were answered in time.
        """
        self.conn_params.no_keep_alive = True  # connections end with their next answer
        ioloop.IOLoop.current().remove_handler(self._socket)
        self._accept()  # those that the kernel has accepted
        self._socket.close()
        loop, telemetry = asyncio.get_running_loop(), self.service.telemetry
        end = loop.time() + self.service.options.stop_timeout_secs
        quiet, number = 0, telemetry.number
        while self._open and quiet < _QUIET and loop.time() < end:
            await asyncio.sleep(_POLL)  # in which the loop reads every socket
            is_quiet = not telemetry.active and telemetry.number == number
            quiet, number = quiet + 1 if is_quiet else 0, telemetry.number
        is_done = not telemetry.active
        await self.close_all_connections()
        return is_done


async def serve(
    service: Service, sock: socket.socket, announce: Callable[[], None], stopped: Callable[[], bool]
) -> bool:
    """Answers requests until it is stopped.

    Args:
      service: answers them.
      sock: from `bind`.
      announce: called when the server accepts connections.
      stopped: whether to stop.

    Returns:
      whether all accepted requests were answered.
    """
    async with service.running():
        server = Server(service, sock)
        server.listen_on_socket()
        announce()
        while not stopped():
            await asyncio.sleep(_POLL)
        return await server.drain()
