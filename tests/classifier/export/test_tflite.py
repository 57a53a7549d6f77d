"""TFLite files, run by LiteRT."""

import json
import os

import numpy as np
import pytest

from classifier.export import input_types, samples
from classifier.export import run as exporting
from classifier.inference import runtimes
from slim import _checks
from tests.classifier.exports import config

interpreter = pytest.importorskip("ai_edge_litert.interpreter")


def runner(path):
    return interpreter.Interpreter(str(path)).get_signature_runner()


def test_float_file_matches_the_checkpoint(lenet_run, lenet_classifier, tmp_path, capsys):
    exporting.run(config(lenet_run, tmp_path, formats=("tflite",), batch_size=2, check_images=3))
    call = runner(tmp_path / "lenet.tflite")
    images = np.random.default_rng(1).uniform(-1, 1, [2, 28, 28, 1]).astype(np.float32)
    answer, expected = call(images=images), lenet_classifier(images)
    assert sorted(answer) == ["logits", "probabilities"]
    for name, value in answer.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)
    stdout = capsys.readouterr().out
    assert "input images float32 [2, 28, 28, 1], logits float32 [2, 10]" in stdout
    assert f"tflite {tmp_path / 'lenet.tflite'} largest difference" in stdout
    assert (tmp_path / "labels.txt").exists()


@pytest.fixture(scope="module")
def variants(lenet_run, digits, tmp_path_factory):
    """A directory with all variants."""
    directory = tmp_path_factory.mktemp("variants")
    names = ("tflite", "tflite_float16", "tflite_dynamic", "tflite_int8")
    more = {"check_images": 20, "calibration_images": 20, "max_drop": 100.0}
    exporting.run(config(lenet_run, directory, formats=names, dataset_dir=str(digits), **more))
    return directory


@pytest.mark.parametrize(
    "variant, fraction", [("float16", 0.51), ("dynamic", 0.26), ("int8", 0.26)]
)
def test_the_variants_are_smaller(variants, variant, fraction):
    float_size = (variants / "lenet.tflite").stat().st_size
    assert (variants / f"lenet_{variant}.tflite").stat().st_size < fraction * float_size


def test_int8_has_integer_inputs_and_outputs(variants):
    call = runner(variants / "lenet_int8.tflite")
    details = {**call.get_input_details(), **call.get_output_details()}
    assert {name: each["dtype"] for name, each in details.items()} == {
        "images": np.int8,
        "logits": np.int8,
        "probabilities": np.int8,
    }


def test_int8_logits_correlate_with_the_checkpoint(variants, lenet_classifier):
    lite = runtimes.Lite((variants / "lenet_int8.tflite").read_bytes())
    assert "input images int8 [1, 28, 28, 1] (preprocessed / 0.00" in lite.description()
    trial = input_types.make_trial(
        "float_image", lenet_classifier, 1, samples.embedded(lenet_classifier.info, 20)
    )
    actual = np.concatenate([lite(batch) for batch in trial.real])
    expected = np.concatenate([lenet_classifier(batch)["logits"] for batch in trial.real])
    assert np.corrcoef(actual.ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.slow
def test_more_images_calibrate_a_wider_range(lenet_run, digits, tmp_path):
    scales = {}
    for count in (1, 60):
        flags = {"formats": ("tflite_int8",), "calibration_images": count, "max_drop": 100.0}
        directory = tmp_path / str(count)
        more = {"dataset_dir": str(digits), "check_images": 1}
        exporting.run(config(lenet_run, directory, **flags, **more))
        details = runner(directory / "lenet_int8.tflite").get_output_details()
        scales[count] = details["logits"]["quantization"][0]
    assert scales[60] > scales[1]


def test_quantized_file_with_too_large_accuracy_loss_is_not_kept(
    lenet_run, lenet_classifier, digits, tmp_path, monkeypatch
):
    # Calibration with black images learns a wrong range. The labels are the checkpoint's classes.
    black = samples.Samples("black", [np.zeros([28, 28, 1], np.uint8)] * 3)
    real = samples.embedded(lenet_classifier.info, 60)
    best = (
        lenet_classifier(samples.preprocessed(real, lenet_classifier))["logits"]
        .numpy()
        .argmax(axis=1)
    )
    labelled = samples.Samples("digits", real.images, best)
    monkeypatch.setattr(
        samples, "drawn", lambda data, *_: black if data.split_name == "train" else labelled
    )
    export = config(lenet_run, tmp_path, formats=("tflite_int8",), dataset_dir=str(digits))
    with pytest.raises(_checks.RunError, match="The drop exceeds max_drop=1, so it was not kept"):
        exporting.run(export)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_int8_lenet_loses_at_most_one_point(train, digits, tmp_path, capsys):
    run_dir = tmp_path / "run"
    train(run_dir, max_number_of_steps=300, batch_size=32, learning_rate=0.01)
    flags = {"formats": ("tflite_int8",), "dataset_dir": str(digits), "check_images": 360}
    exporting.run(config(run_dir, tmp_path / "out", **flags))
    stdout = capsys.readouterr().out
    print(stdout)
    accuracy = float(stdout.split("(checkpoint ")[1].split(" %")[0])
    assert accuracy > 90
    assert os.path.exists(tmp_path / "out" / "lenet_int8.tflite")
    assert json.loads((run_dir / "model_info.json").read_text())["model_name"] == "lenet"


@pytest.mark.slow
def test_int8_network_with_batch_norm_loses_little_accuracy(train, digits, tmp_path, capsys):
    run_dir = tmp_path / "run"
    more = {"model_name": "mobilenet_v1_025", "train_image_size": 32, "batch_norm_decay": 0.9}
    train(run_dir, max_number_of_steps=400, batch_size=32, optimizer="adam", opt_epsilon=1e-7,
          learning_rate=0.005, random_flip=False, random_crop=False, **more)  # fmt: skip
    flags = {"formats": ("tflite_int8",), "dataset_dir": str(digits), "check_images": 360}
    exporting.run(config(run_dir, tmp_path / "out", **flags, max_drop=3.0))
    stdout = capsys.readouterr().out
    print(stdout)
    assert float(stdout.split("(checkpoint ")[1].split(" %")[0]) > 80
    assert os.path.exists(tmp_path / "out" / "mobilenet_v1_025_int8.tflite")
