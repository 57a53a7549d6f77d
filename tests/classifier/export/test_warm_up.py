"""Warm-up requests: encoded as by TensorFlow Serving, and replayed."""

import numpy as np
import pytest
import tensorflow as tf

from classifier.export import saved_model, warm_up
from slim import _checks
from tests.classifier.export.test_formats import classifier_of, export_to


@pytest.mark.slow
def test_serving_reads_the_requests(exported):
    version = str(exported(2).version)
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    signatures = tf.saved_model.load(version).signatures
    records = tf.data.TFRecordDataset(f"{version}/{warm_up.PATH}").as_numpy_iterator()
    requests = [log.PredictionLog.FromString(record).predict_log.request for record in records]
    assert {request.model_spec.name for request in requests} == {"lenet"}
    assert {request.model_spec.signature_name for request in requests} == set(signatures)
    for request, ours in zip(requests, warm_up.read(version), strict=True):
        signature = signatures[request.model_spec.signature_name]
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        for name, spec in signature.structured_input_signature[1].items():
            assert spec.is_compatible_with(tf.constant(inputs[name]))
            np.testing.assert_array_equal(inputs[name], ours.inputs[name].numpy())
        assert signature(**{name: tf.constant(value) for name, value in inputs.items()})


def test_requests_of_any_length_round_trip(tmp_path):
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    lengths = (0, 1, 127, 128, 20_000)
    requests = [
        warm_up.Request("s" * length, {"a": tf.zeros([length]), "b": tf.constant([b"x" * length])})
        for length in lengths
    ]
    warm_up.write(str(tmp_path), "net", requests)
    for length, request in zip(lengths, warm_up.read(str(tmp_path)), strict=True):
        assert request.signature == "s" * length
        assert request.inputs["a"].shape == [length]
        assert request.inputs["b"].numpy().tolist() == [b"x" * length]
    for length, record in zip(
        lengths,
        tf.data.TFRecordDataset(str(tmp_path / warm_up.PATH)).as_numpy_iterator(),
        strict=True,
    ):
        request = log.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.signature_name == "s" * length
        assert tf.make_ndarray(request.inputs["b"]).tolist() == [b"x" * length]


def test_replay_detects_different_outputs(exported):
    path = str(exported(2).version)
    live = saved_model.Serving(classifier_of(exported(2).run), 2).by_signature()
    signatures = tf.saved_model.load(path).signatures
    assert warm_up.replay(path, live, signatures) == 5

    def wrong(**inputs):
        return {name: 1.01 * value for name, value in signatures["features"](**inputs).items()}

    with pytest.raises(_checks.RunError, match="'features' of the export returns other feature"):
        warm_up.replay(path, live, {**signatures, "features": wrong})

    def fewer(**inputs):
        return {name: value[:1] for name, value in signatures["features"](**inputs).items()}

    with pytest.raises(_checks.RunError, match="so it was not kept"):
        warm_up.replay(path, live, {**signatures, "features": fewer})


@pytest.mark.slow
def test_export_is_not_kept_if_the_replay_fails(lenet_run, tmp_path, monkeypatch):
    monkeypatch.setattr(warm_up, "TOLERANCE", -1.0)
    with pytest.raises(_checks.RunError, match="warm-up request"):
        export_to(tmp_path, lenet_run, "saved_model")
    assert not list(tmp_path.iterdir())


def test_version_created_meanwhile_is_not_overwritten(lenet_run, tmp_path, monkeypatch):
    version = tmp_path / "saved_model" / "1"
    monkeypatch.setattr(warm_up, "replay", lambda *_: (version / "theirs").mkdir(parents=True))
    with pytest.raises(_checks.UserError, match="saved_model/1 exists. Remove it, or use"):
        export_to(tmp_path, lenet_run, "saved_model")
    assert [path.name for path in version.iterdir()] == ["theirs"]
