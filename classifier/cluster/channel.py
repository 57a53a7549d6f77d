"""A connection to another worker: JSON messages, one per line."""

import contextlib
import json
import select
import socket
import time
from collections.abc import Iterable
from typing import Any

_MAX_BYTES = 4 << 20  # of a message
_CHUNK = 1 << 16


class Channel:
    """A connection that neither reading nor writing blocks.

    Attributes:
      address: of the other side.
      heard: when the last bytes arrived, by `time.monotonic`.
      is_open: whether the other side can be reached, as far as is known.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._received = bytearray()
        self._unsent = bytearray()
        self.address = str(connection.getpeername()[0])
        self.heard = time.monotonic()
        self.is_open = True

    def fileno(self) -> int:
        """Returns the file descriptor, for `select`."""
        return self._socket.fileno()

    def send(self, **message: Any) -> None:
        """Sends a message; what the network does not accept now is sent with the next one."""
        self._unsent += json.dumps(message).encode() + b"\n"
        try:
            sent = self._socket.send(self._unsent)
            del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.is_open = False

    def flush(self, seconds: float) -> None:
        """Sends the rest, for at most this time."""
        with contextlib.suppress(OSError):
            self._socket.settimeout(seconds)
            self._socket.sendall(self._unsent)
            self._unsent.clear()

    def receive(self) -> list[dict[str, Any]]:
        """Returns the messages that have arrived; after the last one, `is_open` is false.

        What is no message closes the connection: another program is at the address.
        """
        try:
            while chunk := self._socket.recv(_CHUNK):
                self.heard = time.monotonic()
                self._received += chunk
                if len(self._received) > _MAX_BYTES:
                    break
            self.is_open = False
        except BlockingIOError:
            pass
        except OSError:
            self.is_open = False
        *lines, rest = self._received.split(b"\n")
        self._received = bytearray(rest)
        try:
            messages = [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            messages = [None]
        if not all(isinstance(message, dict) for message in messages):
            self.is_open = False
            return []
        return messages

    def close(self) -> None:
        """Closes the connection."""
        self.is_open = False
        self._socket.close()


def wait_for(connections: Iterable[socket.socket | Channel], seconds: float) -> None:
    """Waits until one of any number of connections has something to read, or for this time."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    poll.poll(seconds * 1000)
