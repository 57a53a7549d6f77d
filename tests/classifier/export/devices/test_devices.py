"""TFLite files for devices: metadata, pixels as input, C arrays, the Edge TPU's rules."""

import io
import re
import shutil
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.lite.python import schema_py_generated as schema

import slim
from classifier.config import formats, options
from classifier.config.export import ExportConfig
from classifier.export import run as exporting
from classifier.export import tflite
from classifier.export.devices import c_array, edge_tpu, lite_file, micro
from classifier.export.devices import metadata as lite_metadata
from classifier.export.devices.lite_file import Operator, Tensor
from classifier.inference import exported, predictor
from classifier.inputs import preprocessing
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from nets import nets_factory
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks, checkpoints
from tests.classifier.exports import config

interpreter = pytest.importorskip("ai_edge_litert.interpreter")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="module")
def pixels(lenet_run, digits, tmp_path_factory):
    """A directory with files that take pixels, of any batch size where possible."""
    directory = tmp_path_factory.mktemp("pixels")
    common = {"dataset_dir": str(digits), "check_images": 20, "input_type": "uint8_image"}
    exporting.run(config(lenet_run, directory, formats=("tflite",), batch_size=0, **common))
    more = {"calibration_images": 20, "max_drop": 100.0, "formats": ("tflite_int8", "c_array")}
    exporting.run(config(lenet_run, directory, **common, **more))
    return directory


def table(buffer, position, slot):
    """Returns the position of a field's target in a flatbuffer; None if it is absent."""
    start = position - int.from_bytes(buffer[position : position + 4], "little", signed=True)
    if 4 + 2 * slot >= int.from_bytes(buffer[start : start + 2], "little"):
        return None
    offset = int.from_bytes(buffer[start + 4 + 2 * slot :][:2], "little")
    return position + offset if offset else None


def follow(buffer, position, *slots):
    """Follows references through tables (a slot) and vectors (a negative number: -1 - index)."""
    for slot in slots:
        if slot < 0:
            position += 4 * -slot
        else:
            position = table(buffer, position, slot)
        position += int.from_bytes(buffer[position : position + 4], "little")
    return position


def text(buffer, position):
    length = int.from_bytes(buffer[position : position + 4], "little")
    return buffer[position + 4 : position + 4 + length].decode()


def floats(buffer, position):
    length = int.from_bytes(buffer[position : position + 4], "little")
    return np.frombuffer(buffer, np.float32, length, position + 4).tolist()


def metadata(content):
    """Returns the metadata flatbuffer of a TFLite file, and the position of its root."""
    model = lite_file.read(content)
    (entry,) = [each for each in model.metadata if each.name == b"TFLITE_METADATA"]
    buffer = model.buffers[entry.buffer].data.tobytes()
    assert buffer[4:8] == b"M001"
    return buffer, int.from_bytes(buffer[:4], "little")


# Positions in metadata_schema.fbs: of a model's graph, a graph's inputs and outputs, and of a
# tensor's name, process units and files.
GRAPH, INPUTS, OUTPUTS, FIRST, UNITS, FILES = 3, 2, 3, -1, 4, 6


@pytest.mark.parametrize("name, mean", [("lenet.tflite", 0.0), ("lenet_int8.tflite", 128.0)])
def test_metadata_has_names_normalization_and_labels(pixels, name, mean):
    content = (pixels / name).read_bytes()
    buffer, root = metadata(content)
    assert text(buffer, follow(buffer, root, 0)) == "lenet"
    image = follow(buffer, root, GRAPH, FIRST, INPUTS, FIRST)
    assert text(buffer, follow(buffer, image, 0)) == "images"
    normalization = follow(buffer, image, UNITS, FIRST, 1)
    assert floats(buffer, follow(buffer, normalization, 0)) == [mean]
    assert floats(buffer, follow(buffer, normalization, 1)) == [mean or 1.0]
    scores = follow(buffer, root, GRAPH, FIRST, OUTPUTS, FIRST)
    assert text(buffer, follow(buffer, scores, 0)) == "probabilities"
    assert text(buffer, follow(buffer, scores, FILES, FIRST, 0)) == "labels.txt"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().split() == list(DIGITS)


def test_weights_are_aligned_and_the_first_output_is_probabilities(pixels):
    content = (pixels / "lenet_int8.tflite").read_bytes()
    model = schema.Model.GetRootAsModel(content, 0)
    starts = [
        model.Buffers(i)._tab.Vector(model.Buffers(i)._tab.Offset(4))
        for i in range(model.BuffersLength())
        if model.Buffers(i).DataLength()
    ]
    assert len(starts) > 10
    assert not [start for start in starts if start % 16]
    details = interpreter.Interpreter(model_content=content).get_output_details()
    assert details[0]["name"] == "StatefulPartitionedCall:1"  # sorted: logits, probabilities


@pytest.mark.parametrize("name", ["lenet.tflite", "lenet_int8.tflite"])
def test_file_of_pixels_classifies_pixels(pixels, lenet_classifier, name):
    runtime = exported.load(formats.find_export(str(pixels / name)))
    assert (runtime.input_type, runtime.image_size, runtime.num_classes) == (
        "uint8_image", (28, 28), 10,
    )  # fmt: skip
    images = np.random.default_rng(2).integers(0, 256, [5, 28, 28, 1]).astype(np.uint8)
    expected = lenet_classifier((images.astype(np.float32) - 128) / 128)["probabilities"].numpy()
    actual = runtime.classify(list(map(tf.constant, images)))
    np.testing.assert_allclose(actual, expected, atol=1e-5 if name == "lenet.tflite" else 0.25)
    assert (actual.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.8


def test_variable_batch_is_resized(pixels):
    lite = interpreter.Interpreter(str(pixels / "lenet.tflite"))
    (images,) = lite.get_input_details()
    assert images["shape_signature"].tolist() == [-1, 28, 28, 1]
    lite.resize_tensor_input(images["index"], [3, 28, 28, 1])
    lite.allocate_tensors()
    lite.set_tensor(images["index"], np.zeros([3, 28, 28, 1], np.uint8))
    lite.invoke()
    assert lite.get_tensor(lite.get_output_details()[0]["index"]).shape == (3, 10)


def test_prediction_prepares_the_pixels(pixels, lenet_classifier, digits):
    image = sorted((digits / "samples").iterdir())[0].read_bytes()
    export = formats.find_export(str(pixels / "lenet_int8.tflite"))
    info = exported.read_model_info(export)
    lite = predictor.of_export(exported.load(export, info), info, (28, 28))
    checkpoint = predictor.of_checkpoint(lenet_classifier)
    (actual,), (expected,) = (each.network([each.prepare(image)]) for each in (lite, checkpoint))
    assert lite.prepare(image).dtype == np.uint8
    assert actual.probabilities.argmax() == expected.probabilities.argmax()


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("name", sorted(preprocessing_factory.PREPROCESSINGS))
def test_normalization_of_pixels_equals_preprocessing(name, gray):
    info = ModelInfo(
        model_name="lenet", num_classes=2, image_size=(224, 224), preprocessing_name=name,
        num_channels=1 if gray else 3, use_grayscale=gray,
    )  # fmt: skip
    known = preprocessing.normalization(info)
    assert (known is None) == (name == "cifarnet")
    if known is not None:
        image = np.random.default_rng(0).integers(0, 256, [256, 256, 3]).astype(np.uint8)
        expected = preprocessing.image_fn(info, (224, 224))(image).numpy()
        pixels = preprocessing.pixels_fn(info, (224, 224))(image)
        assert pixels.dtype == np.uint8
        actual = preprocessing.normalize_fn(info)(pixels).numpy()
        np.testing.assert_allclose(actual, expected, atol=0.5001 / known[1])


def test_pixels_need_one_mean_for_all_images(lenet_run, tmp_path):
    values = {"input_type": "uint8_image", "formats": ("tflite",)}
    # A run of this preprocessing: the options of a checkpoint without model_info.json.
    shutil.copytree(lenet_run, tmp_path / "run")
    (tmp_path / "run" / "model_info.json").unlink()
    more = {"model_name": "lenet", "preprocessing_name": "cifarnet", "dataset_name": "mnist"}
    with pytest.raises(_checks.UserError, match="cifarnet normalizes each image by its own mean"):
        exporting.run(config(tmp_path / "run", tmp_path / "out", **values, **more))


def test_c_array_needs_a_fixed_batch():
    values = {"checkpoint_path": "c", "output_dir": "o", "formats": ("c_array",), "batch_size": 0}
    with pytest.raises(_checks.UserError, match="formats=c_array needs a fixed batch_size"):
        options.build(ExportConfig, **values)


COMPILER = shutil.which("cc")


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_compiled_array_equals_the_file(pixels, tmp_path):
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "lenet_int8.h"\nint main(void) {\n'
        "  if ((unsigned long)lenet_int8 % 16) return 1;\n"
        "  fwrite(lenet_int8, 1, lenet_int8_len, stdout);\n"
        "  for (int i = 0; i < LENET_INT8_NUM_CLASSES; ++i)\n"
        '    fprintf(stderr, "%s ", lenet_int8_labels[i]);\n  return 0;\n}\n'
    )
    directory = pixels / "c_array"
    command = [COMPILER, "-std=c11", "-Wall", "-Werror", "-I", directory, tmp_path / "main.c"]
    subprocess.run([*command, directory / "lenet_int8.c", "-o", tmp_path / "main"], check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, check=True)
    assert done.stdout == (pixels / "lenet_int8.tflite").read_bytes()
    assert done.stderr.decode().split() == list(DIGITS)


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_header_adds_the_operators_of_the_file(pixels, tmp_path):
    (tmp_path / "main.cc").write_text(
        '#include <cstdio>\n#include "lenet_int8.h"\nstruct Resolver {\n'
        + "".join(
            f'  int {micro.resolver_method(name)}() {{ return std::puts("{name}") < 0; }}\n'
            for name in sorted(micro._OPERATORS)
        )
        + "};\nint main() { Resolver r; return lenet_int8_add_operators(r); }\n"
    )
    command = ["c++", "-Wall", "-Werror", "-I", pixels / "c_array", tmp_path / "main.cc"]
    subprocess.run([*command, "-o", tmp_path / "main"], check=True)
    output = subprocess.run([tmp_path / "main"], capture_output=True, check=True, text=True).stdout
    file = lite_file.LiteFile((pixels / "lenet_int8.tflite").read_bytes())
    codes = lite_file.read((pixels / "lenet_int8.tflite").read_bytes()).operatorCodes
    numbers = {max(code.builtinCode, code.deprecatedBuiltinCode) for code in codes}
    assert {getattr(schema.BuiltinOperator, name) for name in output.split()} == numbers
    header = (pixels / "c_array" / "lenet_int8.h").read_text()
    assert f"LENET_INT8_NUM_OPERATORS {len(file.operator_names)}" in header
    assert "Input 0: uint8, 1 x 28 x 28 x 1, value = 0.0078125 * (integer - 128)" in header


def test_damaged_array_is_an_error(tmp_path):
    path = tmp_path / "m.c"
    path.write_text(c_array.source("m", b"\x01\x02", ['a"?\\é']))
    assert r'"a\042\077\134\303\251"' in path.read_text()
    c_array._check(str(path), b"\x01\x02")
    with pytest.raises(_checks.RunError, match="differs from the converted model"):
        c_array._check(str(path), b"\x01\x03")


def test_operator_without_a_kernel_is_an_error(pixels, monkeypatch):
    content = (pixels / "lenet_int8.tflite").read_bytes()
    monkeypatch.setattr(tflite, "convert_int8", lambda job: (content, None, None))
    monkeypatch.setattr(micro, "_OPERATORS", micro._OPERATORS - {"SOFTMAX"})
    with pytest.raises(_checks.RunError, match="has no operator SOFTMAX, so the C array was not"):
        c_array.write(None)


def test_estimate_of_the_arena_is_close_to_the_interpreters(pixels):
    file = lite_file.LiteFile((pixels / "lenet_int8.tflite").read_bytes())
    # 43248 bytes in the interpreter of tflite-micro 0.dev20261023.
    assert 43_248 <= micro.estimate(file) <= 1.1 * 43_248


def test_arena_is_measured_if_the_interpreter_is_installed(pixels, tmp_path, monkeypatch):
    # A stand-in whose interpreter accepts arenas of 5000 bytes and more.
    package = tmp_path / "tflite_micro" / "python" / "tflite_micro"
    package.mkdir(parents=True)
    (package / "runtime.py").write_text(
        "class Interpreter:\n  @staticmethod\n  def from_bytes(content, arena_size):\n"
        "    assert content[4:8] == b'TFL3' and arena_size >= 5000\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    content = (pixels / "lenet_int8.tflite").read_bytes()
    assert micro.arena(content) == (5008, True)
    monkeypatch.setattr(micro, "_MEASURE", "import os; os.abort()")
    assert micro.arena(content) == (micro.estimate(lite_file.LiteFile(content)), False)
    assert "tflite_micro" not in sys.modules


def tensor(shape, dtype="INT8", constant=None):
    return Tensor("t", tuple(shape), dtype == "INT8", dtype, (1.0,), (0,), constant)


def file_of(operator, *tensors):
    """A file of one operator whose last tensor is the output."""
    last = len(tensors) - 1
    node = Operator(operator[0], range(last), [last], types.SimpleNamespace(**dict(operator[1:])))
    return types.SimpleNamespace(
        inputs=[0], outputs=[last], tensors=list(tensors), operators=[node]
    )


IMAGE = tensor([1, 8, 8, 3])
DILATED = (("dilationHFactor", 2), ("dilationWFactor", 2))
UNEVEN = (("dilationHFactor", 2), ("dilationWFactor", 1))


@pytest.mark.parametrize(
    "file, message",
    [
        (file_of(["RELU"], IMAGE, IMAGE), ""),
        (file_of(["CONV_2D", *DILATED], IMAGE, IMAGE), ""),
        (file_of(["HARD_SWISH"], IMAGE, IMAGE), "operator HARD_SWISH is not supported"),
        (file_of(["RELU"], tensor([1, 3], "FLOAT32", np.zeros(12)), IMAGE),
         "input t is FLOAT32, not an 8-bit"),
        (file_of(["RELU"], tensor([None, 3]), IMAGE), "the batch size is variable"),
        (file_of(["RELU"], tensor([2, 8, 8, 3]), IMAGE), "only the last 3 sizes may exceed 1"),
        (file_of(["SOFTMAX"], tensor([1, 16_001]), IMAGE), "at most 1 x 16000"),
        (file_of(["CONV_2D", *UNEVEN], IMAGE, IMAGE), "different dilations"),
        (file_of(["DEPTHWISE_CONV_2D", *DILATED], IMAGE, IMAGE), "DEPTHWISE_CONV_2D is dilated"),
        (file_of(["MEAN"], IMAGE, tensor([2], "INT32", np.int32([0, 1]).view("u1")), IMAGE),
         "MEAN changes the batch dimension"),
        (file_of(["MEAN"], IMAGE, tensor([2], "INT32", np.int32([1, 2]).view("u1")), IMAGE), ""),
        (file_of(["PAD"], IMAGE, tensor([2, 2], "INT32", np.int32([0, 1]).view("u1")), IMAGE),
         "PAD changes the batch dimension"),
    ],
)  # fmt: skip
def test_rules_of_the_edge_tpu(file, message):
    problems = edge_tpu.problems(file)
    assert len(problems) == bool(message)
    assert message in "".join(problems)


def test_uint8_sample_code_runs(pixels, digits, monkeypatch, capsys):
    card = (pixels / "README.md").read_text()
    code = re.search(r"### lenet_int8.tflite.*?```python\n(.*?)```", card, re.DOTALL).group(1)
    assert "- Edge TPU: ready for its compiler" in card
    monkeypatch.chdir(pixels)
    image = Image.open(sorted((digits / "samples").iterdir())[0])
    monkeypatch.setattr(Image, "open", lambda _: image)
    exec(code, {})
    assert capsys.readouterr().out.split()[0] in DIGITS


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if "edgetpu" in name])
def test_networks_for_the_edge_tpu_are_ready(name):
    store = slim.VariableStore(seed=0)
    network = nets_factory.get_network_fn(name, num_classes=10, is_training=False)
    store.build(network, tf.TensorSpec([None, 64, 64, 3], tf.float32))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([1, 64, 64, 3], tf.float32)])
    def classify(images):
        with store.as_default():
            return tf.nn.softmax(network(images)[0])

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [classify.get_concrete_function()], store
    )
    noise = np.random.default_rng(0).uniform(-1, 1, [4, 1, 64, 64, 3]).astype(np.float32)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([images] for images in noise)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    file = lite_file.LiteFile(converter.convert())
    assert edge_tpu.problems(file) == []
    assert micro.missing_operators(file) == []
    assert file.per_channel[0] == file.per_channel[1] > 50


@pytest.mark.slow
def test_means_by_channel_are_subtracted_by_an_operation(digits, tmp_path):
    store = slim.VariableStore(seed=0)
    network = nets_factory.get_network_fn("mobilenet_v1_025", num_classes=10, is_training=False)
    store.build(network, tf.TensorSpec([None, 32, 32, 3], tf.float32))
    run = tmp_path / "run"
    checkpoints.save(run / "model.ckpt-1", store.named_variables)
    info = ModelInfo(
        model_name="mobilenet_v1_025", num_classes=10, image_size=(32, 32),
        preprocessing_name="vgg", dataset_name="digits",
    )  # fmt: skip
    RunDirectory(str(run)).write_model_info(info)
    values = {"dataset_dir": str(digits), "max_drop": 100.0}
    more = {"check_images": 4, "calibration_images": 4, "input_type": "uint8_image"}
    exporting.run(config(run, tmp_path / "out", formats=("tflite_int8",), **values, **more))
    content = (tmp_path / "out" / "mobilenet_v1_025_int8.tflite").read_bytes()
    file = lite_file.LiteFile(content)
    image = file.tensors[file.inputs[0]]
    assert (image.dtype, image.scales, image.zero_points) == ("UINT8", (1.0,), (0,))
    assert "SUB" in file.operator_names
    assert edge_tpu.problems(file) == []
    buffer, root = metadata(content)
    units = follow(buffer, root, GRAPH, FIRST, INPUTS, FIRST, UNITS, FIRST, 1)
    assert floats(buffer, follow(buffer, units, 0)) == [0.0]


def test_threshold_of_rejection_is_the_score_threshold(lenet_classifier):
    model = types.SimpleNamespace(
        info=lenet_classifier.info, image_size=(28, 28), step=7, rejection_threshold=0.4
    )
    names = ["probabilities", "logits"]
    buffer = lite_metadata._flatbuffer(model, "A model.", None, names, "apache-2.0")
    root = int.from_bytes(buffer[:4], "little")
    assert [text(buffer, follow(buffer, root, slot)) for slot in (1, 2, 5)] == [
        "A model.", "7", "apache-2.0",
    ]  # fmt: skip
    scores = follow(buffer, root, GRAPH, FIRST, OUTPUTS, FIRST)
    threshold = follow(buffer, scores, UNITS, FIRST, 1)
    assert np.frombuffer(buffer, np.float32, 1, table(buffer, threshold, 0)) == np.float32(0.4)
    logits = follow(buffer, root, GRAPH, FIRST, OUTPUTS, -2)
    assert table(buffer, logits, UNITS) is None
