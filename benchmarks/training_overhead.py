"""Throughput of the training script's loop compared with that of its training op alone.

    python benchmarks/training_overhead.py [network ...] [--steps=N] [--rounds=N] [--image_size=N]
    python benchmarks/training_overhead.py --photographs

The script's section is a run of `train_image_classifier.py` (records read, decoded and augmented,
log lines, metrics) that resumes where the last one ended; timing starts after the first steps. The
TensorBoard summary and the checkpoint at its end are timed separately and weighted as at the
default intervals of 600 seconds. The other section runs the same training op on one batch in
memory. They alternate, and neither's input is open while the other runs. The target is a median
ratio of at least 0.95 for `cifarnet` and `mobilenet_v1`.

The dataset is the digits, 28x28 PNG images that the preprocessing enlarges. With `--photographs` it
is JPEG files of 500x375 pixels, `mobilenet_v1` is trained at 224 pixels, and a third section reads
the same batches without training: the ratio is to the slower one of both.

On a CPU, input and step share the cores, so that the ratio cannot reach 1 minus the input's part of
the time. The ratio of processor times, to the sum of both, shows what the loop adds, even if other
programs run.
"""

import argparse
import contextlib
import io
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import tensorflow as tf

from benchmarks import input_pipeline
from benchmarks.flags import add_batch_size, add_image_size, add_networks, add_rounds
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve.training import training_run
from classifier.training import run as training
from classifier.training.batches import TrainingBatches
from classifier.training.step import make_train_op
from datasets import dataset_factory, download_and_convert, folder
from nets import nets_factory
from slim import learning

Times = tuple[float, float]  # seconds by the clock, and of the processor
TARGET = 0.95
NETWORKS = {"cifarnet": (32, 300), "mobilenet_v1": (96, 100)}  # image size, steps of a section
PHOTOGRAPHS = {"mobilenet_v1": (224, 20)}
_PHOTOGRAPH = (500, 375)
_NUM_PHOTOGRAPHS = 256
_WARM_UP = 5  # steps before timing starts
_INTERVAL = 600  # seconds between two summaries or checkpoints


class _Clock(learning.Hook):
    """Times a number of steps after the first ones, and the work after them."""

    def __init__(self, steps: int) -> None:
        self.section = self._ended = (0.0, 0.0)
        self._steps = steps
        self._first = 0
        self._start = (0.0, 0.0)

    def begin(self, run: learning.Run) -> None:
        self._first = run.step + _WARM_UP

    def after_steps(self, run: learning.Run, numbers: object) -> None:
        if run.step == self._first:
            self._start = _now()
        if run.step == self._first + self._steps:
            self.section, self._ended = _since(self._start), _now()

    def times(self) -> Times:
        """Returns the section's times plus the weighted times of the work since its end."""
        weight = self.section[0] / _INTERVAL
        return tuple(t + weight * e for t, e in zip(self.section, _since(self._ended), strict=True))


class Contest:
    """The contestants, with one training op for both that train.

    Args:
      directory: contains the dataset in `data`, and will contain the run.
      dataset_name: name of the dataset.
      network: name of the network.
      steps: number of steps of a section.
      values: further options of the run.
    """

    def __init__(
        self, directory: str, dataset_name: str, network: str, steps: int, **values: object
    ) -> None:
        self._values = {
            "train_dir": os.path.join(directory, network),
            "dataset_name": dataset_name,
            "dataset_dir": os.path.join(directory, "data"),
            "model_name": network,
            **values,
        }
        self._steps = steps
        self._done = 0
        resolved = training_run(self._config())
        data_dir = resolved.config.data.dataset_dir
        dataset = dataset_factory.get_dataset(dataset_name, "train", data_dir)
        self.op = make_train_op(resolved, tf.distribute.get_strategy())
        self._batches = TrainingBatches(resolved, dataset)(0)
        self._batch = next(iter(self._batches))

    def _config(self) -> TrainConfig:
        values = {"max_number_of_steps": max(1, self._done), **self._values}
        return options.build(TrainConfig, **values)

    def script(self) -> Times:
        """Returns the times of a section of the run."""
        self._done += _WARM_UP + self._steps + 1  # the last one has the summary
        clock = _Clock(self._steps)
        make_op, make_hooks = training.make_train_op, training.make_hooks
        # The op is already traced, as after the start of a long run.
        training.make_train_op = lambda *_: self.op
        training.make_hooks = lambda *arguments: [*make_hooks(*arguments), clock]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                training.run(self._config())
        finally:
            training.make_train_op, training.make_hooks = make_op, make_hooks
        return clock.times()

    def bare(self) -> Times:
        """Returns the times of as many steps of the training op alone."""
        batches = tf.data.Dataset.from_tensors(self._batch).repeat()
        self.op.build(batches.element_spec)
        iterator = iter(batches)
        for _ in range(_WARM_UP):
            self.op.run(iterator)
        start = _now()
        for _ in range(self._steps):
            self.op.run(iterator)
        return _since(start)

    def pipeline(self) -> Times:
        """Returns the times of reading as many batches without training."""
        iterator = iter(self._batches)
        for _ in range(_WARM_UP):
            next(iterator)
        start = _now()
        for _ in range(self._steps):
            next(iterator)
        return _since(start)


def write_photographs(directory: str) -> None:
    """Converts JPEG files of two classes to a dataset in `directory`/data."""
    source = pathlib.Path(directory) / "photographs"
    files = input_pipeline.photographs(*_PHOTOGRAPH)
    for number in range(_NUM_PHOTOGRAPHS):
        path = source / "ab"[number % 2] / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[number % len(files)])
    with contextlib.redirect_stdout(io.StringIO()):
        folder.convert(
            os.path.join(directory, "data"), source_dir=str(source), validation_fraction=0
        )


def _now() -> Times:
    return time.perf_counter(), time.process_time()


def _since(start: Times) -> Times:
    wall, processor = _now()
    return wall - start[0], processor - start[1]


def rounds_of(contestants: Sequence[Callable[[], Times]], rounds: int) -> list[tuple[Times, ...]]:
    """Returns the times of all for each round, in alternating order, after a warm-up round."""
    rounds_of_times = []
    for number in range(rounds + 1):
        times = {each: each() for each in contestants[:: 1 if number % 2 else -1]}
        if number:
            rounds_of_times.append(tuple(times[each] for each in contestants))
    return rounds_of_times


def verdict(title: str, times: Sequence[tuple[Times, ...]], images: int) -> str:
    """Returns the result in one line.

    Args:
      title: the network.
      times: of each round: the script's, the training op's, and if measured the pipeline's.
      images: number of images of a section.
    """
    relative = [max(wall for wall, _ in others) / script[0] for script, *others in times]
    processor = [sum(used for _, used in others) / script[1] for script, *others in times]
    median = statistics.median(relative)
    speeds = [images / statistics.median(t[0] for t in each) for each in zip(*times, strict=True)]
    alone = " and ".join(f"{speed:.0f}" for speed in speeds[1:])
    base = "the training op's" if len(speeds) == 2 else "the slower of training op's and pipeline's"
    return (
        f"{title}: {speeds[0]:.0f} of {alone} images/s: {median:.3f} of {base} "
        f"throughput, median of {len(times)} rounds ({min(relative):.3f} to {max(relative):.3f}; "
        f"by processor time {statistics.median(processor):.3f}); "
        f"target of {TARGET} {'reached' if median >= TARGET else 'missed'}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints a line per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_networks(parser, allowed=nets_factory.NETWORKS)
    parser.add_argument("--photographs", action="store_true", help="train on JPEG files")
    parser.add_argument("--steps", type=int, help="steps of a section")
    add_rounds(parser, 5)
    add_batch_size(parser, 32)
    add_image_size(parser, "32 for cifarnet, 96 for mobilenet_v1, 224 for photographs, else 64")
    chosen = parser.parse_args(arguments)
    known = PHOTOGRAPHS if chosen.photographs else NETWORKS
    with tempfile.TemporaryDirectory() as directory:
        if chosen.photographs:
            write_photographs(directory)
        else:
            download_and_convert.convert("digits", os.path.join(directory, "data"))
        for network in chosen.networks or known:
            size, steps = known.get(network, (64, 200))
            size, steps = chosen.image_size or size, chosen.steps or steps
            contest = Contest(
                directory,
                "folder" if chosen.photographs else "digits",
                network,
                steps,
                batch_size=chosen.batch_size,
                train_image_size=(size, size),
            )
            contestants = [contest.script, contest.bare]
            if chosen.photographs:
                contestants.append(contest.pipeline)
            times = rounds_of(contestants, chosen.rounds)
            title = f"{network}, {size}x{size}"
            print(verdict(title, times, steps * chosen.batch_size), flush=True)
            print(f"load average: {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
