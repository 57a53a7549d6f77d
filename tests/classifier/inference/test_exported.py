"""`predict_image_classifier.py` with an exported model answers as with its checkpoint."""

import csv
import json
import shutil

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from classifier.config import formats, options
from classifier.config.prediction import PredictConfig
from classifier.inference import exported, predictor
from classifier.inference import predict as predicting
from classifier.run_directory import RunDirectory
from slim import _checks
from tests import image_modes, tiff_files
from tests.classifier.export.test_formats import export_to, make_run
from tests.classifier.exports import needs

FORMATS = ("frozen_pb", "saved_model", "tflite", "onnx", "openvino", "keras")
GOOD = ("PNG RGBA", "JPEG EXIF 6", "BMP P", "GIF P", "PNG I;16", "JPEG CMYK")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("lenet"), decoding="upright")


@pytest.fixture
def files(tmp_path):
    directory = tmp_path / "files"
    directory.mkdir()
    for name in GOOD:
        (directory / name).write_bytes(image_modes.FILES[name])
    (directory / "TIFF orientation 6").write_bytes(tiff_files.FILES["orientation 6"][0])
    (directory / "bad").write_bytes(b"\xff\xd8\xff\xe0 no image")
    return directory


def predict(model, files, output, **flags):
    """Returns file and class -> probability, and the files that are bad."""
    config = options.build(
        PredictConfig,
        checkpoint_path=str(model),
        images=(str(files),),
        output_csv=str(output),
        **{"top_k": 10} | flags,
    )
    with pytest.raises(_checks.RunError, match="1 of 8 images cannot be decoded"):
        predicting.run(config)
    with open(output) as file:
        rows = list(csv.DictReader(file))
    output.unlink()
    values = {
        (row["file"], row["class"]): float(row["probability"]) for row in rows if not row["problem"]
    }
    return values, [row["file"] for row in rows if row["problem"]]


def check(run, model, files, output, **flags):
    expected, bad = predict(run, files, output)
    actual, other_bad = predict(model, files, output, **flags)
    assert other_bad == bad == [str(files / "bad")]
    assert actual.keys() == expected.keys()
    assert len(actual) == (len(GOOD) + 1) * 10
    for key, value in expected.items():
        assert actual[key] == pytest.approx(value, abs=1e-4)


def test_a_frozen_graph(run, files, tmp_path):
    out = export_to(tmp_path / "out", run, "frozen_pb", check_images=1)
    check(run, out / "lenet.pb", files, tmp_path / "p.csv", batch_size=3)
    info = RunDirectory(str(out)).read_model_info()
    assert (info.image_size, info.decoding, len(info.label_names)) == ((28, 28), "upright", 10)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("format", FORMATS)
def test_all_formats(run, files, tmp_path, format, batch_size):
    needs(format)
    out = export_to(tmp_path / "out", run, format, batch_size=batch_size, check_images=1)
    path = out / formats.FORMATS[format].file.format(model="lenet", version=1)
    check(run, path, files, tmp_path / "p.csv")
    if format == "saved_model":
        moved = shutil.copytree(out / "saved_model", tmp_path / "moved")
        check(run, moved, files, tmp_path / "p.csv")


@pytest.mark.slow
@pytest.mark.parametrize("input_type", ["uint8_image", "encoded_image"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_all_inputs_of_a_frozen_graph(run, files, tmp_path, input_type, batch_size):
    out = export_to(
        tmp_path / "out", run, "frozen_pb", input_type=input_type, batch_size=batch_size
    )
    check(run, out / "lenet.pb", files, tmp_path / "p.csv")


def graph(path, *, dtype=tf.float32, variable=False):
    """Writes a GraphDef of a placeholder and a softmax."""
    with tf.Graph().as_default() as plain_graph:
        images = tf.raw_ops.Placeholder(dtype=dtype, shape=[None, 64, 64, 3])
        if variable:
            tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[1])
        values = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])
        tf.nn.softmax(tf.pad(values, [[0, 0], [0, 7]]))
    path.write_bytes(plain_graph.as_graph_def().SerializeToString())
    return str(path)


def test_a_graph_of_another_program_needs_its_network(tmp_path, capsys):
    path = graph(tmp_path / "other.pb")
    image = tmp_path / "a.png"
    PIL.Image.new("RGB", (9, 9), "red").save(image)
    with pytest.raises(_checks.UserError, match="model_name is required"):
        predicting.run(options.build(PredictConfig, checkpoint_path=path, images=(str(image),)))
    settings = {"model_name": "inception_v1", "num_classes": 10}
    predicting.run(
        options.build(
            PredictConfig,
            checkpoint_path=path,
            images=(str(image),),
            output_format="json",
            **settings,
        )
    )
    (line,) = capsys.readouterr().out.splitlines()
    # Without names, classes are positions: red is the first channel.
    assert json.loads(line)["classes"][0]["class"] == "0"
    with pytest.raises(_checks.UserError, match=r"size 32x32 is not supported by .* Use 64x64"):
        predicting.run(
            options.build(
                PredictConfig,
                checkpoint_path=path,
                images=(str(image),),
                image_size=(32, 32),
                **settings,
            )
        )


def load(path):
    return exported.load(formats.find_export(str(path)))


def test_other_files_are_errors(tmp_path, monkeypatch):
    with pytest.raises(_checks.UserError, match="1 inputs, 1 variables and 1 outputs"):
        load(graph(tmp_path / "a.pb", variable=True))
    with pytest.raises(_checks.UserError, match=r"has an input of int32\. Allowed: float32, uint8"):
        load(graph(tmp_path / "b.pb", dtype=tf.int32))
    (tmp_path / "c.pb").write_bytes(b"\xff no graph")
    with pytest.raises(_checks.RunError, match=r"c\.pb cannot be loaded: "):
        load(tmp_path / "c.pb")
    tf.saved_model.save(tf.Module(), str(tmp_path / "d"))
    with pytest.raises(_checks.UserError, match="no signature 'image_tensor'; it has: none"):
        load(tmp_path / "d")
    (tmp_path / "e.onnx").write_bytes(b"")
    monkeypatch.setattr(_checks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(_checks.UserError, match="install it with: pip install onnxruntime"):
        load(tmp_path / "e.onnx")


def test_what_is_no_export_may_be_a_checkpoint(tmp_path):
    for name in ("model.ckpt-1.index", "a.weights.h5"):
        (tmp_path / name).write_bytes(b"")
        assert formats.find_export(str(tmp_path / name)) is None
    assert formats.find_export(str(tmp_path)) is None
    for version in ("9", "10", "11"):
        (tmp_path / version).mkdir()
    for version in ("9", "10"):
        (tmp_path / version / "saved_model.pb").write_bytes(b"")
    assert formats.find_export(str(tmp_path)).path == str(tmp_path / "10")


@pytest.mark.parametrize("name", ["features", "neighbors", "explain_dir"])
def test_features_and_explanations_need_a_checkpoint(tmp_path, name):
    path = graph(tmp_path / "a.pb")
    (tmp_path / "x.png").write_bytes(b"x")
    more = {"features_file": str(tmp_path / "f.npz")} if name == "features" else {}
    values = {name: str(tmp_path), **more}
    with pytest.raises(_checks.UserError, match=rf"{name} needs a checkpoint, but .*a\.pb"):
        predicting.run(
            options.build(
                PredictConfig, checkpoint_path=path, images=(str(tmp_path / "x.png"),), **values
            )
        )


def test_an_image_that_a_graph_cannot_resize_is_the_only_bad_one(run):
    def probabilities(batch):
        if batch.shape[1] == 1:
            raise tf.errors.InvalidArgumentError(None, None, "too flat\nat a node")
        return np.ones([len(batch), 2])

    runtime = exported.Runtime("x", [None, None, None, 1], probabilities, "uint8_image")
    info = RunDirectory(str(run)).read_model_info()
    network = predictor.of_export(runtime, info, (28, 28)).network
    rows = network([tf.zeros([height, 9, 1], tf.uint8) for height in (2, 1, 3)])
    assert rows[1] == "cannot be decoded: too flat"
    assert [isinstance(row, str) for row in rows] == [False, True, False]


def test_a_bad_image_inside_a_batch_is_the_only_one(run, tmp_path):
    """If the graph decodes, TensorFlow's error does not name the image."""
    calls = []

    def probabilities(batch):
        calls.append(len(batch))
        if any(each == b"bad" for each in batch.numpy()):
            raise tf.errors.InvalidArgumentError(None, None, "Unknown image file format.")
        return np.ones([len(batch), 2])

    runtime = exported.Runtime("x", [None], probabilities, "encoded_image")
    info = RunDirectory(str(run)).read_model_info()
    network = predictor.of_export(runtime, info, (28, 28)).network
    rows = network([tf.constant(each) for each in (b"a", b"bad", b"b")])
    assert [isinstance(row, str) for row in rows] == [False, True, False]
    assert rows[1] == "is not a JPEG, PNG, GIF, BMP or WebP image"
    assert calls == [3, 1, 1, 1]
