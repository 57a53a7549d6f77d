"""Training steps of this library, TF-Slim, Keras 3 and timm, side by side.

    python benchmarks/training.py [network ...] [--dtype=bfloat16] [--rounds=5] [--add]
        [--tf_slim=PATH] [--slim_networks=PATH] [--memory]

All train the same network on the same batch of random images with RMSProp, weight decay and as many
threads as there are cores; `taskset` limits them. Each peer runs in a process and an environment of
its own, which the first run installs in `.benchmarks`. In each round all run one after the other,
in random order, for about `--seconds`; a large matrix product of the same dtype takes part, whose
rate is the machine's. Parameters and multiply-adds show how a peer's network differs.

Medians are printed, and the seconds of all rounds are written to
`benchmarks/results/training.json`; `--add` keeps the rounds of earlier runs. `--memory` measures
the peak memory of a step instead, of one process after the other, for
`benchmarks/results/memory.json`.
"""

import argparse
import datetime
import functools
import os
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from benchmarks import contestants, machine, pairs, results, workers
from benchmarks.contestants import NETWORKS, PRODUCT, Contestant, Peers
from benchmarks.flags import add_networks, add_rounds

_PEERS = (
    ("Keras 3, train_on_batch", "keras", "train_on_batch"),
    ("Keras 3, fit", "keras", "fit"),
    ("timm, eager", "timm", "train"),
    ("timm, compiled", "timm", "train, compiled"),
)
CONTESTANTS = {
    "float32": (
        Contestant("slim", "slim", "train"),
        Contestant("TF-Slim", "tf_slim", "train"),
        *(Contestant(*each) for each in _PEERS),
        Contestant(PRODUCT, "slim", "matmul"),
    ),
    "bfloat16": (
        Contestant("slim", "slim", "train", "bfloat16"),
        Contestant("slim, float32", "slim", "train"),
        *(Contestant(*each, "bfloat16") for each in _PEERS),
        Contestant(PRODUCT, "slim", "matmul", "bfloat16"),
    ),
}
_WARM_UP = 2  # steps


def measure(network: str, batch: int, peers: Peers, chosen: argparse.Namespace) -> dict[str, Any]:
    """Returns the seconds of a step of each contestant in each round."""
    facts, timed = {}, {}
    for each in peers.select(CONTESTANTS[chosen.dtype], network):
        worker = peers.shared(each.peer)
        try:
            facts[each.label] = contestants.prepare(worker, each, network, batch)
            worker.run(each.label, _WARM_UP)
            seconds = worker.run(each.label, 1)["seconds"]
        except workers.WorkerError as error:
            print(f"{each.label}: skipped\n{error}", file=sys.stderr, flush=True)
            facts.pop(each.label, None)
            continue
        steps = max(1, round(chosen.seconds / seconds))
        timed[each.label] = functools.partial(worker.seconds_per_step, each.label, steps)
        print(f"{each.label}: {seconds:.3f} s, {facts[each.label]}", file=sys.stderr, flush=True)
    seed = datetime.datetime.now().microsecond  # `--add` should not repeat the order
    rounds = pairs.measure(timed, chosen.rounds, warm_up=0, seed=seed)
    return {label: {**facts[label], "seconds": results.rounded(rounds[label])} for label in facts}


def peaks(network: str, batch: int, peers: Peers, chosen: argparse.Namespace) -> dict[str, int]:
    """Returns the peak memory of each contestant's process during a few steps after the first."""
    values = {}
    for each in peers.select(CONTESTANTS[chosen.dtype], network):
        if each.label == PRODUCT:
            continue
        with peers.start(each.peer) as worker:
            contestants.prepare(worker, each, network, batch)
            worker.run(each.label, _WARM_UP)
            values[each.label] = worker.run(each.label, 3)["peak_bytes"]
        print(f"  {each.label:<28}{values[each.label] / 1e6:>8.0f} MB", flush=True)
    return values


def share(network: str, batch: int, values: Mapping[str, Any], label: str = "slim") -> float:
    """Returns the multiply-adds per second of a contestant over those of the matrix product."""
    work = batch * NETWORKS[network].training_multiply_adds(values[label]["multiply_adds"])
    product = values[PRODUCT]
    rates = (
        work / seconds / (product["multiply_adds"] / base)
        for seconds, base in zip(values[label]["seconds"], product["seconds"], strict=True)
    )
    return statistics.median(rates)


def show(network: str, dtype: str, result: Mapping[str, Any]) -> None:
    """Prints a line per contestant: its images per second, and how much faster slim is."""
    values, batch = result["contestants"], result["batch"]
    times = pairs.summarized({label: each["seconds"] for label, each in values.items()})
    print(f"{network}, {dtype}, batch {batch}, {len(values['slim']['seconds'])} rounds")
    for label, (seconds, ratio) in times.items():
        if label == PRODUCT:
            rate = values[label]["multiply_adds"] / seconds / 1e9
            print(f"  {label:<28}{rate:>8.1f} billion multiply-adds/s")
            continue
        print(
            f"  {label:<28}{batch / seconds:>8.2f} images/s   slim x{ratio:.2f}"
            f"   {values[label]['parameters'] / 1e6:.2f} M parameters,"
            f" {values[label]['multiply_adds'] / 1e6:,.0f} M multiply-adds"
        )
    if PRODUCT in values:
        print(
            f"  slim's step: {share(network, batch, values):.2f} of the matrix product", flush=True
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and writes the results of each network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_networks(parser, NETWORKS)
    parser.add_argument(
        "--dtype",
        choices=list(CONTESTANTS),
        default="float32",
        help="of the networks; default: %(default)s",
    )
    parser.add_argument("--batch_size", type=int, help="default: the network's")
    add_rounds(parser, 5)
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        help="of each contestant in a round; default: %(default)s",
    )
    parser.add_argument("--add", action="store_true", help="keep the rounds of earlier runs")
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead")
    results.add_flag(parser)
    contestants.add_flags(parser)
    chosen = parser.parse_args(arguments)
    about = machine.describe()
    print(machine.sentence(about), flush=True)
    if chosen.dtype == "bfloat16" and not about["bfloat16"]:
        print("warning: this processor has no bfloat16 instructions")
    for network in chosen.networks:
        batch, key = chosen.batch_size or NETWORKS[network].batch, f"{network}, {chosen.dtype}"
        with Peers(chosen) as peers:
            result = {"date": datetime.date.today().isoformat(), "machine": about, "batch": batch}
            if chosen.memory:
                print(f"{key}, batch {batch}, peak memory")
                result["peak_bytes"] = peaks(network, batch, peers, chosen)
                results.write("memory", key, result, chosen.results)
                continue
            result["contestants"] = measure(network, batch, peers, chosen)
            peers.report_idle_load()
        if chosen.add:
            result = results.added(results.read("training", chosen.results).get(key, {}), result)
        results.write("training", key, result, chosen.results)
        show(network, chosen.dtype, result)


if __name__ == "__main__":
    main()
