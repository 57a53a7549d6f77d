"""Throughput of the evaluation script's loop compared with that of the network alone.

    python benchmarks/evaluation_overhead.py [network ...] [--batches=N] [--rounds=N]

The first contestant is an evaluation by the code of `eval_image_classifier.py`: records read,
decoded and prepared, the network, all metrics. The second one also keeps the answer to each image,
as for `--predictions_csv`. The last one runs the same network on one batch in memory, as many
times. Opening the input takes 0.2 seconds whatever its size, so the split of a fast network has as
many images as CIFAR-10's. Times are medians of rounds that run each once, in random order; the
target is a median ratio of at least 0.9 of the network's throughput.

On a CPU, input and network share the cores, which the ratio of processor times shows even if other
programs run. The dataset is the digits, 28x28 PNG images that the
preprocessing enlarges; decoding photographs costs more, see `input_pipeline.py`.
"""

import argparse
import contextlib
import io
import itertools
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import tensorflow as tf

from benchmarks import inference, pairs
from benchmarks.flags import add_batch_size, add_image_size, add_networks, add_rounds
from classifier.checkpoints import sources
from classifier.config import options
from classifier.config.evaluation import EvalConfig
from classifier.inference.split_evaluation import SplitEvaluation
from classifier.resolve.evaluation import evaluation
from datasets import dataset_factory, download_and_convert
from datasets.location import Location
from nets import nets_factory
from preprocessing import preprocessing_factory

TARGET = 0.9
# Network -> image size, number of batches.
NETWORKS = {"cifarnet": (32, 500), "mobilenet_v1": (224, 10), "resnet_v1_50": (224, 3)}


def write_digits(directory: str, num_images: int) -> str:
    """Writes the digits' training split, repeated to `num_images`; returns the directory."""
    once, copies = os.path.join(directory, "once"), os.path.join(directory, "digits")
    os.mkdir(directory)
    with contextlib.redirect_stdout(io.StringIO()):
        download_and_convert.convert("digits", once)
    os.mkdir(copies)
    metadata = dataset_factory.metadata_at(Location("digits", once), "train")
    copies_needed = -(-num_images // dataset_factory.open_split(metadata).num_samples)
    shards = sorted(pathlib.Path(once).glob("digits_train-*")) * copies_needed
    for number, shard in enumerate(shards):
        name = f"digits_train-{number:05d}-of-{len(shards):05d}.tfrecord"
        shutil.copy(shard, os.path.join(copies, name))
    return copies


def contestants(
    run: pathlib.Path, digits: str, batch_size: int, num_batches: int
) -> dict[str, Callable[[], object]]:
    """Returns the functions to time, by name: each handles the same number of images."""
    config = options.build(
        EvalConfig,
        checkpoint_path=str(run),
        dataset_name="digits",
        dataset_dir=digits,
        dataset_split_name="train",
        batch_size=batch_size,
        max_num_batches=num_batches,
    )
    checkpoint = sources.open_checkpoint(str(run))
    resolved = evaluation(config, checkpoint.info, checkpoint.run)
    plain, keeping = (
        SplitEvaluation(resolved, checkpoint, keep_outcomes=keep) for keep in (False, True)
    )
    network = tf.function(plain.classifier, autograph=False)
    images = tf.random.uniform([batch_size, *plain.classifier.image_shape], -1, 1)

    def alone() -> None:
        for _ in range(num_batches):
            network(images)["probabilities"].numpy()

    return {
        "network alone": alone,
        "evaluation": plain.evaluate,
        "with the answers": keeping.evaluate,
    }


def _with_processor_time(
    name: str, call: Callable[[], object], seconds: dict[str, list[float]]
) -> Callable[[], None]:
    """Returns a function that also notes the processor time of its calls after the first."""
    seconds[name] = []
    calls = itertools.count()

    def timed() -> None:
        start = time.process_time()
        call()
        if next(calls):
            seconds[name].append(time.process_time() - start)

    return timed


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints the throughputs of each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_networks(parser, NETWORKS, allowed=nets_factory.NETWORKS)
    parser.add_argument("--batches", type=int, help="number of batches of a round")
    add_batch_size(parser, 100)
    add_image_size(parser)
    add_rounds(parser, 5)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        for name in chosen.networks:
            size, batches = NETWORKS.get(name, (None, 2))
            place = pathlib.Path(directory) / name
            place.mkdir()
            channels = preprocessing_factory.prepared_channels(
                preprocessing_factory.resolve_name(name), 1, False
            )
            run = inference.make_run(place, name, chosen.image_size or size, channels)
            count = chosen.batches or batches
            digits = write_digits(
                os.path.join(directory, f"{name}_input"), count * chosen.batch_size
            )
            calls = contestants(run, digits, chosen.batch_size, count)
            processor: dict[str, list[float]] = {}
            timed = {key: _with_processor_time(key, call, processor) for key, call in calls.items()}
            times = pairs.medians(timed, rounds=chosen.rounds, warm_up=1)
            pairs.show(name, times, chosen.batch_size * count, "images")
            alone, *others = processor.values()
            for contestant, seconds in zip(list(calls)[1:], others, strict=True):
                ratio = 1 / times[contestant][1]
                verdict = "reached" if ratio >= TARGET else "missed"
                relative = statistics.median(a / b for a, b in zip(alone, seconds, strict=True))
                print(
                    f"  {contestant}: {ratio:.3f} of the network alone (by processor time"
                    f" {relative:.3f}), {TARGET} {verdict}"
                )
            print(f"  load average: {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
