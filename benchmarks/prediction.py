"""Throughput of prediction from JPEG files, compared with its two halves alone.

    python benchmarks/prediction.py [network ...] [--images=N] [--rounds=N] [--batch_size=N]

Each round classifies the same JPEG files of 500 x 375 pixels with random weights, and times the two
halves of that: reading and preparing all files without a network, and the network on a prepared
batch in memory. Their order is random. The target is a median ratio of at least 0.9 to the slower
half. On a CPU both halves share the cores: it cannot be reached if neither is ten times slower than
the other. Then the ratio to one half after the other shows whether they overlap.
"""

import argparse
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np
import tensorflow as tf

from benchmarks import pairs
from benchmarks.flags import add_batch_size, add_image_size, add_networks, add_rounds
from benchmarks.inference import make_run
from classifier.checkpoints import sources
from classifier.inference import predict as predicting
from classifier.inference import predictor
from classifier.inference.model import InferenceModel
from nets import nets_factory

TARGET = 0.9
NETWORKS = ("mobilenet_v1_025", "resnet_v1_50")
_HEIGHT, _WIDTH = 375, 500
_SEQUENCE = "one after the other"
_KINDS = 16  # different images


def write_images(directory: pathlib.Path, count: int) -> list[str]:
    """Writes JPEG files with some structure, as of photographs; returns their paths."""
    random = np.random.default_rng(0)
    files = []
    for _ in range(min(count, _KINDS)):
        coarse = random.uniform(0, 255, [24, 32, 3]).astype(np.float32)
        image = tf.image.resize(coarse, [_HEIGHT, _WIDTH], "bicubic")
        image += random.normal(0, 6, [_HEIGHT, _WIDTH, 3])
        files.append(tf.io.encode_jpeg(tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8)).numpy())
    paths = [directory / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(files[number % len(files)])
    return [str(path) for path in paths]


def contestants(
    model: predictor.Predictor, paths: Sequence[str], batch_size: int
) -> dict[str, Callable[[], object]]:
    """Returns the prediction and its halves, by name."""
    contents = tf.io.read_file(paths[0])
    batch = [model.prepare(contents)] * batch_size
    answer = model.network(batch[:1])[0]
    without_network = predictor.Predictor(
        model.info, model.prepare, lambda images: [answer] * len(images)
    )

    def run(each: predictor.Predictor) -> None:
        for _ in predicting.predict(each, paths, batch_size):
            pass

    def network() -> None:
        for _ in range(0, len(paths), batch_size):
            model.network(batch)

    def one_after_the_other() -> None:
        run(without_network)
        network()

    return {
        "predict": lambda: run(model),
        "reading and decoding": lambda: run(without_network),
        "network": network,
        _SEQUENCE: one_after_the_other,
    }


def verdict(name: str, times: dict[str, tuple[float, float]], count: int) -> str:
    """Returns the result of a network in a line.

    Args:
      name: of the network.
      times: of `pairs.medians`: seconds, and the ratio to the prediction's in the same round.
      count: number of images.
    """
    halves = {key: times[key] for key in ("reading and decoding", "network")}
    slower = max(halves, key=lambda key: halves[key][1])
    ratio = halves[slower][1]
    rates = ", ".join(f"{key} {count / times[key][0]:.0f}" for key in times)
    return (
        f"{name}: {ratio:.3f} of the rate of {slower} alone, target of {TARGET}"
        f" {'reached' if ratio >= TARGET else 'missed'};"
        f" {times[_SEQUENCE][1]:.3f} of one half after the other; images/s: {rates}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints a line per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_networks(parser, NETWORKS, allowed=nets_factory.NETWORKS)
    parser.add_argument(
        "--images", type=int, default=256, help="number of images; default: %(default)s"
    )
    add_rounds(parser, 7)
    add_batch_size(parser, 32)
    add_image_size(parser)
    chosen = parser.parse_args(argv)
    for name in chosen.networks:
        with tempfile.TemporaryDirectory() as directory:
            place = pathlib.Path(directory)
            paths = write_images(place, chosen.images)
            checkpoint = sources.open_checkpoint(str(make_run(place, name, chosen.image_size)))
            classifier = InferenceModel(checkpoint.info, checkpoint)
            model = predictor.of_checkpoint(classifier)
            timed = contestants(model, paths, chosen.batch_size)
            times = pairs.medians(timed, chosen.rounds, warm_up=1)
            print(verdict(name, times, chosen.images), flush=True)
    load = os.getloadavg()[0]
    print(f"load average: {load:.1f}")


if __name__ == "__main__":
    main()
