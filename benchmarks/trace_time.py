"""Time to trace each network's training function, and the table of times in docs/networks.md.

    python benchmarks/trace_time.py [network ...] [--rounds=N]

A training function contains the forward pass, losses, gradients and the momentum update of
`train_op`; it is traced on the CPU and not run. The time does not include creating the variables.
Each round traces inception_v3 and the network: the relative time is the median over the rounds.
"""

import argparse
import gc
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import tensorflow as tf

import slim
from benchmarks.flags import add_networks, add_rounds
from classifier import network
from classifier.config.network import LossOptions
from classifier.model_info import ModelInfo
from classifier.training.loss import training_loss
from nets import nets_factory

TABLE = pathlib.Path(__file__).parents[1] / "docs" / "networks.md"
BEGIN = "<!-- by benchmarks/trace_time.py: begin -->"
END = "<!-- by benchmarks/trace_time.py: end -->"
HEADINGS = ("network", "trace, s", "relative")
BASE = "inception_v3"
# TF-Slim's time to build its graph, relative to inception_v3.
LIMITS = {"nasnet_large": 8.5, "resnet_v2_200": 3.9}
FRAMES = 16

Row = tuple[str, ...]


def tracer(name: str) -> Callable[[], None]:
    """Creates a network's variables and returns a function that traces its training step."""
    spec = nets_factory.NETWORKS[name]
    size = (spec.image_size, spec.image_size)
    info = ModelInfo(
        model_name=name, num_classes=spec.classes, image_size=size, num_channels=spec.channels,
        preprocessing_name="",
    )  # fmt: skip
    train_op = slim.learning.create_train_op(
        training_loss(
            network.training_network(info, weight_decay=4e-5),
            spec.classes,
            LossOptions(label_smoothing=0.1),
        ),
        slim.optimizers.Momentum(learning_rate=0.01),
        store=slim.VariableStore(seed=0),
    )
    frames = [FRAMES] if spec.input_rank == 5 else []
    batch = {
        "image": tf.TensorSpec([None, *frames, *size, spec.channels], tf.float32),
        "label": tf.TensorSpec([None], tf.int64),
    }
    train_op.build(batch)
    # Without the iterator, which costs the same for all networks.
    return lambda: tf.function(train_op._step, autograph=False).get_concrete_function(batch)


def measure(names: Sequence[str], rounds: int) -> dict[str, tuple[float, float]]:
    """Returns each network's median seconds, and its median time relative to inception_v3.

    Args:
      names: the networks.
      rounds: number of times that each is traced.
    """
    base = tracer(BASE)
    base()  # warm-up
    times = {}
    for name in names:
        other = tracer(name)
        pairs = [_pair(base, other, number) for number in range(rounds)]
        relative = statistics.median(theirs / ours for ours, theirs in pairs)
        times[name] = statistics.median(theirs for _, theirs in pairs), relative
        print(f"{name:<34}{times[name][0]:>7.2f} s{times[name][1]:>7.2f}", flush=True)
    return times


def _pair(base: Callable[[], None], other: Callable[[], None], number: int) -> tuple[float, float]:
    """Returns the seconds of both; odd rounds begin with the other."""
    if number % 2:
        theirs = _seconds(other)
        return _seconds(base), theirs
    return _seconds(base), _seconds(other)


def _seconds(function: Callable[[], None]) -> float:
    gc.collect()  # frees the graphs of earlier rounds
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def read_table(path: pathlib.Path = TABLE) -> dict[str, Row]:
    """Returns the table's rows by network; empty without a table."""
    if not path.exists():
        return {}
    _, _, rest = path.read_text("utf-8").partition(BEGIN)
    lines = [line for line in rest.partition(END)[0].splitlines() if line.startswith("|")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]
    return {row[0]: row for row in rows}


def write_table(rows: Mapping[str, Row], path: pathlib.Path = TABLE) -> None:
    """Writes the rows between the page's markers."""
    before, begin, rest = path.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{path} does not contain the markers {BEGIN} and {END}")
    rule = ["---"] + ["---:"] * (len(HEADINGS) - 1)
    lines = ["| " + " | ".join(row) + " |" for row in (HEADINGS, rule, *rows.values())]
    path.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", "utf-8")


def too_slow(rows: Mapping[str, Row]) -> list[str]:
    """Returns a line for each network that is slower to trace than TF-Slim's to build."""
    return [
        f"{name}: {rows[name][-1]} times {BASE}, TF-Slim {limit}"
        for name, limit in LIMITS.items()
        if name in rows and rows[name][-1] and float(rows[name][-1]) > limit
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and writes the table; returns 1 if a network is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_networks(parser, sorted(nets_factory.NETWORKS))
    add_rounds(parser, 4)
    chosen = parser.parse_args(argv)
    table = read_table()
    for name, (seconds, relative) in measure(chosen.networks, chosen.rounds).items():
        table[name] = (name, f"{seconds:.1f}", f"{relative:.2f}")
    write_table(dict(sorted(table.items())))
    problems = too_slow(table)
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
