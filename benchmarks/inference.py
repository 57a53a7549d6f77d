"""Inference: the formats of an export side by side, latency at batch 1 and throughput at batch 16.

    python benchmarks/inference.py [--networks=mobilenet_v1,resnet_v1_50] [--rounds=15]

A checkpoint of random weights and ten classes is exported by `export_inference_graph.py`'s own
code, calibrated on the embedded digits, and each file is run by its own runtime: a TensorFlow
session for frozen graphs, with and without batch norm folded, TensorFlow's functions for the
SavedModel, Keras for its own file, LiteRT and ONNX Runtime where they are installed. All take the
same preprocessed images, the file of integers rounded ones, and may use all cores. Times are
medians of rounds in which each has its turn, in an order that changes; their ratios are to the
first one in the same round.
"""

import argparse
import contextlib
import functools
import importlib.util
import io
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import slim
from benchmarks import pairs
from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.config.formats import FORMATS
from classifier.export import run as exporting
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from datasets import download_and_convert
from nets import nets_factory
from preprocessing import preprocessing_factory
from slim import _cores, checkpoints

BATCHES = (1, 16)
CLASSES = 10
CALIBRATION_IMAGES = 8
# Median seconds, and time relative to the first one, by name.
Found = dict[str, tuple[float, float]]
# From images to probabilities.
Call = Callable[[np.ndarray], np.ndarray]


def make_run(folder: pathlib.Path, name: str, size: int | None = None) -> pathlib.Path:
    """Writes a checkpoint of random weights as training would; returns its folder."""
    spec = nets_factory.NETWORKS[name]
    side = size or spec.image_size
    channels = 1 if name == "lenet" else 3
    store = slim.VariableStore(seed=0)
    network = nets_factory.get_network_fn(name, CLASSES, is_training=False)
    store.build(network, tf.TensorSpec([None, side, side, channels], tf.float32))
    run = folder / "run"
    run.mkdir()
    checkpoints.save(run / "model.ckpt-1", store.named_variables)
    info = ModelInfo(
        model_name=name,
        num_classes=CLASSES,
        image_size=(side, side),
        num_channels=channels,
        preprocessing_name=preprocessing_factory.resolve_name(name),
    )
    RunDirectory(str(run)).write_model_info(info)
    return run


def export(run: pathlib.Path, output_dir: pathlib.Path, *formats: str, **more: object) -> None:
    """Writes formats of a checkpoint, saying nothing."""
    config = options.build(
        ExportConfig,
        checkpoint_path=str(run / "model.ckpt-1"),
        output_dir=str(output_dir),
        formats=formats,
        **more,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        exporting.run(config)


def of_frozen(path: pathlib.Path) -> Call:
    """Returns a frozen graph as a function."""
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
    session = tf.compat.v1.Session(graph=graph)
    (softmax,) = (each for each in graph.get_operations() if each.type == "Softmax")
    return session.make_callable(softmax.outputs[0], [graph.get_tensor_by_name("input:0")])


def of_saved_model(path: pathlib.Path) -> Call:
    """Returns a SavedModel's signature of images as a function."""
    model = tf.saved_model.load(str(path))
    # A signature does not keep its model.
    return lambda images: model.signatures["image_tensor"](images=tf.constant(images))[
        "probabilities"
    ].numpy()


def of_tflite(path: pathlib.Path) -> Call:
    """Returns a TFLite file as a function, run by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=_cores.usable_cores())
    (taken,) = interpreter.get_input_details()
    interpreter.allocate_tensors()

    def run(images: np.ndarray) -> np.ndarray:
        if taken["dtype"] == np.int8:
            scale, zero = taken["quantization"]
            images = np.clip(np.rint(images / scale + zero), -128, 127).astype(np.int8)
        interpreter.set_tensor(taken["index"], images)
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        return probabilities(_as_floats(interpreter.get_tensor(e["index"]), e) for e in outputs)

    return run


def _as_floats(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    return values if values.dtype == np.float32 else (values.astype(np.float32) - zero) * scale


def of_onnx(path: pathlib.Path) -> Call:
    """Returns an ONNX file as a function, run by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    return lambda images: probabilities(session.run(None, {taken.name: images}))


def of_keras(path: pathlib.Path) -> Call:
    """Returns a Keras model, which gives logits, as a function."""
    import keras

    model = keras.models.load_model(path)

    def run(images: np.ndarray) -> np.ndarray:
        return tf.nn.softmax(model.predict_on_batch(images)).numpy()

    return run


def probabilities(outputs: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the one of some outputs whose rows sum to one, roundings of 8 bits apart."""
    (found, *_) = (
        each for each in outputs if each.min() >= 0 and np.allclose(each.sum(axis=-1), 1, atol=0.05)
    )
    return found


def contestants(run: pathlib.Path, folder: pathlib.Path, name: str, batch: int) -> dict[str, Call]:
    """Exports a run to each format that can be run here; returns them as functions by name."""
    calls = {}
    for fold in (True, False):
        out = folder / f"fold_{fold}"
        export(run, out, "frozen_pb", fold_batch_norm=fold)
        path = out / f"{name}.pb"
        nodes = len(tf.compat.v1.GraphDef.FromString(path.read_bytes()).node)
        kind = "folded" if fold else "not folded"
        calls[f"frozen, {kind}, {nodes} ops"] = of_frozen(path)
    export(run, folder / "saved", "saved_model")
    calls["SavedModel"] = of_saved_model(folder / "saved" / "saved_model" / "1")
    for key, (runtime, runner) in EXTRAS.items():
        if importlib.util.find_spec(runtime):
            export(run, folder / key, key, batch_size=batch, **_data(folder, key))
            calls[key] = runner(folder / key / FORMATS[key].file.format(model=name))
    return calls


def _data(folder: pathlib.Path, key: str) -> Mapping[str, Any]:
    """Returns the options of a format that is measured or calibrated on a dataset."""
    if not FORMATS[key].measured:
        return {}
    digits = folder / "digits"
    if not digits.exists():
        with contextlib.redirect_stdout(io.StringIO()):
            download_and_convert.convert("digits", str(digits))
    found = {"dataset_name": "digits", "dataset_dir": str(digits), "max_drop": 100.0}
    found["check_images"] = CALIBRATION_IMAGES
    if FORMATS[key].calibrated:
        found["calibration_images"] = CALIBRATION_IMAGES
    return found


# Formats beside TensorFlow's own -> the package that runs them, and how.
EXTRAS: Mapping[str, tuple[str, Callable[[pathlib.Path], Call]]] = {
    "tflite": ("ai_edge_litert", of_tflite),
    "tflite_float16": ("ai_edge_litert", of_tflite),
    "tflite_dynamic": ("ai_edge_litert", of_tflite),
    "tflite_int8": ("ai_edge_litert", of_tflite),
    "onnx": ("onnxruntime", of_onnx),
    "keras": ("keras", of_keras),
}


def measure(name: str, rounds: int, size: int | None = None) -> dict[int, Found]:
    """Returns what each format took, by batch: (seconds, time relative to the first)."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        run = make_run(folder, name, size)
        shape = RunDirectory(str(run)).read_model_info()
        sides = (*shape.image_size, shape.num_channels)
        for batch in BATCHES:
            calls = contestants(run, folder / str(batch), name, batch)
            images = np.random.default_rng(0).uniform(-1, 1, (batch, *sides)).astype(np.float32)
            check_same(calls, images)
            timed = {key: functools.partial(call, images) for key, call in calls.items()}
            found[batch] = pairs.medians(timed, rounds=rounds)
    return found


def check_same(calls: Mapping[str, Call], images: np.ndarray) -> None:
    """Raises SystemExit unless all that round nothing give the same probabilities."""
    answers = {key: call(images).reshape(len(images), -1) for key, call in calls.items()}
    first = next(iter(answers.values()))
    for key, answer in answers.items():
        if key in FORMATS and FORMATS[key].quantized:
            continue
        difference = np.abs(answer - first).max() / first.max()
        if not difference < 1e-3:
            raise SystemExit(f"{key} answers otherwise: by {difference:.1e} of the largest")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints a table a network and batch."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", default="mobilenet_v1,resnet_v1_50")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, help="of the images; default: the network's")
    given = parser.parse_args(arguments)
    for name in given.networks.split(","):
        for batch, found in measure(name, given.rounds, given.size).items():
            print(f"{name}, batch {batch}")
            for key, (seconds, ratio) in found.items():
                print(
                    f"  {key:<28}{1e3 * seconds:>9.1f} ms{batch / seconds:>9.1f} images/s"
                    f"   time x{ratio:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
