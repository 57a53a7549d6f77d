"""Requests per second and latency of the server, compared with the bare model.

    python benchmarks/serving.py [network ...] [--images=N] [--rounds=N] [--clients=N]
        [--max_batch_size=N] [--image_size=N]

Each round classifies the same JPEG files of 500 x 375 pixels with random weights, in this process,
one after the other (decoding and network: the bare model), by one client of the server, and by
several. The server is a process of its own; its clients share the cores with it. Their order is
random.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import tensorflow as tf

from benchmarks import pairs
from benchmarks.flags import add_image_size, add_networks, add_rounds
from benchmarks.inference import make_run
from benchmarks.prediction import write_images
from classifier.checkpoints import sources
from classifier.inference import predictor
from classifier.inference.model import InferenceModel
from nets import nets_factory

NETWORKS = ("mobilenet_v1_025", "resnet_v1_50")
_ROOT = pathlib.Path(__file__).parents[1]


@contextlib.contextmanager
def served(run: pathlib.Path, max_batch_size: int) -> Iterator[int]:
    """Serves a run in a process; yields its port."""
    command = [sys.executable, "-m", "classifier.serve", f"--model={run}", "--port=0"]
    command += [f"--max_batch_size={max_batch_size}", "--noaccess_log"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = next(each for each in process.stdout if each.startswith("listening"))
            yield int(line.rpartition(":")[2])
        finally:
            process.kill()


def ask(port: int, name: str, bodies: Sequence[bytes]) -> list[float]:
    """Sends requests on one connection; returns the seconds of each."""
    times = []
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        for body in bodies:
            start = time.perf_counter()
            connection.request("POST", f"/v1/models/{name}:predict", body)
            response = connection.getresponse()
            content = response.read()
            if response.status != 200:
                raise SystemExit(f"status {response.status}: {content[:200]!r}")
            times.append(time.perf_counter() - start)
    return times


def verdict(
    name: str, times: dict[str, tuple[float, float]], latencies: Sequence[float], count: int
) -> str:
    """Returns the result of a network in a line.

    Args:
      name: of the network.
      times: of `pairs.medians`: seconds, and the ratio to the bare model's in the same round.
      latencies: seconds of each request of several clients.
      count: number of images.
    """
    single, several = list(times)[1:]
    quantiles = statistics.quantiles(latencies, n=100)
    milliseconds = {key: 1000 * seconds / count for key, (seconds, _) in times.items()}
    return (
        f"{name}: {several} {1 / times[several][1]:.2f} of the bare model's images/s"
        f" ({count / times[several][0]:.0f}/s), {single} {times[single][1]:.2f} of its latency"
        f" ({milliseconds[single]:.1f} ms); latency of {several}: median {1000 * quantiles[49]:.0f}"
        f" ms, 99 % below {1000 * quantiles[98]:.0f} ms"
    )


def contestants(
    run: pathlib.Path,
    paths: Sequence[str],
    port: int,
    name: str,
    clients: int,
    latencies: list[float],
) -> dict[str, Callable[[], object]]:
    """Returns the bare model, one client and several clients, by name."""
    checkpoint = sources.open_checkpoint(str(run))
    model = predictor.of_checkpoint(InferenceModel(checkpoint.info, checkpoint))
    files = [pathlib.Path(path).read_bytes() for path in paths]
    bodies = [
        json.dumps({"instances": [{"b64": base64.b64encode(file).decode()}]}).encode()
        for file in files
    ]

    def bare() -> None:
        for file in files:
            model.network([model.prepare(tf.constant(file))])

    def several() -> None:
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            parts = (bodies[first::clients] for first in range(clients))
            for times in pool.map(lambda part: ask(port, name, part), parts):
                latencies.extend(times)

    return {
        "bare model": bare,
        "1 client": lambda: ask(port, name, bodies) and None,
        f"{clients} clients": several,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a line per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_networks(parser, NETWORKS, allowed=nets_factory.NETWORKS)
    parser.add_argument(
        "--images", type=int, default=64, help="number of images; default: %(default)s"
    )
    add_rounds(parser, 5)
    parser.add_argument(
        "--clients",
        type=int,
        default=16,
        help="that send requests at the same time; default: %(default)s",
    )
    parser.add_argument(
        "--max_batch_size", type=int, default=1, help="of the server; default: %(default)s"
    )
    add_image_size(parser)
    chosen = parser.parse_args(argv)
    for name in chosen.networks:
        with tempfile.TemporaryDirectory() as directory:
            place = pathlib.Path(directory)
            paths = write_images(place, chosen.images)
            run = make_run(place, name, chosen.image_size)
            latencies: list[float] = []
            with served(run, chosen.max_batch_size) as port:
                timed = contestants(run, paths, port, name, chosen.clients, latencies)
                times = pairs.medians(timed, chosen.rounds, warm_up=1)
            print(verdict(name, times, latencies, chosen.images), flush=True)
    print(f"load average: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
