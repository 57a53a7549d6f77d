"""Batches, failures of the model, and options of the server."""

import concurrent.futures
import shutil
import socket
import time

import numpy as np
import pytest
import tensorflow as tf

from classifier.inference.predictor import Outputs
from classifier.serving import server
from slim import _checks
from tests.classifier.serving import servers
from tests.classifier.serving.servers import (
    IMAGES,
    changed,
    encoded,
    slowed,
)


def test_a_failure_of_the_model_is_status_500_and_a_traceback_in_the_log(model, capfd):
    broken = []

    def fail(batch):
        if broken:
            raise ValueError("out of order")
        return model.predictor.network(batch)

    with servers.running(changed(model, network=fail), max_batch_size=2) as client:
        broken.append(True)
        status, value = client.predict({"instances": [encoded(IMAGES[0])]})
        assert (status, value) == (500, {"error": "Internal error; see the server's log"})
        assert client.ask("/healthz")[0] == 200
    assert "ValueError: out of order" in capfd.readouterr().err


def test_a_network_that_fails_is_an_error_before_the_server_listens(model):
    def fail(batch):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore")

    with (
        pytest.raises(_checks.RunError, match="fails on a batch of 2: OOM when allocating$"),
        servers.running(changed(model, network=fail), max_batch_size=2),
    ):
        pass


def test_batch_sizes_vary_only_if_the_answers_do_not(model):
    def independent(batch):
        return [Outputs(np.asarray(image).ravel()[:3]) for image in batch]

    def dependent(batch):
        return [Outputs(np.float32([len(batch)])) for _ in batch]

    assert changed(model, network=independent).batch_sizes(6, 10_000) == [1, 2, 4, 6]
    assert changed(model, network=dependent).batch_sizes(6, 10_000) == [6]
    assert changed(model, network=dependent).batch_sizes(1, 10_000) == [1]


def test_requests_share_batches(model):
    sizes = []

    def network(batch):
        sizes.append(len(batch))
        return [Outputs(np.full(10, 0.1, np.float32)) for _ in batch]

    waiting = changed(model, network=network)
    with (
        servers.running(waiting, max_batch_size=4, batch_timeout=5_000) as client,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        sizes.clear()
        bodies = [{"instances": [encoded(image)]} for image in IMAGES[:8]]
        assert {status for status, _ in pool.map(client.predict, bodies)} == {200}
        assert sizes == [4, 4]
        metrics = client.ask("/metrics")[2].splitlines()
    assert 'slim_batch_images_bucket{le="2"} 0' in metrics
    assert 'slim_batch_images_bucket{le="4"} 2' in metrics
    assert 'slim_requests_total{action="predict",status="200"} 8' in metrics
    assert "slim_request_seconds_count 8" in metrics


@pytest.mark.parametrize("timeout, number", [(0, 2), (5_000, 1)])
def test_the_batch_timeout_acts(model, timeout, number):
    with (
        servers.running(slowed(model, 0), max_batch_size=2, batch_timeout=timeout) as client,
        concurrent.futures.ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(client.predict, {"instances": [encoded(IMAGES[0])]})
        if not timeout:
            first.result()
        time.sleep(0.05)
        second = pool.submit(client.predict, {"instances": [encoded(IMAGES[1])]})
        assert (first.result()[0], second.result()[0]) == (200, 200)
        assert f"slim_batch_images_count {number}" in client.ask("/metrics")[2].splitlines()


def test_images_are_decoded_in_parallel(model):
    running, most = [0], [0]

    def prepare(encoded_image):
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.05)
        running[0] -= 1
        return model.predictor.prepare(encoded_image)

    with servers.running(
        changed(model, prepare=prepare), max_batch_size=1, num_preprocessing_threads=3
    ) as client:
        most[0] = 0
        assert client.predict({"instances": list(map(encoded, IMAGES[:9]))})[0] == 200
    assert most == [3]


def test_the_address_is_an_option(model):
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        with pytest.raises(
            _checks.UserError, match=rf"port={port} cannot be used: Address already"
        ):
            server.bind(servers.config("m", port=port).run)
    with pytest.raises(_checks.UserError, match="host='::ffff:1:2:3' is not an address|cannot be"):
        server.bind(servers.config("m", host="::ffff:1:2:3", public=True).run)
    for values, expected in (
        ({}, "127.0.0.1"),
        ({"host": "localhost"}, ("127.0.0.1", "::1")),
        ({"public": True}, ("::", "0.0.0.0")),
        ({"host": "0.0.0.0", "public": True}, "0.0.0.0"),
    ):
        with server.bind(servers.config("m", **values).run) as sock:
            assert sock.getsockname()[0] in expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com"])
def test_a_public_address_needs_confirmation(host):
    with pytest.raises(_checks.UserError, match="other computers, .* has no authentication"):
        servers.config("m", host=host)
    assert servers.config("m", host=host, public=True).run.address == host


def test_the_name_in_the_paths_is_an_option(lenet_run):
    with servers.running(servers.load(lenet_run, served_model_name="digits-2")) as client:
        assert client.ask("/v1/models/digits-2")[0] == 200
        assert client.ask("/v1/models/lenet")[0] == 404
        assert "<title>digits-2</title>" in client.ask("/")[2]
    for name in ("a/b", "a b", ".", "", "<b>"):
        with pytest.raises(_checks.UserError, match="is not a name for a path|empty item"):
            servers.config("m", served_model_name=name)


def test_a_line_per_request(model, capsys):
    for access_log in (True, False):
        with servers.running(model, max_batch_size=1, access_log=access_log) as client:
            client.ask("/v1/models/lenet")
            client.ask("/a%1b%5b31m")
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(" ", 1)[1].rsplit(" ", 2)[0] for line in lines] == [
            "127.0.0.1 GET /v1/models/lenet 200",
            "127.0.0.1 GET /a%1b%5b31m 404",
        ][: 2 * access_log]


def test_options_describe_a_model_without_model_info(lenet_run, tmp_path):
    run = shutil.copytree(lenet_run, tmp_path / "run")
    (run / "model_info.json").unlink()
    model = servers.load(
        run,
        model_name="lenet",
        preprocessing_name="cifarnet",
        num_classes=10,
        use_grayscale=True,
        quantize=False,
        image_size=(28, 28),
    )
    assert (model.name, model.predictor.info.preprocessing_name) == ("lenet", "cifarnet")
    for flags, message in (
        ({}, "model_name is required"),
        ({"model_name": "lenet", "labels_offset": 1}, "labels_offset=1 is for ImageNet's"),
        ({"model_name": "lenet", "moving_average_decay": 0.9}, "moving average"),
        ({"model_name": "lenet", "num_classes": 11}, "the model has 11"),
        ({"model_name": "lenet", "quantize": True}, "quantize|_quant"),
        ({"model_name": "lenet", "image_size": (64, 64)}, "image_size|image size|shape"),
    ):
        with pytest.raises(_checks.UserError, match=message):
            servers.load(run, **flags)


def test_the_version_is_the_training_step_or_1(trained, model):
    assert (servers.load(trained).version, model.version) == (2, 1)
