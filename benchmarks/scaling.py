"""What clones and workers cost, measured on this machine and predicted for large clusters.

    python benchmarks/scaling.py clones [network ...] [--rounds=N] [--batch_sizes N ...]
    python benchmarks/scaling.py workers [network ...] [--workers=N] [--steps=N] [--batch_size=N]
    python benchmarks/scaling.py predict --step_ms=T --megabytes=M [--gigabits=G] [--latency_us=L]

`clones` compares a training step of two clones, logical devices of one process, with that of one
clone with the same global batch, in the same process with the same threads; the target is at most
1.05. Two towers written by hand in one function, on the same two devices, show how much of the
difference is the deployment layer's: they too have two copies of the variables, two updates, and
layers that compute half a batch, which costs the more the smaller the batch is.
`workers` trains in real processes on the loopback interface, each with one thread, against one such
process with the batch of one worker.

`predict` uses a model of synchronous data-parallel training: n workers add their gradients in a
ring, in which each of them sends 2 (n - 1) / n of the bytes, in 2 (n - 1) messages, or in a double
tree, in 2 log2(n) messages. The efficiency is the time of one worker's step over that of all. The
first number of a row is without overlap, the second hides communication behind the backward pass,
two thirds of the step. Stragglers, input and congestion are not modelled.
"""

import argparse
import contextlib
import io
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np
import tensorflow as tf

import slim
from benchmarks import pairs
from benchmarks.flags import add_batch_size, add_networks, add_rounds
from datasets import download_and_convert
from deployment.strategies import Devices, split_cpu
from nets import nets_factory

TARGET = 1.05
NETWORKS = {"cifarnet": 32, "mobilenet_v1": 96}  # image size
SIZES = (8, 64, 512, 4096)
_RATE = 1e-4
_BACKWARD = 2 / 3  # of a step
_WARM_UP = 5  # steps


def step_of(network: str, size: int, clones: int, batch_size: int) -> Callable[[], object]:
    """Returns a function that runs a training step of a network on random images in memory."""
    strategy = Devices(num_clones=clones, clone_on_cpu=True).strategy()
    op = slim.learning.create_train_op(
        _loss_of(network), _optimizer(), store=slim.VariableStore(seed=0), strategy=strategy
    )
    op.build(_specs(size))
    batches = iter(strategy.experimental_distribute_dataset(_dataset(size, batch_size)))
    return lambda: op.run(batches)


def towers_of(network: str, size: int, batch_size: int) -> Callable[[], object]:
    """Returns the same step for two devices without `tf.distribute` and `slim.learning`.

    Each device has its copy of the variables, computes the gradients of half a batch, and applies
    their mean.
    """
    devices = [device.name for device in tf.config.list_logical_devices("CPU")[:2]]
    loss_of, optimizer = _loss_of(network), _optimizer()
    stores = [slim.VariableStore(seed=0) for _ in devices]
    variables = []
    for device, store in zip(devices, stores, strict=True):
        with tf.device(device):
            store.build(loss_of, *_specs(size))
            names = [name for name, record in store.records.items() if record.trainable]
            variables.append({name: store.named_variable(name) for name in names})
            optimizer.build(store, variables[-1])
    batches = iter(_dataset(size, batch_size))

    @tf.function(autograph=False)
    def step() -> tuple[tf.Tensor, tf.Tensor]:
        parts = zip(*(tf.split(part, len(devices)) for part in next(batches)), strict=True)
        losses, gradients = [], []
        for number, (device, part) in enumerate(zip(devices, parts, strict=True)):
            with tf.device(device):
                with stores[number].as_default(), tf.GradientTape() as tape:
                    losses.append(loss_of(*part) / len(devices))
                gradients.append(tape.gradient(losses[-1], variables[number]))
        with tf.device(devices[0]):
            means = {name: tf.add_n([each[name] for each in gradients]) for name in gradients[0]}
            norm = tf.linalg.global_norm(list(means.values()))
        for device, store in zip(devices, stores, strict=True):
            with tf.device(device):
                optimizer.apply(store, means, tf.constant(_RATE))
        return tf.add_n(losses), norm

    return lambda: [value.numpy() for value in step()]


def _loss_of(network: str) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    network_fn = nets_factory.get_network_fn(network, 10, 4e-5, is_training=True)

    def loss_fn(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        logits, _ = network_fn(images)
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        return slim.losses.get_total_loss()

    return loss_fn


def _optimizer() -> slim.optimizers.Optimizer:
    return slim.optimizers.Momentum(learning_rate=_RATE)


def _specs(size: int) -> tuple[tf.TensorSpec, tf.TensorSpec]:
    return tf.TensorSpec([None, size, size, 3]), tf.TensorSpec([None], tf.int64)


def _dataset(size: int, batch_size: int) -> tf.data.Dataset:
    images = np.random.RandomState(0).uniform(-1, 1, [batch_size, size, size, 3])
    batch = (images.astype(np.float32), np.arange(batch_size) % 10)
    return tf.data.Dataset.from_tensors(batch).repeat()


def clones(chosen: argparse.Namespace) -> None:
    """Prints the time of two clones and of two towers relative to one clone, per network."""
    split_cpu(2)
    for network, batch_size in itertools.product(chosen.networks, chosen.batch_sizes):
        size = NETWORKS.get(network, 64)
        contestants = {
            "1 clone": step_of(network, size, 1, batch_size),
            "2 clones": step_of(network, size, 2, batch_size),
            "2 towers by hand": towers_of(network, size, batch_size),
        }
        times = pairs.medians(contestants, chosen.rounds)
        pairs.show(f"{network}, {size}x{size}, batch {batch_size}", times, batch_size, "images")
        ratio = times["2 clones"][1]
        print(f"  target of {TARGET} {'reached' if ratio <= TARGET else 'missed'}", flush=True)


def workers(chosen: argparse.Namespace) -> None:
    """Prints the step time of several workers and of one, per network."""
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "data")
        with contextlib.redirect_stdout(io.StringIO()):
            download_and_convert.convert("digits", data)
        for network in chosen.networks:
            seconds = [
                _train(os.path.join(directory, f"{network}_{count}"), data, network, count, chosen)
                for count in (1, chosen.workers)
            ]
            print(
                f"{network}: {seconds[0]:.4f} s/step of one worker, {seconds[1]:.4f} of"
                f" {chosen.workers}: efficiency {seconds[0] / seconds[1]:.2f}",
                flush=True,
            )


def _train(run: str, data: str, network: str, count: int, chosen: argparse.Namespace) -> float:
    """Returns the median seconds of a step of `count` workers."""
    options = {
        "train_dir": run, "dataset_name": "digits", "dataset_dir": data, "model_name": network,
        "train_image_size": NETWORKS.get(network, 64), "batch_size": chosen.batch_size,
        "max_number_of_steps": chosen.steps + _WARM_UP, "log_every_n_steps": 1,
        "save_summaries_secs": 0, "num_preprocessing_threads": 1,
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in options.items()]
    launcher = str(pathlib.Path(__file__).parents[1] / "scripts" / "cluster" / "local.py")
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    subprocess.run(
        [sys.executable, launcher, f"--workers={count}", *flags],
        stdout=subprocess.DEVNULL,
        env=os.environ | dict.fromkeys(names, "1"),
        check=True,
    )
    lines = pathlib.Path(run, "metrics.jsonl").read_text("utf-8").splitlines()
    speeds = [json.loads(line)["images_per_second"] for line in lines[_WARM_UP:]]
    return count * chosen.batch_size / statistics.median(speeds)


def communication(workers: int, size: float, bandwidth: float, latency: float, tree: bool) -> float:
    """Returns the seconds in which workers add their gradients.

    Args:
      workers: number of workers, each with its own connection.
      size: of the gradients, in bytes.
      bandwidth: of a connection, in bytes per second.
      latency: of a message, in seconds.
      tree: whether they are added in a double binary tree instead of a ring.
    """
    messages = 2 * math.log2(workers) if tree else 2 * (workers - 1)
    return 2 * (workers - 1) / workers * size / bandwidth + messages * latency


def efficiencies(step: float, seconds: float) -> tuple[float, float]:
    """Returns the efficiencies without and with overlap of communication and backward pass."""
    exposed = max(0.0, seconds - _BACKWARD * step)
    return step / (step + seconds), step / (step + exposed)


def predict(chosen: argparse.Namespace) -> None:
    """Prints the predicted efficiencies per number of workers."""
    print(
        f"step {chosen.step_ms:g} ms, gradients {chosen.megabytes:g} MB, network"
        f" {chosen.gigabits:g} Gbit/s, {chosen.latency_us:g} us per message"
    )
    print("workers   ring, without and with overlap   tree, without and with overlap")
    for count in SIZES:
        numbers = []
        for tree in (False, True):
            seconds = communication(
                count, chosen.megabytes * 1e6, chosen.gigabits / 8 * 1e9, chosen.latency_us / 1e6,
                tree,
            )  # fmt: skip
            numbers += efficiencies(chosen.step_ms / 1e3, seconds)
        print(
            "{:7}            {:8.3f} {:8.3f}                {:8.3f} {:8.3f}".format(count, *numbers)
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures or predicts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    measured = {each: commands.add_parser(each.__name__) for each in (clones, workers)}
    for function, command in measured.items():
        command.set_defaults(function=function)
        add_networks(command, NETWORKS, allowed=nets_factory.NETWORKS)
    measured[clones].add_argument(
        "--batch_sizes",
        nargs="+",
        type=int,
        default=[32, 64, 128],
        help="of all clones; default: 32 64 128",
    )
    add_rounds(measured[clones], 25)
    add_batch_size(measured[workers], 32)
    measured[workers].add_argument(
        "--workers", type=int, default=2, help="number of processes; default: %(default)s"
    )
    measured[workers].add_argument(
        "--steps", type=int, default=30, help="steps to time; default: %(default)s"
    )
    command = commands.add_parser("predict")
    command.set_defaults(function=predict)
    command.add_argument(
        "--step_ms", type=float, required=True, help="milliseconds of a step of one worker"
    )
    command.add_argument(
        "--megabytes", type=float, required=True, help="size of the gradients, in 10^6 bytes"
    )
    command.add_argument(
        "--gigabits",
        type=float,
        default=25.0,
        help="Gbit/s of the network between workers; default: %(default)s",
    )
    command.add_argument(
        "--latency_us",
        type=float,
        default=5.0,
        help="microseconds of a message; default: %(default)s",
    )
    chosen = parser.parse_args(arguments)
    chosen.function(chosen)


if __name__ == "__main__":
    main()
