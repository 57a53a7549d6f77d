"""The server over HTTP, in this process."""

import concurrent.futures
import contextlib
import dataclasses
import json
import shutil
import socket
import time

import numpy as np
import pytest
import tensorflow as tf

from classifier.inference import predict as predicting
from classifier.inference.predictor import Outputs
from classifier.model_info import Calibration
from classifier.serving import server
from slim import _checks
from tests.classifier.export.test_formats import export_to, make_run
from tests.classifier.serving import servers
from tests.classifier.serving.servers import encoded, png

IMAGES = [png(number) for number in range(20)]
BATCH = 4


@pytest.fixture(scope="module")
def model(lenet_run):
    return servers.load(lenet_run)


@pytest.fixture(scope="module")
def client(model):
    with servers.running(model, max_batch_size=BATCH) as started:
        yield started


def predicted(model, tmp_path, images=IMAGES):
    """Returns the probabilities that prediction computes for files."""
    paths = [tmp_path / f"{number:02d}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(image)
    rows = predicting.predict(model.predictor, list(map(str, paths)), BATCH)
    return np.stack([outputs.probabilities for _, outputs in rows])


def rows(value, key="predictions"):
    return np.float32([row["probabilities"] for row in value[key]])


def test_concurrent_answers_equal_predictions_to_the_last_bit(client, model, tmp_path):
    expected = predicted(model, tmp_path)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bodies = [{"instances": [encoded(image)]} for image in IMAGES]
        answers = list(pool.map(client.predict, bodies))
    assert {status for status, _ in answers} == {200}
    np.testing.assert_array_equal(np.concatenate([rows(value) for _, value in answers]), expected)
    names = [value["predictions"][0]["classes"] for _, value in answers]
    assert names == [model.class_names[row.argmax()] for row in expected]


def test_rows_columns_and_tensors_have_the_same_answers(client, model, tmp_path):
    expected = predicted(model, tmp_path)[:3]
    files = [encoded(image) for image in IMAGES[:3]]
    tensors = [model.prepare(image).numpy().tolist() for image in IMAGES[:3]]
    for body in (
        {"instances": files},
        {"instances": [{"images": tensor} for tensor in tensors]},
        {"instances": tensors, "signature_name": "image_tensor"},
    ):
        status, value = client.predict(body)
        assert status == 200
        np.testing.assert_array_equal(rows(value), expected)
    for batch in (files, {"image_bytes": files}, tensors, {"images": tensors}):
        outputs = client.predict({"inputs": batch})[1]["outputs"]
        np.testing.assert_array_equal(np.float32(outputs["probabilities"]), expected)
        assert len(outputs["classes"]) == 3


def test_classify_returns_the_top_classes(model, tmp_path):
    (row,) = predicted(model, tmp_path, IMAGES[:1])
    with servers.running(model, max_batch_size=1, top_k=5) as client:
        body = {"examples": [{"image/encoded": encoded(IMAGES[0])}]}
        status, value = client.predict(body, ":classify")
    order = np.argsort(-row)[: model.top_k]
    assert status == 200
    assert "rejected" not in value
    (pairs,) = value["results"]
    assert [name for name, _ in pairs] == [model.class_names[each] for each in order]
    np.testing.assert_array_equal(np.float32([each for _, each in pairs]), row[order])


def test_the_number_of_classes_is_an_option(lenet_run):
    with servers.running(servers.load(lenet_run, top_k=2)) as client:
        _, value = client.predict(IMAGES[0], ":classify", headers={"Content-Type": "image/png"})
    assert len(value["results"][0]) == 2


def test_a_calibrated_model_rejects_as_prediction_does(tmp_path):
    calibration = Calibration(temperature=3.0, rejection_threshold=0.3)
    run = make_run(tmp_path / "run", calibration=calibration)
    model = servers.load(run)
    expected = predicted(model, tmp_path)
    rejected = (expected.max(axis=1) < 0.3).tolist()
    assert 0 < sum(rejected) < len(IMAGES)
    with servers.running(model, max_batch_size=BATCH) as client:
        _, value = client.predict({"instances": list(map(encoded, IMAGES))})
        np.testing.assert_array_equal(rows(value), expected)
        assert [row["rejected"] for row in value["predictions"]] == rejected
        body = {"examples": [{"image/encoded": encoded(image)} for image in IMAGES]}
        assert client.predict(body, ":classify")[1]["rejected"] == rejected


@pytest.mark.parametrize("input_type", ["uint8_image", "encoded_image"])
def test_a_frozen_graph_with_preprocessing(lenet_run, tmp_path, input_type):
    out = export_to(tmp_path / "out", lenet_run, "frozen_pb", input_type=input_type)
    model = servers.load(out / "lenet.pb")
    expected = predicted(model, tmp_path)
    with servers.running(model, max_batch_size=BATCH) as client:
        _, value = client.predict({"instances": list(map(encoded, IMAGES))})
        np.testing.assert_array_equal(rows(value), expected)
        pixels = tf.io.decode_png(IMAGES[0]).numpy().tolist()
        status, value = client.predict({"instances": [pixels]})
        if input_type == "uint8_image":
            np.testing.assert_array_equal(rows(value), expected[:1])
        else:
            assert (status, "the model decodes" in value["error"]) == (400, True)
            status, value = client.predict({"instances": [encoded(b"no image")]})
            assert (status, value["error"]) == (
                400, "image 0: is not a JPEG, PNG, GIF, BMP or WebP image",
            )  # fmt: skip


def test_paths_methods_and_statuses(client):
    status, headers, value = client.ask("/v1/models/lenet")
    assert value["model_version_status"][0]["state"] == "AVAILABLE"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert client.ask("/v1/models/lenet/versions/1")[0] == 200
    body = {"instances": [encoded(IMAGES[0])]}
    assert client.ask("/v1/models/lenet/versions/1:predict", body)[0] == 200
    for path in ("/v1/models/lenet/versions/2", "/v1/models/other", "/v1/models/other/metadata"):
        status, _, value = client.ask(path)
        assert status == 404
        assert "the model is lenet, version 1" in value["error"]
    for path in ("/v1", "/v1/models/", "/v1/models/lenet:regress", "/../etc", "/%00", "//"):
        assert client.ask(path)[0] == 404
    assert client.ask("/v1/models/other:predict", body)[0] == 404
    for path in ("/healthz", "/readyz"):
        assert client.ask(path)[::2] == (200, "ok\n")
    for method, path, allowed in (
        ("GET", "/v1/models/lenet:predict", "POST"),
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/v1/models/lenet", "GET, HEAD"),
    ):
        status, headers, value = client.ask(path, method=method)
        assert (status, headers["Allow"]) == (405, allowed)
        assert value == {"error": f"{method} is not allowed here. Allowed: {allowed}"}
    assert client.ask("/", method="BREW")[0] == 405
    status, headers, content = client.ask("/", method="HEAD")
    assert (status, content) == (200, "")
    assert headers["Content-Length"] == str(len(client.ask("/")[2].encode()))


def test_metadata_describes_the_model(client, model):
    metadata = client.ask("/v1/models/lenet/metadata")[2]["metadata"]
    signatures = metadata["signature_def"]["signature_def"]
    sides = signatures["image_tensor"]["inputs"]["images"]["tensor_shape"]["dim"]
    assert [each["size"] for each in sides] == ["-1", "28", "28", "1"]
    assert signatures["serving_default"]["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    assert metadata["model_info"]["label_names"] == list(model.class_names)


def test_a_connection_is_kept_alive(client):
    with contextlib.closing(client.connection()) as connection:
        for _ in range(3):
            body = {"instances": [encoded(IMAGES[0])]}
            assert servers.ask(connection, "/v1/models/lenet:predict", body)[0] == 200
            assert servers.ask(connection, "/v1/models/lenet:predict", b"{")[0] == 400
            assert servers.ask(connection, "/nowhere", b"x")[0] == 404
            port = connection.sock.getsockname()[1]
        assert port == connection.sock.getsockname()[1]


@pytest.mark.parametrize(
    "body, status, message",
    [
        (b"", 400, "Input data was truncated"),
        (b"{}", 400, "Use either instances"),
        ({"instances": [encoded(b"text")]}, 400, "image 0: is not a JPEG, PNG, GIF, BMP or WebP"),
        ({"instances": [encoded(IMAGES[0]), encoded(IMAGES[1][:50])]}, 400, "image 1: cannot be"),
        ({"instances": [encoded(png(0, 40))] * 65}, 400, "The request has 65 images"),
        (b'{"instances": ' + b"[" * 10**6, 400, "nested too deeply"),
    ],
)
def test_a_bad_request_is_a_line(client, capfd, body, status, message):
    actual, value = client.predict(body)
    assert actual == status
    assert message in value["error"]
    assert len(value["error"].splitlines()) == 1
    assert capfd.readouterr().err == ""


def test_a_compressed_body_is_not_supported(client):
    status, value = client.predict(b"x", headers={"Content-Encoding": "gzip"})
    assert (status, "Content-Encoding is not supported" in value["error"]) == (415, True)


def test_limits_are_options(model):
    with servers.running(
        model, max_batch_size=1, max_request_mb=1, max_instances=2, max_pixels=900
    ) as client:
        status, value = client.predict(b"x" * 1_000_001)
        assert (status, value) == (413, {"error": "The body is larger than 1 MB"})
        status, value = client.predict(b"x" * 400_000 for _ in range(3))
        assert (status, value) == (413, {"error": "The body is larger than 1 MB"})
        body = {"instances": [encoded(IMAGES[0])] * 3}
        assert "Allowed: 1 to 2" in client.predict(body)[1]["error"]


def test_max_pixels_acts(lenet_run):
    model = servers.load(lenet_run, max_pixels=783)
    with servers.running(model, max_batch_size=1, max_pixels=783) as client:
        status, value = client.predict({"instances": [encoded(IMAGES[0])]})
    assert status == 400
    assert value["error"] == "image 0: has 28 x 28 pixels, more than max_pixels=783"


def send(client, content):
    """Returns a socket on which a request, or its start, was sent."""
    sock = socket.create_connection(("127.0.0.1", client.port), timeout=30)
    sock.sendall(content)
    return sock


def wait_until(condition):
    """Waits until a condition holds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def received(sock):
    """Returns what the server sends until it closes the connection."""
    parts = []
    with sock, contextlib.suppress(ConnectionResetError):
        parts.extend(iter(lambda: sock.recv(1 << 16), b""))
    return b"".join(parts)


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
START = b"POST /v1/models/lenet:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.parametrize("content", [b"", b"GET / HT", START, START[:-5].replace(b"100", b"9")])
def test_a_slow_client_is_disconnected(model, content):
    with servers.running(model, max_batch_size=1, client_timeout_secs=0.3) as client:
        start = time.monotonic()
        assert received(send(client, content)) == b""
        assert 0.2 < time.monotonic() - start < 10
        wait_until(lambda: client.service.telemetry.active == 0)


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        START.replace(b"100", b"9" * 30) + b"\r\n",
        START.replace(b"100", b"9" * 5000) + b"\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) * 4,
    ],
)
def test_malformed_http_is_refused(model, client, content, capfd):
    sock = send(client, content)
    sock.shutdown(socket.SHUT_WR)
    answer = received(sock)
    assert not answer or answer.split()[1][:1] == b"4"
    assert "Traceback" not in capfd.readouterr().err
    assert client.ask("/healthz")[0] == 200


def test_too_many_connections_are_refused(model, monkeypatch):
    monkeypatch.setattr(server, "_MAX_CONNECTIONS", 2)
    with servers.running(model, max_batch_size=1) as client:
        idle = [send(client, b"") for _ in range(2)]
        answer = received(send(client, HEALTH))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in answer
        idle.pop().close()
        wait_until(lambda: b" 200 " in received(send(client, HEALTH)))
        idle.pop().close()


def slowed(model, seconds):
    """Returns the model with a slower network."""

    def network(batch):
        time.sleep(seconds)
        return [Outputs(np.full(10, 0.1, np.float32)) for _ in batch]

    return changed(model, network=network)


def changed(model, **functions):
    """Returns the model with other functions of its predictor."""
    return dataclasses.replace(model, predictor=dataclasses.replace(model.predictor, **functions))


def test_requests_over_the_limit_are_asked_to_retry(model):
    body = {"instances": [encoded(IMAGES[0])]}
    with (
        servers.running(slowed(model, 0.5), max_batch_size=1, max_concurrent_requests=2) as client,
        concurrent.futures.ThreadPoolExecutor(5) as pool,
    ):
        path = client.model + ":predict"
        answers = list(pool.map(lambda _: client.ask(path, body), range(5)))
        assert client.ask("/healthz")[0] == 200
    statuses = [status for status, _, _ in answers]
    assert sorted(set(statuses)) == [200, 503]
    for status, headers, value in answers:
        if status == 503:
            assert headers["Retry-After"] == "1"
            assert value == {"error": "The server is busy. Send the request again later"}


def test_the_work_of_a_client_that_is_gone_counts_until_it_is_done(model):
    with servers.running(slowed(model, 0.4), max_batch_size=1, batch_timeout=0) as client:
        body = json.dumps({"instances": [encoded(IMAGES[0])]}).encode()
        sock = send(client, START[:-1].replace(b"100", b"%d" % len(body)) + body)
        wait_until(lambda: client.service.telemetry.active == 1)
        time.sleep(0.1)
        sock.close()
        time.sleep(0.1)
        assert client.service.telemetry.active == 1
        wait_until(lambda: client.service.telemetry.active == 0)
        line = 'slim_requests_total{action="predict",status="499"} 1'
        assert line in client.ask("/metrics")[2].splitlines()


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


def test_a_stop_answers_the_accepted_requests(model):
    body = json.dumps({"instances": [encoded(IMAGES[0])]}).encode()
    head = b"POST /v1/models/lenet:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    with servers.running(slowed(model, 0.2), max_batch_size=2, batch_timeout=0) as client:
        kept = client.connection()
        assert servers.ask(kept, "/healthz")[0] == 200
        socks = [send(client, head % len(body) + body) for _ in range(6)]
        partial = send(client, head % len(body) + body[:10])
        time.sleep(0.1)
        client.stop.set()
        partial.sendall(body[10:])
        kept.request("POST", "/v1/models/lenet:predict", body)
        assert kept.getresponse().status == 200
        kept.close()
        for sock in (*socks, partial):
            assert received(sock).startswith(b"HTTP/1.1 200 OK")
    assert client.results == [True]
    with pytest.raises(ConnectionRefusedError):
        client.ask("/healthz")


def test_a_stop_waits_no_longer_than_its_timeout(model):
    with servers.running(model, max_batch_size=1, stop_timeout_secs=0.1) as client:
        sock = send(client, START)
        wait_until(lambda: client.service.telemetry.active == 1)
    assert client.results == [False]
    sock.close()


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
