"""The command as users start it: many requests, signals, exit codes."""

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from classifier import serve
from classifier.config import serving
from classifier.config.formats import FORMATS
from tests import source_tree
from tests.classifier.export.test_formats import export_to, make_run
from tests.classifier.exports import needs
from tests.classifier.serving import servers
from tests.classifier.serving.servers import encoded, png

CLIENTS, REQUESTS = 16, 2_000


def test_a_missing_package_is_a_line_with_the_command(lenet_run, monkeypatch, capsys):
    monkeypatch.setattr(serving, "PACKAGES", {"no_such_module": "tornado"})
    monkeypatch.setattr(sys, "argv", ["serve.py", f"--model={lenet_run}"])
    assert serve.main() == 2
    assert capsys.readouterr().err == (
        "slim-serve: tornado is not installed; install it with: pip install tornado\n"
    )


def test_help_names_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["serve.py", "--help"])
    assert serve.main() == 0
    assert "Usage: python -m classifier.serve " in capsys.readouterr().out


def predicted(model, files, batch_size):
    """Returns file -> class -> probability, as prediction prints them."""
    command = [sys.executable, "predict_image_classifier.py", f"--model={model}", str(files)]
    command += [f"--batch_size={batch_size}", "--top_k=2000", "--output_format=json"]
    done = subprocess.run(command, cwd=source_tree.ROOT, capture_output=True, text=True, check=True)
    answers = map(json.loads, done.stdout.splitlines())
    return {
        answer["file"].rpartition("/")[2]: {
            row["class"]: row["probability"] for row in answer["classes"]
        }
        for answer in answers
    }


def write_images(directory, number, size=28):
    directory.mkdir()
    images = {f"{index:03d}.png": png(index, size) for index in range(number)}
    for name, content in images.items():
        (directory / name).write_bytes(content)
    return images


def labels_of(client):
    info = client.ask(client.model + "/metadata")[2]["metadata"]["model_info"]
    return info["label_names"] or list(map(str, range(info["num_classes"])))


@pytest.mark.slow
@pytest.mark.parametrize(
    "network, channels, batch_size", [("lenet", 1, 1), ("lenet", 1, 8), ("mobilenet_v1_025", 3, 1)]
)
def test_2000_concurrent_answers_equal_predictions(tmp_path, network, channels, batch_size):
    run = make_run(tmp_path / "run", network, channels, label_names=())
    images = write_images(tmp_path / "images", 50)
    expected = predicted(run, tmp_path / "images", batch_size)
    names = itertools.islice(itertools.cycle(images), REQUESTS)
    local, connections = threading.local(), contextlib.ExitStack()

    def ask(name):
        if not hasattr(local, "connection"):
            local.connection = client.connection()
            connections.callback(local.connection.close)
        body = {"instances": [encoded(images[name])]}
        return name, servers.ask(local.connection, client.model + ":predict", body)

    with (
        servers.process(run, f"--max_batch_size={batch_size}", "--noaccess_log") as (
            process,
            client,
        ),
        connections,
        concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool,
    ):
        client.model = f"/v1/models/{network}"
        labels = labels_of(client)
        start = time.monotonic()
        for name, (status, _, value) in pool.map(ask, names):
            assert status == 200
            row = value["predictions"][0]["probabilities"]
            assert dict(zip(labels, row, strict=True)) == expected[name]
        print(f"{REQUESTS / (time.monotonic() - start):.0f} requests/s")
        metrics = client.ask("/metrics")[2]
        assert f'slim_requests_total{{action="predict",status="200"}} {REQUESTS}\n' in metrics
        batches = int(metrics.rpartition("slim_batch_images_count ")[2].split()[0])
        assert batches == REQUESTS if batch_size == 1 else batches < REQUESTS
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert err.splitlines()[-1] == (
        "slim-serve: stopped by SIGTERM. All accepted requests were answered"
    )
    assert "Traceback" not in err


class Load:
    """Clients that send requests until the server is gone.

    Attributes:
      sent: seconds when each request had been sent, and whether it was answered with 200.
    """

    def __init__(self, client, body):
        self.client, self.body, self.sent = client, body, []
        self.path = client.model + ":predict"

    def run(self, number):
        """Sends requests: even clients on one connection, odd ones on a new one each."""
        connection, refused = self.client.connection(), 0
        while refused < 3:
            if number % 2 or connection.sock is None:
                connection.close()
                try:
                    connection.connect()
                except OSError:
                    refused += 1
                    time.sleep(0.02)
                    continue
            entry = [None, False]
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("POST", self.path, self.body)
                entry[0] = time.monotonic()
                self.sent.append(entry)
                response = connection.getresponse()
                response.read()
                entry[1] = response.status == 200
                continue
            connection.close()
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_under_load_answers_every_accepted_request(lenet_run, number):
    with servers.process(lenet_run) as (process, client):
        output = threading.Thread(target=process.stdout.read)
        output.start()
        load = Load(client, json.dumps({"instances": [encoded(png(0))] * 4}).encode())
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(load.run, index) for index in range(CLIENTS)]
            servers.wait_until(lambda: len(load.sent) > 150, 120)
            stopped_at = time.monotonic()
            process.send_signal(number)
            for each in running:
                each.result(60)
        assert process.wait(60) == 128 + number
        output.join(60)
        assert "All accepted requests were answered" in process.stderr.read()
    before = [answered for sent, answered in load.sent if sent < stopped_at]
    assert len(before) > 150
    assert all(before)
    after = [answered for sent, answered in load.sent if sent >= stopped_at]
    print(f"{len(before)} requests before the signal, {sum(after)} of {len(after)} after it")


@pytest.mark.slow
def test_a_second_signal_ends_the_server(lenet_run):
    with servers.process(lenet_run) as (process, client):
        connection = client.connection()
        connection.connect()
        connection.sock.sendall(b"POST /v1/models/lenet:predict HTTP/1.1\r\nContent-Length: 9\r\n")
        connection.sock.sendall(b"Host: x\r\n\r\n")
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        assert process.wait(30) == 143
        assert time.monotonic() - start < 10
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("format", ["saved_model", "tflite", "onnx", "openvino", "keras"])
def test_exports_answer_as_prediction_does(lenet_run, tmp_path, format):
    needs(format)
    out = export_to(tmp_path / "out", lenet_run, format)
    file = FORMATS[format].file.format(model="lenet", version=1)
    images = write_images(tmp_path / "images", 20)
    expected = predicted(out / file, tmp_path / "images", 1)
    body = {"instances": [encoded(content) for content in images.values()]}
    with servers.process(out / file) as (_, client):
        labels = labels_of(client)
        status, value = client.predict(body)
    assert status == 200
    rows = np.float32([row["probabilities"] for row in value["predictions"]])
    for name, row in zip(images, rows, strict=True):
        np.testing.assert_array_equal(row, np.float32([expected[name][each] for each in labels]))
