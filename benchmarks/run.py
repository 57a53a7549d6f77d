"""All benchmarks, or a quick comparison with the committed ratios.

    python benchmarks/run.py [--tf_slim=PATH --slim_networks=PATH]
    python benchmarks/run.py --quick [--tolerance=0.1] [--write]

Without `--quick`, training, memory and inference are measured against all peers, which takes hours,
and the tables of docs/performance.md are written.

`--quick` takes five minutes and measures a few pairs, each as a ratio of rates, so that a machine's
speed matters little: training steps against Keras and bare TensorFlow, formats of an export
against the SavedModel, the training input against decoding alone, and the evaluation against its
network. It lists the ratios that are below those of `benchmarks/ratios.json` by more than the
tolerance; the exit code is then 1. `--write` replaces the committed ratios.
"""

import argparse
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from benchmarks import contestants, machine, pairs, workers
from benchmarks.contestants import NETWORKS, Contestant

RATIOS = pathlib.Path(__file__).parent / "ratios.json"
TOLERANCE = 0.1
_ROUNDS = 5
_STEPS = {"mobilenet_v1": 2, "resnet_v1_50": 1}  # of a contestant in a round
_FORMATS = ("tflite", "onnx")
# Keras runs here in the version that TensorFlow requires, without an environment of its own.
_TRAINERS = {
    "slim_worker.py": Contestant("slim", "slim", "train"),
    "keras_worker.py": Contestant("Keras 3", "keras", "train_on_batch"),
    "tensorflow_worker.py": Contestant("bare TensorFlow", "slim", "train"),
}
_FULL = (
    ("training.py",),
    ("training.py", "--dtype=bfloat16"),
    ("training.py", "--memory"),
    ("training.py", "--memory", "--dtype=bfloat16"),
    ("inference.py", *NETWORKS),
)

Ratios = Iterator[tuple[str, float]]  # name, and rate of ours relative to the other's


def training(network: str) -> Ratios:
    """Yields the rate of slim's training step relative to that of Keras and bare TensorFlow."""
    timed, started = {}, []
    try:
        for program, each in _TRAINERS.items():
            worker = workers.Worker(program)
            started.append(worker)
            contestants.prepare(worker, each, network, NETWORKS[network].batch)
            worker.run(each.label, 2)
            timed[each.label] = functools.partial(
                worker.seconds_per_step, each.label, _STEPS[network]
            )
        times = pairs.medians(timed, _ROUNDS, warm_up=0)
    finally:
        for worker in started:
            worker.close()
    for label in list(timed)[1:]:
        yield f"training step, {network}, relative to {label}", times[label][1]


def inference(network: str, batch: int) -> Ratios:
    """Yields the rate of each format relative to the SavedModel."""
    from benchmarks import inference as formats

    seconds = formats.measure(network, batch, _ROUNDS, keys=_FORMATS)
    base = {"SavedModel": seconds.pop("SavedModel"), **seconds}
    for label, (_, ratio) in list(pairs.summarized(base).items())[1:]:
        name = formats.without_operations(label)
        yield f"inference, {network}, batch {batch}, {name} relative to SavedModel", 1 / ratio


def training_input() -> Ratios:
    """Yields the rate of Inception's training input relative to that of decoding alone."""
    from benchmarks import input_pipeline as pipelines

    files = pipelines.photographs(500, 375)
    with tempfile.TemporaryDirectory() as directory:
        dataset = pipelines.shard(files, pipelines.RECORDS, directory)
        timed = {
            "decoding": pipelines.decode_alone(files),
            "slim": pipelines.ours(dataset, "inception"),
        }
        readers = {name: pipelines.reader(each, 16) for name, each in timed.items()}
        times = pairs.medians(readers, _ROUNDS, warm_up=1)
    yield "input for Inception, relative to decoding alone", 1 / times["slim"][1]


def evaluation(network: str) -> Ratios:
    """Yields the rate of an evaluation relative to that of its network."""
    from benchmarks import evaluation_overhead
    from benchmarks import inference as formats

    with tempfile.TemporaryDirectory() as directory:
        run = formats.make_run(pathlib.Path(directory), network)
        digits = evaluation_overhead.write_digits(os.path.join(directory, "input"), 300)
        calls = evaluation_overhead.contestants(run, digits, 100, 3)
        del calls["with the answers"]
        times = pairs.medians(calls, _ROUNDS, warm_up=1)
    yield f"evaluation, {network}, relative to the network alone", 1 / times["evaluation"][1]


def measure() -> dict[str, float]:
    """Measures and prints each ratio."""
    ratios = {}
    for several in (
        training("mobilenet_v1"),
        training("resnet_v1_50"),
        inference("mobilenet_v1", 1),
        training_input(),
        evaluation("mobilenet_v1"),
    ):
        for name, ratio in several:
            ratios[name] = round(ratio, 3)
            print(f"{ratio:>7.2f}  {name}", flush=True)
    return ratios


def fallen(committed: Mapping[str, float], now: Mapping[str, float], tolerance: float) -> list[str]:
    """Returns a line for each ratio that fell by more than a fraction, or was not measured."""
    lines = []
    for name, before in committed.items():
        if name not in now:
            lines.append(f"{name}: not measured")
        elif now[name] < (1 - tolerance) * before:
            change = now[name] / before - 1
            lines.append(f"{name}: {now[name]:.2f}, committed {before:.2f} ({change:+.0%})")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 if a ratio fell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="compare with the committed ratios")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="default: %(default)s")
    parser.add_argument("--write", action="store_true", help="replace the committed ratios")
    chosen, others = parser.parse_known_args(arguments)
    if not chosen.quick:
        here = pathlib.Path(__file__).parent
        for program, *flags in _FULL:
            subprocess.run([sys.executable, str(here / program), *flags, *others], check=True)
        return subprocess.run([sys.executable, str(here / "performance_page.py")]).returncode
    if others:
        parser.error(f"not options of --quick: {' '.join(others)}")
    about = machine.describe()
    print(machine.sentence(about), flush=True)
    now = measure()
    if chosen.write:
        text = json.dumps({"machine": about, "ratios": now}, indent=1)
        RATIOS.write_text(text + "\n", "utf-8")
        return 0
    lines = fallen(json.loads(RATIOS.read_text("utf-8"))["ratios"], now, chosen.tolerance)
    print("\n".join(lines) or f"no ratio fell by more than {chosen.tolerance:.0%}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
