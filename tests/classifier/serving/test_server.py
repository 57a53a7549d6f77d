"""The answers of the server over HTTP, in this process."""

import concurrent.futures
import contextlib

import numpy as np
import pytest
import tensorflow as tf

from classifier.inference import predict as predicting
from classifier.inputs import preprocessing
from classifier.model_info import Calibration
from tests import tiff_files
from tests.classifier.export.test_formats import export_to, make_run
from tests.classifier.serving import servers
from tests.classifier.serving.servers import (
    BATCH,
    IMAGES,
    encoded,
    png,
)


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


def test_tiff_is_the_same_image_as_its_pixels(client, model):
    channels = preprocessing.decoded_channels(model.predictor.info)
    name = "orientation 6" if channels == 3 else "16 bits, white is 0"
    data, pixels = tiff_files.FILES[name]
    files = [data, tf.io.encode_png(pixels[..., :channels]).numpy()]
    actual, expected = (client.predict({"instances": [encoded(each)]}) for each in files)
    assert actual == expected
    assert actual[0] == 200
    status, value = client.predict({"instances": [encoded(data[:200])]})
    assert status == 400
    assert value["error"] == "image 0: cannot be decoded: the TIFF directory is truncated"


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


def test_all_of_several_labels_are_the_answer(tmp_path):
    thresholds = (0.01, *[0.5] * 8, 1.0)
    run = make_run(tmp_path / "run", multi_label=True,
                   calibration=Calibration(3.0, 0.0, None, thresholds))  # fmt: skip
    model = servers.load(run)
    with servers.running(model, max_batch_size=BATCH) as client:
        _, value = client.predict({"instances": list(map(encoded, IMAGES))})
        body = {"examples": [{"image/encoded": encoded(image)} for image in IMAGES]}
        _, classified = client.predict(body, ":classify")
    assert "rejected" not in classified
    probabilities, names = rows(value), model.class_names
    assert (probabilities.sum(axis=1) > 1.1).any()
    is_label = probabilities >= np.array(thresholds)
    assert is_label[:, 0].all()
    for row, labels, pairs in zip(
        value["predictions"], is_label, classified["results"], strict=True
    ):
        expected = [name if own else "" for name, own in zip(names, labels, strict=True)]
        assert row["classes"] == expected
        assert {name for name, _ in pairs} == set(filter(None, expected))
    (run / "model_info.json").unlink()
    described = {"model_name": "lenet", "num_classes": 10, "use_grayscale": True}
    outputs = [servers.load(run, multi_label=each, **described).predictor for each in (True, False)]
    image = outputs[0].prepare(tf.constant(IMAGES[0]))
    sums = [each.network([image])[0].probabilities.sum() for each in outputs]
    assert sums[1] == pytest.approx(1, abs=1e-5)
    assert sums[0] != pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize(
    "input_type", ["uint8_image", pytest.param("encoded_image", marks=pytest.mark.slow)]
)
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
        (
            {"instances": [encoded(IMAGES[0]), encoded(IMAGES[1][:50])]},
            400,
            "image 1: cannot be",
        ),
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
