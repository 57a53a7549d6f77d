"""HTTP requests in TensorFlow Serving's format, also while the version changes."""

import base64
import http.client
import json
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from slim import checkpoints
from tests.classifier.export.test_formats import NAMES, classifier_of, example, export_to, make_run
from tests.model_server import ModelServer

IMAGES = np.random.default_rng(3).integers(0, 256, [3, 36, 31, 1]).astype(np.uint8)


def jpegs():
    return [tf.io.encode_jpeg(image).numpy() for image in IMAGES]


def probabilities(run):
    """Returns the checkpoint's probabilities for the JPEGs."""
    decoded = np.stack([tf.io.decode_jpeg(each).numpy() for each in jpegs()])
    prepared = (decoded[:, 4:32, 1:29].astype(np.float32) - 128) / 128
    return classifier_of(run)(prepared)["probabilities"].numpy()


class Client:
    """A client with a persistent connection."""

    def __init__(self, server):
        self._connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def ask(self, body, path="/v1/models/lenet:predict"):
        """Returns the status and the answer to a POST, or without a body to a GET."""
        text = None if body is None else json.dumps(body)
        self._connection.request("GET" if body is None else "POST", path, text)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())


def encoded(content):
    return {"b64": base64.b64encode(content).decode()}


@pytest.fixture(scope="module")
def served(exported):
    """A run, and a client of its server."""
    with (
        ModelServer("lenet", exported().directory / "saved_model") as server,
        Client(server) as client,
    ):
        yield exported().run, client


def test_jpegs_by_rows(served):
    run, client = served
    code, answer = client.ask({"instances": [encoded(each) for each in jpegs()]})
    assert code == 200
    rows, expected = answer["predictions"], probabilities(run)
    np.testing.assert_allclose([row["probabilities"] for row in rows], expected, atol=1e-6)
    assert [row["classes"] for row in rows] == [NAMES[best] for best in expected.argmax(axis=1)]
    named = [{"image_bytes": encoded(each)} for each in jpegs()]
    assert client.ask({"instances": named}) == (200, answer)


def test_jpegs_by_columns(served):
    run, client = served
    images = [encoded(each) for each in jpegs()]
    code, answer = client.ask({"inputs": images})
    assert code == 200
    np.testing.assert_allclose(answer["outputs"]["probabilities"], probabilities(run), atol=1e-6)
    assert client.ask({"inputs": {"image_bytes": images}}) == (200, answer)


def test_other_signatures(served):
    run, client = served
    examples = [encoded(example(each)) for each in jpegs()]
    code, answer = client.ask({"signature_name": "tf_example", "instances": examples})
    assert code == 200
    rows = [row["probabilities"] for row in answer["predictions"]]
    np.testing.assert_allclose(rows, probabilities(run), atol=1e-6)
    images = np.zeros([1, 28, 28, 1], np.float32)
    _, answer = client.ask({"signature_name": "image_tensor", "inputs": images.tolist()})
    expected = classifier_of(run)(images)["logits"]
    np.testing.assert_allclose(answer["outputs"]["logits"], expected, atol=1e-5)
    _, answer = client.ask({"signature_name": "features", "instances": [encoded(jpegs()[0])]})
    assert np.shape(answer["predictions"]) == (1, 1024)


def test_status_and_versions(served):
    _, client = served
    code, answer = client.ask(None, "/v1/models/lenet")
    assert code == 200
    assert answer["model_version_status"][0]["version"] == "1"
    body = {"instances": [encoded(jpegs()[0])]}
    assert client.ask(body, "/v1/models/lenet/versions/1:predict")[0] == 200
    assert client.ask(body, "/v1/models/lenet/versions/2:predict")[0] == 404


@pytest.mark.parametrize(
    "body, message",
    [
        (
            {"instances": [{"b64": base64.b64encode(b"not an image").decode()}]},
            "image 0 is not a JPEG, PNG, GIF, BMP or WebP image",
        ),
        ({"instances": [{"other": "x"}]}, "the inputs are ['image_bytes'], not ['other']"),
        ({"signature_name": "none", "instances": ["x"]}, "'none' not found"),
        ({}, "give either instances or inputs"),
        ({"instances": []}, "has to be a list that is not empty"),
    ],
)
def test_invalid_request_is_an_error_and_the_next_one_succeeds(served, body, message):
    _, client = served
    code, answer = client.ask(body)
    assert code == 400
    assert message in answer["error"]
    assert client.ask({"instances": [encoded(jpegs()[0])]})[0] == 200


def checkpoint(run, step, factor):
    """Writes a checkpoint of a step, with weights that answer otherwise."""
    classifier = classifier_of(run)
    for variable in classifier.store.named_variables.values():
        variable.assign(variable * factor)
    variables = {"global_step": tf.Variable(step, dtype=tf.int64)}
    checkpoints.save(run / f"model.ckpt-{step}", variables | classifier.store.named_variables)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_version_change_under_load_loses_no_request(tmp_path):
    run = make_run(tmp_path.with_name(f"{tmp_path.name}-run"))
    checkpoint(run, 8, 1.5)
    export_to(tmp_path, run / "model.ckpt-8", "saved_model")
    before = answers_of(run, 8)
    checkpoint(run, 9, 0.5)
    after = answers_of(run, 9)
    assert np.abs(before - after).max() > 1e-3
    body = {"instances": [encoded(each) for each in jpegs()]}
    results, ended = [], threading.Event()

    def ask():
        seen = []
        results.append(seen)
        with Client(server) as client:
            while not ended.is_set():
                seen.append(client.ask(body))

    with ModelServer("lenet", tmp_path / "saved_model") as server:
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            export_to(tmp_path, run / "model.ckpt-9", "saved_model")
            until(lambda: server.models.loaded[0] == 9 or server.models.failures)
            counts = [len(seen) for seen in results]
            until(lambda: all(len(s) > n + 2 for s, n in zip(results, counts, strict=True)))
        finally:
            ended.set()
            for thread in threads:
                thread.join(10)
    assert not server.models.failures
    for seen in results:
        assert {code for code, _ in seen} == {200}
        which = [version_of(answer, before, after) for _, answer in seen]
        assert set(which) == {8, 9}
        assert which == sorted(which)  # never an older version after a newer one


def answers_of(run, step):
    from classifier.inference import model

    info = classifier_of(run).info
    decoded = np.stack([tf.io.decode_jpeg(each).numpy() for each in jpegs()])
    prepared = (decoded[:, 4:32, 1:29].astype(np.float32) - 128) / 128
    classifier = model.InferenceModel(
        info, sources.open_checkpoint(str(run / f"model.ckpt-{step}"))
    )
    return classifier(prepared)["probabilities"].numpy()


def version_of(answer, before, after):
    rows = np.array([row["probabilities"] for row in answer["predictions"]])
    for version, expected in ((8, before), (9, after)):
        if np.abs(rows - expected).max() < 1e-5:
            return version
    return None
