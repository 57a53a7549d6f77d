"""Servers in a thread or a process, and their clients."""

import asyncio
import base64
import contextlib
import dataclasses
import http.client
import io
import json
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import PIL.Image

from classifier.config import options
from classifier.config.serving import ServeConfig
from classifier.inference.predictor import Outputs
from classifier.serving import model, server
from classifier.serving.service import Service
from tests import source_tree

BATCH = 4
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
START = b"POST /v1/models/lenet:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


def config(path, **values):
    """Returns the options of a server on a free port."""
    values = {"port": 0, "access_log": False} | values
    return options.build(ServeConfig, checkpoint_path=str(path), **values)


def png(number, size=28):
    """Returns the file of an image that depends on a number."""
    pixels = np.random.default_rng(number).integers(0, 255, [size, size], np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


IMAGES = [png(number) for number in range(20)]


def encoded(content):
    """Returns bytes as in a JSON request."""
    return {"b64": base64.b64encode(content).decode()}


class Client:
    """Requests to a server, each on a connection of its own.

    Attributes:
      port: of the server.
      model: path of its model.

    Args:
      port: of the server.
      name: of the model.
    """

    def __init__(self, port, name="lenet"):
        self.port, self.model = port, f"/v1/models/{name}"

    def connection(self):
        """Returns a new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, path, body=None, method=None, headers=None):
        """Returns status, headers, and the value of a JSON body or its text."""
        with contextlib.closing(self.connection()) as connection:
            return ask(connection, path, body, method, headers)

    def predict(self, body, action=":predict", **more):
        """Returns status and value of the answer to a request to the model."""
        return self.ask(self.model + action, body, **more)[::2]


def ask(connection, path, body=None, method=None, headers=None):
    """Returns the answer on a connection: status, headers, and JSON value or text."""
    if isinstance(body, dict | list):
        body = json.dumps(body).encode()
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    is_json = response.headers.get("Content-Type", "") == "application/json" and content
    return response.status, response.headers, json.loads(content) if is_json else content.decode()


@contextlib.contextmanager
def running(served, **values):
    """Runs a server of a loaded model in a thread; yields a client."""
    settings = config("model", **values)
    service = Service(served, settings.run)
    started, stop, results = threading.Event(), threading.Event(), []
    with server.bind(settings.run) as sock:

        def run():
            results.append(asyncio.run(server.serve(service, sock, started.set, stop.is_set)))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert started.wait(60)
            client = Client(sock.getsockname()[1], served.name)
            client.service, client.stop, client.results = service, stop, results
            yield client
        finally:
            stop.set()
            thread.join(60)
    assert not thread.is_alive()


def load(path, **values):
    """Returns a loaded model."""
    return model.load(config(path, **values))


@contextlib.contextmanager
def process(path, *flags):
    """Starts the command; yields the process and a client, when it accepts connections."""
    command = [sys.executable, "-m", "classifier.serve", f"--model={path}", "--port=0", *flags]
    started = subprocess.Popen(
        command, cwd=source_tree.ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        lines = (line for line in started.stdout if line.startswith("listening on "))
        line = next(lines, None)
        assert line is not None, started.stderr.read()
        yield started, Client(int(line.rpartition(":")[2]))
    finally:
        started.kill()
        started.communicate()


def send(client, content):
    """Returns a socket on which a request, or its start, was sent."""
    sock = socket.create_connection(("127.0.0.1", client.port), timeout=30)
    sock.sendall(content)
    return sock


def wait_until(condition, seconds=20):
    """Waits until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def received(sock):
    """Returns what the server sends until it closes the connection."""
    parts = []
    with sock, contextlib.suppress(ConnectionResetError):
        parts.extend(iter(lambda: sock.recv(1 << 16), b""))
    return b"".join(parts)


def slowed(model, seconds):
    """Returns the model with a slower network."""

    def network(batch):
        time.sleep(seconds)
        return [Outputs(np.full(10, 0.1, np.float32)) for _ in batch]

    return changed(model, network=network)


def changed(model, **functions):
    """Returns the model with other functions of its predictor."""
    return dataclasses.replace(model, predictor=dataclasses.replace(model.predictor, **functions))
