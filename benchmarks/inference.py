"""Inference: the formats of an export and peers side by side, at batch 1 and 16.

    python benchmarks/inference.py [network ...] [--batches=1,16]
        [--rounds=15] [--tf_slim=PATH] [--slim_networks=PATH]

A checkpoint with random weights and ten classes is exported by the code of
`export_inference_graph.py`, calibrated on the embedded digits, and each file runs in its runtime: a
TensorFlow session for frozen graphs, with and without batch norm folding, TensorFlow functions for
the SavedModel, Keras for its own format, LiteRT, ONNX Runtime and OpenVINO where installed,
OpenVINO also in bfloat16. All receive the same preprocessed images (rounded for the integer model)
and may use all cores. Networks that Keras, timm and TF-Slim have too run in processes and
environments of their own, see `training.py`. Times are medians of rounds that run each contestant
once, in random order; ratios are relative to the first one in the same round. All seconds are
written to `benchmarks/results/inference.json`.
"""

import argparse
import contextlib
import datetime
import functools
import importlib.util
import io
import os
import pathlib
import re
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import slim
from benchmarks import contestants, machine, pairs, results
from benchmarks.contestants import PRODUCT, Contestant, Peers
from benchmarks.flags import add_image_size, add_networks, add_rounds
from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.config.formats import FORMATS
from classifier.export import run as exporting
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from datasets import download_and_convert
from nets import nets_factory, statistics
from preprocessing import preprocessing_factory
from slim import _cores, checkpoints

CLASSES = 10
CALIBRATION_IMAGES = 8
PEERS = (
    Contestant("TF-Slim", "tf_slim", "predict"),
    Contestant("Keras 3", "keras", "predict"),
    Contestant("timm, eager", "timm", "predict"),
    Contestant("timm, compiled", "timm", "predict, compiled"),
    Contestant("timm, compiled, bfloat16", "timm", "predict, compiled", "bfloat16"),
    Contestant(PRODUCT, "slim", "matmul"),
)
NETWORKS = ("mobilenet_v1", "resnet_v1_50")
BATCHES = (1, 16)
_SECONDS = 0.3  # of a contestant in a round
Seconds = dict[str, list[float]]  # of each round, by contestant
# From images to probabilities.
Call = Callable[[np.ndarray], np.ndarray]


def make_run(
    directory: pathlib.Path, name: str, size: int | None = None, channels: int | None = None
) -> pathlib.Path:
    """Writes a run directory with random weights; returns its path."""
    spec = nets_factory.NETWORKS[name]
    side = size or spec.image_size
    channels = channels or (1 if name == "lenet" else 3)
    store = slim.VariableStore(seed=0)
    network = nets_factory.get_network_fn(name, CLASSES, is_training=False)
    store.build(network, tf.TensorSpec([None, side, side, channels], tf.float32))
    run = directory / "run"
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
    """Exports a checkpoint to some formats, without output."""
    config = options.build(
        ExportConfig,
        checkpoint_path=str(run / "model.ckpt-1"),
        output_dir=str(output_dir),
        formats=formats,
        **more,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        exporting.run(config)


def frozen_graph(path: pathlib.Path) -> Call:
    """Returns a frozen graph as a function."""
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
    session = tf.compat.v1.Session(graph=graph)
    (softmax,) = (each for each in graph.get_operations() if each.type == "Softmax")
    return session.make_callable(softmax.outputs[0], [graph.get_tensor_by_name("input:0")])


def saved_model(path: pathlib.Path) -> Call:
    """Returns a SavedModel's `image_tensor` signature as a function."""
    model = tf.saved_model.load(str(path))
    # The lambda refers to the model: a signature alone does not keep it alive.
    return lambda images: model.signatures["image_tensor"](images=tf.constant(images))[
        "probabilities"
    ].numpy()


def tflite(path: pathlib.Path) -> Call:
    """Returns a TFLite file as a function, in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=_cores.usable_cores())
    (details,) = interpreter.get_input_details()
    interpreter.allocate_tensors()

    def run(images: np.ndarray) -> np.ndarray:
        if details["dtype"] == np.int8:
            scale, zero = details["quantization"]
            images = np.clip(np.rint(images / scale + zero), -128, 127).astype(np.int8)
        interpreter.set_tensor(details["index"], images)
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        return probabilities(_as_floats(interpreter.get_tensor(e["index"]), e) for e in outputs)

    return run


def _as_floats(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    return values if values.dtype == np.float32 else (values.astype(np.float32) - zero) * scale


def onnx(path: pathlib.Path) -> Call:
    """Returns an ONNX file as a function, in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (model_input,) = session.get_inputs()
    return lambda images: probabilities(session.run(None, {model_input.name: images}))


def openvino(path: pathlib.Path, dtype: str = "f32") -> Call:
    """Returns an OpenVINO model as a function that computes in a dtype."""
    import openvino

    properties = {"INFERENCE_PRECISION_HINT": dtype, "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Core().compile_model(str(path), "CPU", properties)
    return lambda images: probabilities(model(images).values())


def keras_model(path: pathlib.Path) -> Call:
    """Returns a Keras model, which outputs logits, as a function."""
    import keras

    model = keras.models.load_model(path)

    def run(images: np.ndarray) -> np.ndarray:
        return tf.nn.softmax(model.predict_on_batch(images)).numpy()

    return run


def probabilities(outputs: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the first output whose rows sum to one, up to rounding to 8 bits."""
    return next(
        each for each in outputs if each.min() >= 0 and np.allclose(each.sum(axis=-1), 1, atol=0.05)
    )


def exported(
    run: pathlib.Path, directory: pathlib.Path, name: str, batch: int, keys: Collection[str]
) -> dict[str, Call]:
    """Exports a run to formats whose runtime is installed; returns them as functions."""
    calls = {}
    for fold in (True, False):
        out = directory / f"fold_{fold}"
        export(run, out, "frozen_pb", fold_batch_norm=fold)
        path = out / f"{name}.pb"
        nodes = len(tf.compat.v1.GraphDef.FromString(path.read_bytes()).node)
        kind = "folded" if fold else "not folded"
        calls[f"frozen, {kind}, {nodes} ops"] = frozen_graph(path)
    export(run, directory / "saved", "saved_model")
    calls["SavedModel"] = saved_model(directory / "saved" / "saved_model" / "1")
    for key, (runtime, runner) in EXTRAS.items():
        if key in keys and importlib.util.find_spec(runtime):
            export(run, directory / key, key, batch_size=batch, **_data(directory, key))
            path = directory / key / FORMATS[key].file.format(model=name)
            calls[key] = runner(path)
            if key == "openvino":
                calls["openvino, bfloat16"] = openvino(path, "bf16")
    return calls


def _data(directory: pathlib.Path, key: str) -> Mapping[str, Any]:
    """Returns the dataset options of a format that is evaluated or calibrated on a dataset."""
    if not FORMATS[key].measured:
        return {}
    digits = directory / "digits"
    if not digits.exists():
        with contextlib.redirect_stdout(io.StringIO()):
            download_and_convert.convert("digits", str(digits))
    values = {"dataset_name": "digits", "dataset_dir": str(digits), "max_drop": 100.0}
    values["check_images"] = CALIBRATION_IMAGES
    if FORMATS[key].calibrated:
        values["calibration_images"] = CALIBRATION_IMAGES
    return values


# Formats other than TensorFlow's -> the package that runs them, and how.
EXTRAS: Mapping[str, tuple[str, Callable[[pathlib.Path], Call]]] = {
    "tflite": ("ai_edge_litert", tflite),
    "tflite_float16": ("ai_edge_litert", tflite),
    "tflite_dynamic": ("ai_edge_litert", tflite),
    "tflite_int8": ("ai_edge_litert", tflite),
    "onnx": ("onnxruntime", onnx),
    "openvino": ("openvino", openvino),
    "keras": ("keras", keras_model),
}


def measure(
    name: str,
    batch: int,
    rounds: int,
    size: int | None = None,
    peers: Peers | None = None,
    keys: Collection[str] = (),
) -> Seconds:
    """Returns the seconds of each format, and of the peers, per call and round.

    Args:
      name: the network.
      batch: number of images.
      rounds: number of timed rounds.
      size: height and width of the images; default: the network's.
      peers: processes of the peers; default: none take part.
      keys: formats besides TensorFlow's; default: all.
    """
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        run = make_run(directory, name, size)
        info = RunDirectory(str(run)).read_model_info()
        shape = (batch, *info.image_size, info.num_channels)
        images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        calls = exported(run, directory, name, batch, keys or EXTRAS)
        check_same(calls, images)
        timed = {key: _repeated(functools.partial(call, images)) for key, call in calls.items()}
        if peers is not None and name in contestants.NETWORKS:
            timed |= _peers(name, batch, peers)
        return pairs.measure(timed, rounds)


def _repeated(call: Callable[[], object]) -> Callable[[], float]:
    """Returns a function that returns the mean seconds of several calls."""
    call()
    start = time.perf_counter()
    call()
    number = max(1, round(_SECONDS / (time.perf_counter() - start)))

    def timed() -> float:
        start = time.perf_counter()
        for _ in range(number):
            call()
        return (time.perf_counter() - start) / number

    return timed


def _peers(name: str, batch: int, peers: Peers) -> dict[str, Callable[[], float]]:
    timed = {}
    for each in peers.select(PEERS, name):
        worker = peers.shared(each.peer)
        contestants.prepare(worker, each, name, batch, classes=CLASSES)
        worker.run(each.label, 2)
        number = max(1, round(_SECONDS / worker.run(each.label, 1)["seconds"]))
        timed[each.label] = functools.partial(worker.seconds_per_step, each.label, number)
    return timed


def check_same(calls: Mapping[str, Call], images: np.ndarray) -> None:
    """Raises SystemExit unless all formats without quantization output the same probabilities."""
    outputs = {key: call(images).reshape(len(images), -1) for key, call in calls.items()}
    first = next(iter(outputs.values()))
    for key, output in outputs.items():
        if key.endswith("bfloat16") or (key in FORMATS and FORMATS[key].quantized):
            continue
        difference = np.abs(output - first).max() / first.max()
        if not difference < 1e-3:
            raise SystemExit(f"{key} differs from the first by {difference:.1e} of its maximum")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints a table per network and batch size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_networks(parser, NETWORKS, allowed=nets_factory.NETWORKS)
    parser.add_argument(
        "--batches",
        default=",".join(map(str, BATCHES)),
        help="batch sizes, comma-separated; default: %(default)s",
    )
    add_rounds(parser, 15)
    add_image_size(parser)
    results.add_flag(parser)
    contestants.add_flags(parser)
    chosen = parser.parse_args(arguments)
    about = machine.describe()
    print(machine.sentence(about))
    for name in chosen.networks:
        for batch in map(int, chosen.batches.split(",")):
            with Peers(chosen) as peers:
                seconds = measure(name, batch, chosen.rounds, chosen.image_size, peers)
                peers.report_idle_load()
            show(name, batch, seconds)
            result = {"date": datetime.date.today().isoformat(), "machine": about, "batch": batch}
            counted = statistics.count(name, CLASSES, chosen.image_size)
            result["multiply_adds"] = counted.multiply_adds
            result["contestants"] = {
                without_operations(label): {"seconds": results.rounded(each)}
                for label, each in seconds.items()
            }
            results.write("inference", f"{name}, batch {batch}", result, chosen.results)


def without_operations(label: str) -> str:
    """Returns a label that is equal for all networks."""
    return re.sub(r", \d+ ops$", "", label)


def show(name: str, batch: int, seconds: Seconds) -> None:
    """Prints a line per contestant."""
    print(f"{name}, batch {batch}")
    for key, (median, ratio) in pairs.summarized(seconds).items():
        if key == PRODUCT:
            continue
        print(
            f"  {key:<28}{1e3 * median:>9.1f} ms{batch / median:>9.1f} images/s"
            f"   time x{ratio:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
