"""The program that starts the servers of the tf.data service."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

from classifier.cluster import data_service
from slim import _checks
from tests.classifier import toys

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "cluster" / "data_service.sh"


def test_a_port_in_use_is_an_error():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(_checks.RunError, match=f"port {port}: Address already in use"):
            data_service.start("localhost", port)


@pytest.mark.slow
def test_training_reads_from_its_workers(tmp_path):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    process = subprocess.Popen(
        ["bash", str(SCRIPT), "--host=localhost", f"--port={port}", "--workers=2"],
        env=os.environ | {"PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    toy = toys.load(toys.write(tmp_path))
    services = line.removeprefix("train with --data_service=").strip()
    assert services == f"grpc://localhost:{port},grpc://localhost:{port + 2}"

    actual = toys.first(toys.training(toy, data_service=services), 9)
    toys.assert_same(actual, toys.first(toys.training(toy), 9))
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "stopped by SIGTERM" in error
