"""What is printed on how to call an export, done as it says: in a fresh process, and by curl."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from datasets import dataset_factory
from preprocessing import preprocessing_factory, vgg_preprocessing
from tests.classifier.export.test_formats import NAMES, classifier_of, export_to, make_run
from tests.classifier.exports import needs
from tests.model_server import ModelServer

# Written as PNG, whatever its file is called: Pillow and TensorFlow read JPEG not quite alike.
IMAGE = np.random.default_rng(4).integers(0, 256, [28, 28, 1]).astype(np.uint8)


@pytest.fixture
def place(tmp_path):
    """A directory with a run, and with the image that the sample code reads."""
    (tmp_path / "image.jpg").write_bytes(tf.io.encode_png(IMAGE).numpy())
    make_run(tmp_path / "run")
    return tmp_path


def prepared(place):
    decoded = tf.io.decode_png((place / "image.jpg").read_bytes()).numpy()
    return (decoded[None].astype(np.float32) - 128) / 128


def expected(place):
    """Returns the checkpoint's best class and its probability."""
    (row,) = classifier_of(place / "run")(prepared(place))["probabilities"].numpy()
    return int(row.argmax()), float(row.max())


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_python(program, directory):
    """Returns the stdout of a program that must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, 2])
def test_sample_code_matches_the_checkpoint(place, capsys, batch):
    export_to(place / "s", place / "run", "saved_model", batch_size=batch)
    for kind in ("float_image", "uint8_image", "encoded_image"):
        export_to(place / kind, place / "run", "frozen_pb", input_type=kind, batch_size=batch)
    codes = blocks(capsys.readouterr().out, "python")
    assert len(codes) == 4
    program = "".join(f"exec({code!r}, {{}})\nprint('next')\n" for code in codes)
    stdout = run_python(program, place)
    best, probability = expected(place)
    for answer in stdout.split("next\n")[:-1]:
        rows = answer.splitlines()
        assert len(rows) == (batch or 1)
        for row in rows:
            name, value = row.rsplit(" ", 1)
            assert name == NAMES[best]
            assert float(value) == pytest.approx(probability, abs=1e-5)


@pytest.mark.slow
def test_sample_code_of_other_runtimes_matches_the_checkpoint(lenet_run, digits, tmp_path, capsys):
    kinds = ("tflite", "tflite_float16", "tflite_dynamic", "tflite_int8", "onnx", "keras")
    for name in kinds:
        needs(name)
    data = {"dataset_name": "digits", "dataset_dir": str(digits), "max_drop": 100.0}
    export_to(tmp_path, lenet_run, *kinds, **data)
    classifier = classifier_of(lenet_run)
    # A digit: 8 bits were calibrated for them.
    (tmp_path / "image.jpg").write_bytes(dataset_factory.example_images(1)[1][0])
    images = prepared(tmp_path)
    codes = blocks(capsys.readouterr().out, "python")
    assert len(codes) == len(kinds)
    (wanted_row,) = classifier(images)["probabilities"].numpy()
    program = "".join(f"exec({code!r}, {{}})\n" for code in codes)
    stdout = run_python(program, tmp_path)
    for name, row in zip(kinds, stdout.splitlines(), strict=True):
        best, value = row.split()
        index = classifier.info.label_names.index(best)
        near = 0.1 if name in ("tflite_dynamic", "tflite_int8") else 1e-2
        assert float(value) == pytest.approx(wanted_row.max(), abs=near)
        assert wanted_row[index] == pytest.approx(wanted_row.max(), abs=near)


def test_sample_code_reads_the_weights(place, capsys):
    export_to(place / "out", place / "run", "weights_h5")
    (code,) = blocks(capsys.readouterr().out, "python")
    exec(code, {})
    values = classifier_of(place / "run").values()
    stdout = sorted(capsys.readouterr().out.splitlines())
    assert stdout == sorted(f"{name} {value.shape}" for name, value in values.items())


@pytest.mark.parametrize("batch", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_printed_curl_command_matches_the_checkpoint(place, exported, batch):
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    start, ask = blocks(exported(batch).stdout, "bash")
    flags = dict(re.findall(r"--(\w+)=(\S+)", start))
    assert flags["rest_api_port"] == "8501"
    with ModelServer(flags["model_name"], exported(batch).directory / "saved_model") as server:
        done = subprocess.run(
            ["bash", "-ec", ask.replace("localhost:8501", f"127.0.0.1:{server.server_port}")],
            cwd=place,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    best, probability = expected(place)
    assert done.stdout.count(f'"classes": "{NAMES[best]}"') == (batch or 1)
    (value, *_) = re.findall(r'"probabilities": \[(.*?)\]', done.stdout)
    assert max(map(float, value.split(","))) == pytest.approx(probability, abs=1e-5)


def test_server_command_has_an_absolute_path(exported, tmp_path):
    # TensorFlow Serving requires an absolute path, also in a copy of the directory.
    copy = shutil.copytree(exported().directory, (tmp_path / "a copy").resolve())
    for text, directory in (
        (exported().stdout, exported().directory),
        ((copy / "README.md").read_text(), copy),
    ):
        start, _ = blocks(text, "bash")
        shown = 'tensorflow_model_server() { printf "%s\\n" "$@"; }\n'
        done = subprocess.run(
            ["bash", "-ec", shown + start],
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"--model_base_path={directory / 'saved_model'}" in done.stdout.splitlines()


@pytest.mark.slow
def test_names_shapes_dtypes_and_values_are_printed(place, capsys):
    export_to(place / "out", place / "run", "frozen_pb", "saved_model", batch_size=2)
    stdout = capsys.readouterr().out
    images = "float32 [2, 28, 28, 1], preprocessed as `lenet`: -1 to 0.992"
    answer = "`classes` string [2], `logits` float32 [2, 10], `probabilities` float32 [2, 10]"
    for line in (
        f"- `input:0`: {images}\n- `Predictions/Reshape_1:0`: float32 [2, 10]",
        f"- `image_tensor`: `images` {images}; outputs {answer}",
        "- `tf_example`: `examples` string [2], serialized `tf.train.Example`s",
    ):
        assert line in stdout


@pytest.mark.parametrize(
    "name, low, high", [("inception", -1, 1), ("lenet", -1, 0.992), ("vgg", -123.68, 151.06)]
)
def test_value_range_of_each_preprocessing(name, low, high):
    prepare = preprocessing_factory.get_preprocessing(name, is_training=False)
    black, white = (prepare(tf.fill([32, 32, 3], tf.cast(v, tf.uint8)), 32, 32) for v in (0, 255))
    assert float(tf.reduce_min(black)) == pytest.approx(low, abs=1e-3)
    assert float(tf.reduce_max(white)) == pytest.approx(high, abs=1e-3)
    for number in (abs(low), high):
        text = {1: "1", 0.992: "0.992", 123.68: "123.68", 151.06: "103.94 "}[number]
        assert text in preprocessing_factory.PREPROCESSINGS[name].values


def test_documented_means_are_those_subtracted():
    means = re.findall(r"\d+\.\d+", preprocessing_factory.PREPROCESSINGS["vgg"].values)
    assert tuple(map(float, means)) == vgg_preprocessing.MEANS


def test_cifarnets_values_are_standardized():
    values = preprocessing_factory.PREPROCESSINGS["cifarnet"].values
    assert "mean 0 and standard deviation 1" in values
    prepare = preprocessing_factory.get_preprocessing("cifarnet", is_training=False)
    image = prepare(np.random.default_rng(0).integers(0, 256, [32, 32, 3]).astype("uint8"), 32, 32)
    assert float(tf.reduce_mean(image)) == pytest.approx(0, abs=1e-4)
    assert float(tf.math.reduce_std(image)) == pytest.approx(1, abs=1e-3)
