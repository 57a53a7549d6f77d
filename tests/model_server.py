"""A small model server with TensorFlow Serving's directories and REST API, without this project.

    python tests/model_server.py NAME FOLDER

Serves the model in the subdirectory of FOLDER with the largest number as its name. A newer version
is loaded while the current one serves, runs its warm-up requests if TensorFlow Serving's messages
are installed, and then replaces it; running requests finish with their model. For the REST API see
https://www.tensorflow.org/tfx/serving/api_rest.
"""

import base64
import http.server
import json
import os
import re
import sys
import threading
import time

import tensorflow as tf

_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict)?")


class Refused(Exception):
    """An invalid request."""


class Models:
    """The newest model of a directory.

    Attributes:
      loaded: (version, signatures), or None before there is one.
      failures: exceptions raised while loading.
    """

    def __init__(self, folder):
        self.folder = str(folder)
        self.loaded = None
        self.failures = []

    def poll(self):
        """Loads the newest version if it is not loaded yet."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        newest = max((int(name) for name in names if name.isdigit()), default=None)
        if newest is None or (self.loaded and self.loaded[0] == newest):
            return
        try:
            path = os.path.join(self.folder, str(newest))
            model = tf.saved_model.load(path, tags=["serve"])
            warm_up(path, model.signatures)
            # The model is deleted with its last reference.
            self.loaded = newest, model.signatures, model
        except Exception as error:
            self.failures.append(error)


def warm_up(path, signatures):
    """Runs the warm-up requests of a SavedModel."""
    requests = os.path.join(path, "assets.extra", "tf_serving_warmup_requests")
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        return
    for record in tf.data.TFRecordDataset(requests).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(each)) for name, each in request.inputs.items()}
        signatures[request.model_spec.signature_name](**inputs)


def decoded(value):
    """Returns a JSON value with `{"b64": ...}` decoded to bytes."""
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, dict):
        return {name: decoded(each) for name, each in value.items()}
    return [decoded(each) for each in value] if isinstance(value, list) else value


def columns(request, names):
    """Returns the inputs by name, from either format, and whether it was the row format."""
    if ("instances" in request) == ("inputs" in request):
        raise Refused("give either instances or inputs")
    if "inputs" in request:
        inputs = decoded(request["inputs"])
        return (inputs if isinstance(inputs, dict) else {names[0]: inputs}), False
    rows = decoded(request["instances"])
    if not isinstance(rows, list) or not rows:
        raise Refused("instances has to be a list that is not empty")
    if not isinstance(rows[0], dict):
        rows = [{names[0]: row} for row in rows]
    return {name: [row[name] for row in rows] for name in rows[0]}, True


def answer(signatures, request):
    """Returns the response to a decoded body."""
    key = request.get("signature_name", "serving_default")
    if key not in signatures:
        raise Refused(f"Serving signature name: {key!r} not found in signature def")
    specs = signatures[key].structured_input_signature[1]
    inputs, by_rows = columns(request, list(specs))
    if set(inputs) != set(specs):
        raise Refused(f"the inputs are {sorted(specs)}, not {sorted(inputs)}")
    tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
    outputs = {name: listed(value) for name, value in signatures[key](**tensors).items()}
    if not by_rows:
        return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}
    if len(outputs) == 1:
        return {"predictions": next(iter(outputs.values()))}
    rows = zip(*outputs.values(), strict=True)
    return {"predictions": [dict(zip(outputs, row, strict=True)) for row in rows]}


def listed(value):
    """Returns a tensor as a JSON value."""
    rows = value.numpy().tolist()
    return [row.decode() for row in rows] if value.dtype == tf.string else rows


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._reply(404 if self._models() is None else 200, self._status())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        model = self._models()
        if model is None or not self.path.endswith(":predict"):
            self._reply(404, {"error": f"Servable not found for request: {self.path}"})
            return
        try:
            self._reply(200, answer(model[1], json.loads(body)))
        except (Refused, ValueError, TypeError, tf.errors.OpError) as error:
            self._reply(400, {"error": str(error)})

    def _models(self):
        match, loaded = _PATH.fullmatch(self.path), self.server.models.loaded
        if match is None or match[1] != self.server.model_name or loaded is None:
            return None
        return loaded if match[2] in (None, str(loaded[0])) else None

    def _status(self):
        loaded = self.server.models.loaded
        status = {"error_code": "OK", "error_message": ""}
        return {
            "model_version_status": [
                {"version": str(loaded[0]), "state": "AVAILABLE", "status": status}
            ]
            if loaded
            else []
        }

    def _reply(self, code, value):
        content = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Logs nothing."""


class ModelServer(http.server.ThreadingHTTPServer):
    """The server, on a free port of the loopback interface.

    Args:
      name: of the model.
      folder: with its versions.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model_name, self.models = name, Models(folder)
        self.models.poll()
        self._ended = threading.Event()
        self._running = [
            threading.Thread(target=run, daemon=True) for run in (self.serve_forever, self._poll)
        ]

    def __enter__(self):
        for thread in self._running:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self.shutdown()
        for thread in self._running:
            thread.join()
        self.server_close()

    def _poll(self):
        while not self._ended.wait(0.005):
            self.models.poll()


if __name__ == "__main__":
    with ModelServer(*sys.argv[1:]) as server:
        print(server.server_port, flush=True)
        while sys.stdin.read(1):  # ends with the process that started it
            time.sleep(0.1)
