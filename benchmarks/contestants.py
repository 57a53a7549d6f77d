"""The networks that peers have too, and the programs that run them."""

import argparse
import dataclasses
import pathlib
import sys
from typing import Any

from benchmarks import workers

# Of the training: the defaults of TF-Slim's script, for ImageNet.
OPTIONS = {
    "classes": 1000,
    "weight_decay": 4e-5,
    "learning_rate": 0.01,
    "decay": 0.9,
    "momentum": 0.9,
    "epsilon": 1.0,
}


@dataclasses.dataclass(frozen=True)
class Network:
    """A network under its names.

    Attributes:
      batch: images of a training step.
      size: height and width of its images.
      first_layer: multiply-adds of the first convolution, whose input needs no gradient.
      keras: name in `keras.applications`.
      timm: name in timm.
      tf_slim: module, function and arg scope of TF-Slim or research/slim.
    """

    batch: int
    size: int
    first_layer: int
    keras: str
    timm: str
    tf_slim: tuple[str, str, str]

    def training_multiply_adds(self, forward: int) -> int:
        """Returns the multiply-adds of an image's training step: forward, and two gradients."""
        return 3 * forward - self.first_layer


NETWORKS = {
    "resnet_v1_50": Network(
        *(16, 224, 7 * 7 * 3 * 64 * 112**2, "ResNet50", "resnet50"),
        ("tf_slim.nets.resnet_v1", "resnet_v1_50", "resnet_arg_scope"),
    ),
    "inception_v3": Network(
        *(16, 299, 3 * 3 * 3 * 32 * 149**2, "InceptionV3", "inception_v3"),
        ("tf_slim.nets.inception_v3", "inception_v3", "inception_v3_arg_scope"),
    ),
    "mobilenet_v1": Network(
        *(32, 224, 3 * 3 * 3 * 32 * 112**2, "MobileNet", "mobilenetv1_100"),
        ("nets.mobilenet_v1", "mobilenet_v1", "mobilenet_v1_arg_scope"),
    ),
    "mobilenet_v2": Network(
        *(32, 224, 3 * 3 * 3 * 32 * 112**2, "MobileNetV2", "mobilenetv2_100"),
        ("nets.mobilenet.mobilenet_v2", "mobilenet", "training_scope"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One way to run a network.

    Attributes:
      label: its name in the tables.
      peer: "slim", "keras", "timm" or "tf_slim", see `Peers`.
      mode: what its worker should prepare.
      dtype: that it computes in.
    """

    label: str
    peer: str
    mode: str
    dtype: str = "float32"


PRODUCT = "matrix product"  # the contestant whose rate is the machine's
SIDE = 4096  # of its matrices

# Peer -> its worker and, unless it is this one, its environment.
_PROGRAMS = {
    "slim": ("slim_worker.py", None),
    "keras": ("keras_worker.py", "tensorflow"),
    "timm": ("timm_worker.py", "torch"),
    "tf_slim": ("tf_slim_worker.py", "tensorflow"),
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the options that select peers."""
    parser.add_argument(
        "--peers", default=",".join(_PROGRAMS), help="comma-separated; default: %(default)s"
    )
    parser.add_argument("--tf_slim", help="checkout of google-research/tf-slim")
    parser.add_argument("--slim_networks", help="checkout of research/slim, for the MobileNets")


class Peers:
    """The workers of a benchmark, started when needed.

    Args:
      options: `add_flags`'s.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._workers: dict[str, workers.Worker] = {}

    def missing(self, peer: str, network: str) -> str | None:
        """Returns why a peer cannot take part, or None."""
        if peer not in self._options.peers.split(","):
            return "not in --peers"
        if peer != "tf_slim":
            return None
        flag = "tf_slim" if NETWORKS[network].tf_slim[0].startswith("tf_slim.") else "slim_networks"
        absent = [name for name in {"tf_slim", flag} if not getattr(self._options, name)]
        return f"needs --{min(absent)}=PATH" if absent else None

    def select(self, contestants: tuple[Contestant, ...], network: str) -> list[Contestant]:
        """Returns those that can take part; prints a line for each other one."""
        chosen = []
        for each in contestants:
            reason = self.missing(each.peer, network)
            if reason is None:
                chosen.append(each)
            else:
                print(f"{each.label}: skipped ({reason})", file=sys.stderr)
        return chosen

    def start(self, peer: str) -> workers.Worker:
        """Starts a new process of a peer."""
        program, environment = _PROGRAMS[peer]
        python = workers.python_of(environment) if environment else sys.executable
        paths = (self._options.tf_slim, self._options.slim_networks) if peer == "tf_slim" else ()
        arguments = [str(pathlib.Path(path).resolve()) for path in paths if path]
        variables = {"TORCHINDUCTOR_CACHE_DIR": str(workers.ENVIRONMENTS / "torchinductor")}
        return workers.Worker(program, python, arguments, variables)

    def shared(self, peer: str) -> workers.Worker:
        """Returns a peer's process for all its contestants."""
        if peer not in self._workers:
            self._workers[peer] = self.start(peer)
        return self._workers[peer]

    def report_idle_load(self) -> None:
        """Prints a warning for each process whose threads spin while it waits."""
        for peer, worker in self._workers.items():
            if worker.idle_load > 0.01:
                print(f"warning: {peer} used {worker.idle_load:.0%} of a core while idle")

    def __enter__(self) -> "Peers":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()


def prepare(
    worker: workers.Worker, contestant: Contestant, network: str, batch: int, **options: Any
) -> dict[str, Any]:
    """Prepares a contestant for batches of a network's images; returns what is known about it.

    Args:
      worker: process of its peer.
      contestant: what to prepare.
      network: key of `NETWORKS`.
      batch: number of images.
      **options: instead of some of `OPTIONS`.
    """
    row = NETWORKS[network]
    return worker.prepare(
        contestant.label,
        function=network if contestant.peer == "slim" else getattr(row, contestant.peer),
        size=SIDE if contestant.label == PRODUCT else row.size,
        batch=batch,
        dtype=contestant.dtype,
        mode=contestant.mode,
        options=OPTIONS | options,
    )
