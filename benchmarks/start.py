"""Launch to first step: where the time goes, and the same with Keras.

    python benchmarks/start.py [network ...] [--rounds=N] [--resume] [--json=FILE]

Each round starts two processes one after the other, in alternating order. One is
`train_image_classifier.py` on the digits, enlarged to the network's input, until its first step has
ended; the time until then is divided into parts. The other builds the same network of
`keras.applications`, compiles it without XLA, whose compilation would take longer, and calls
`train_on_batch` on an array of the same size. The ratio is the median over the rounds of the time
here over that of Keras: from the launch, and without the import of TensorFlow, which both need.
With `--resume`, the script restores a checkpoint of its first step.

The floors of the parts: a Python that does nothing; one that imports TensorFlow, without garbage
collection; for the trace, the time to add as many operations to a graph; for the first run, the
second one. A round of NASNet takes minutes.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class Network(NamedTuple):
    """A network, its batch size, and its name in `keras.applications`, if it has one."""

    batch_size: int
    keras: str | None = None


NETWORKS = {
    "lenet": Network(32),
    "resnet_v1_50": Network(16, "ResNet50"),
    "nasnet_large": Network(2, "NASNetLarge"),
}
TARGET = 0.5
CLASSES = 10
CHILD = "--child"


class Parts:
    """Times of the parts of a program; a part within another one does not count for that."""

    def __init__(self, launch: float) -> None:
        self.seconds: dict[str, float] = {}
        self._open = ["other"]
        self._last = launch

    def mark(self, part: str) -> None:
        """Adds the time since the last mark to a part."""
        now = time.time()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now

    @contextlib.contextmanager
    def inside(self, part: str) -> Iterator[None]:
        """Adds the time of a block to a part."""
        self.mark(self._open[-1])
        self._open.append(part)
        try:
            yield
        finally:
            self.mark(self._open.pop())

    def of_calls(self, owner: Any, name: str, part: str) -> None:
        """Adds the time of each call of a function to a part."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            with self.inside(part):
                return function(*args, **options)

        setattr(owner, name, timed)


def run_slim(launch: float, flags: Sequence[str]) -> dict[str, Any]:
    """Runs two steps of the training script; returns the parts until the first one has ended, the
    number of operations that were traced, and the seconds of the second step."""
    parts = Parts(launch)
    parts.mark("interpreter")
    import train_image_classifier
    from classifier.cli import flags as command_line

    plain_import = command_line.importlib.import_module

    def importing(name: str) -> Any:
        with parts.inside("TensorFlow") if name == "tensorflow" else contextlib.nullcontext():
            module = plain_import(name)
        if name == "tensorflow":
            with parts.inside("modules"):
                _measure(parts, result)
        return module

    result: dict[str, Any] = {}
    command_line.importlib = types.SimpleNamespace(import_module=importing)
    sys.argv = ["train_image_classifier.py", *flags]
    train_image_classifier.main()
    return result


def _measure(parts: Parts, result: dict[str, Any]) -> None:
    """Measures the parts of the training script, whose modules it imports."""
    from classifier import inputs
    from classifier.training import run  # noqa: F401 - with all that the script imports
    from slim import checkpoints, learning, run_input, store

    op = learning.TrainOp
    step, run_steps = op._step, op.run
    parts.of_calls(inputs, "training_dataset", "input pipeline")
    parts.of_calls(run_input.RunInput, "iterator", "input pipeline")
    parts.of_calls(checkpoints.Checkpoints, "restore_latest", "restore")
    parts.of_calls(store.VariableStore, "create", "variables")

    def traced(self: Any, batch: Any) -> Any:
        with parts.inside("trace"):
            values = step(self, batch)
        result["operations"] = len(values["loss"].graph.get_operations())
        return values

    def timed(self: Any, *args: Any) -> Any:
        begun = time.time()
        with parts.inside("first run"):
            metrics = run_steps(self, *args)
        if "parts" in result:
            result["second run"] = time.time() - begun
        else:
            parts.mark("other")
            result["parts"] = dict(parts.seconds)
        return metrics

    op._step, op.run = traced, timed


def run_keras(launch: float, name: str, batch_size: int) -> dict[str, Any]:
    """Takes a step with a network of Keras; returns the parts until it has ended."""
    parts = Parts(launch)
    parts.mark("interpreter")
    import keras
    import numpy as np

    parts.mark("TensorFlow")
    model = getattr(keras.applications, name)(weights=None, classes=CLASSES)
    model.compile(
        keras.optimizers.RMSprop(0.01, rho=0.9, momentum=0.9, epsilon=1.0),
        keras.losses.SparseCategoricalCrossentropy(),
        jit_compile=False,
    )
    parts.mark("model")
    images = np.random.default_rng(0).random((batch_size, *model.input_shape[1:]), np.float32)
    model.train_on_batch(images, np.zeros(batch_size, np.int64))
    parts.mark("first step")
    return {"parts": parts.seconds}


def launch(kind: str, *arguments: str) -> dict[str, Any]:
    """Returns the result of `run_slim` or `run_keras` in a process of its own."""
    with tempfile.NamedTemporaryFile("r") as file:
        command = [sys.executable, __file__, CHILD, file.name, kind, str(time.time()), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{kind} failed:\n{done.stderr[-2000:]}")
        return json.load(file)


def child(path: str, kind: str, launched: str, *arguments: str) -> None:
    """Writes the result of a contestant to a file."""
    start = float(launched)
    if kind == "slim":
        result = run_slim(start, arguments)
    else:
        result = run_keras(start, arguments[0], int(arguments[1]))
    pathlib.Path(path).write_text(json.dumps(result), "utf-8")


def slim_flags(directory: str, network: str, resume: bool) -> list[str]:
    """Returns the flags of a run of two steps, in a directory that is empty unless it resumes."""
    run_dir = os.path.join(directory, network)
    if not resume:
        shutil.rmtree(run_dir, ignore_errors=True)
    return [
        f"--train_dir={run_dir}", "--dataset_name=digits", f"--dataset_dir={directory}/data",
        f"--model_name={network}", f"--batch_size={NETWORKS[network].batch_size}",
        f"--max_number_of_steps={_steps_done(run_dir) + 2}", "--optimizer=rmsprop",
    ]  # fmt: skip


def _steps_done(run_dir: str) -> int:
    from slim import checkpoints

    newest = checkpoints.latest(run_dir)
    return 0 if newest is None else checkpoints.step_of(newest)


def measure(directory: str, network: str, rounds: int, resume: bool) -> dict[str, Any]:
    """Returns the results of both contestants in each round."""
    results: dict[str, list[dict[str, Any]]] = {"slim": [], "keras": []}
    if resume:
        launch("slim", *slim_flags(directory, network, resume=False))
    row = NETWORKS[network]
    for number in range(rounds):
        order = ["slim", "keras"] if row.keras else ["slim"]
        for kind in order if number % 2 else reversed(order):
            arguments = (
                slim_flags(directory, network, resume)
                if kind == "slim"
                else [str(row.keras), str(row.batch_size)]
            )
            results[kind].append(launch(kind, *arguments))
    return results


def floors(result: Mapping[str, Any]) -> dict[str, float]:
    """Returns the least time that some parts need on this machine."""
    import tensorflow as tf

    begun = time.time()
    with tf.Graph().as_default():
        value = tf.raw_ops.Placeholder(dtype=tf.float32)
        for _ in range(result["operations"]):
            value = tf.raw_ops.Identity(input=value)
    trace = time.time() - begun
    times = []
    for code in ("pass", "import gc; gc.disable(); import tensorflow"):
        begun = time.time()
        subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
        times.append(time.time() - begun)
    return {
        "interpreter": times[0],
        "TensorFlow": times[1] - times[0],
        "trace": trace,
        "first run": result["second run"],
    }


def show(network: str, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Prints the parts of the script with their floors, and the ratios to Keras."""
    ours = [each["parts"] for each in results["slim"]]
    least = floors(results["slim"][-1])
    print(f"\n{network}, batch {NETWORKS[network].batch_size}: medians of {len(ours)} rounds\n")
    print("| part | seconds | floor |\n|---|---:|---:|")
    for part in dict.fromkeys(name for each in ours for name in each):
        seconds = statistics.median(each.get(part, 0.0) for each in ours)
        print(f"| {part} | {seconds:.2f} | {f'{least[part]:.2f}' if part in least else ''} |")
    print(f"| total | {statistics.median(sum(each.values()) for each in ours):.2f} | |")
    pairs = list(zip(ours, [each["parts"] for each in results["keras"]], strict=False))
    for title, shared in (("from the launch", ()), ("without the import", ("TensorFlow",))):
        ratios = [_total(one, shared) / _total(other, shared) for one, other in pairs]
        if ratios:
            ratio = statistics.median(ratios)
            keras = statistics.median(_total(other, shared) for _, other in pairs)
            print(
                f"{title}: {ratio:.2f} of Keras's {keras:.2f} s"
                f" ({min(ratios):.2f} to {max(ratios):.2f});"
                f" target of {TARGET} {'reached' if ratio <= TARGET else 'missed'}"
            )


def _total(parts: Mapping[str, float], shared: Sequence[str]) -> float:
    return sum(seconds for part, seconds in parts.items() if part not in shared)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints a table per network."""
    from benchmarks.flags import add_networks, add_rounds

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_networks(parser, NETWORKS)
    add_rounds(parser, 5)
    parser.add_argument("--resume", action="store_true", help="start from a checkpoint instead")
    parser.add_argument("--json", help="file for the results of each round")
    chosen = parser.parse_args(arguments)
    every = {}
    with tempfile.TemporaryDirectory() as directory:
        from datasets import download_and_convert

        with contextlib.redirect_stdout(sys.stderr):
            download_and_convert.convert("digits", os.path.join(directory, "data"))
        for network in chosen.networks:
            every[network] = measure(directory, network, chosen.rounds, chosen.resume)
            show(network, every[network])
    if chosen.json:
        pathlib.Path(chosen.json).write_text(json.dumps(every, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        child(*sys.argv[2:])
    else:
        main()
