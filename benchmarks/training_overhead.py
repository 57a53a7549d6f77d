"""Throughput of the training script's loop beside that of its bare step function.

    python benchmarks/training_overhead.py [network ...] [--steps=N] [--rounds=N] [--image_size=N]

The script's stretch is a run as `train_image_classifier.py` makes it (records read, decoded and
augmented, log lines, metrics), resumed where the last one ended; its clock starts behind the first
steps. What comes at its end, a summary for TensorBoard and a checkpoint, is timed by itself and
counts with the share that it has at the default intervals of 600 seconds. The bare stretch is the
same training op on one batch that stays in memory. They alternate, and neither's input is open
while the other runs. The target is a median ratio of at least 0.95 for `cifarnet` and
`mobilenet_v1`.

On a CPU the input takes its share of the cores that the step computes on, which the ratio of the
processor time shows also where other programs run. The data are the digits, 28x28 PNG pictures that
the preprocessing enlarges: decoding photographs costs more, see `input_pipeline.py`.
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

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve.training import training_run
from classifier.training import run as training
from classifier.training.batches import TrainingBatches
from classifier.training.step import make_train_op
from datasets import dataset_factory, download_and_convert
from slim import learning

Times = tuple[float, float]  # seconds by the clock, and of the processor
TARGET = 0.95
NETWORKS = {"cifarnet": (32, 300), "mobilenet_v1": (96, 100)}  # image size, steps of a stretch
_WARM_UP = 5  # steps that do not count
_INTERVAL = 600  # seconds between two summaries or checkpoints


class _Clock(learning.Hook):
    """Times so many steps behind the first ones, and what comes after them."""

    def __init__(self, steps: int) -> None:
        self.stretch = self._ended = (0.0, 0.0)
        self._steps = steps
        self._first = 0
        self._begun = (0.0, 0.0)

    def begin(self, run: learning.Run) -> None:
        self._first = run.step + _WARM_UP

    def after_steps(self, run: learning.Run, numbers: object) -> None:
        if run.step == self._first:
            self._begun = _now()
        if run.step == self._first + self._steps:
            self.stretch, self._ended = _since(self._begun), _now()

    def times(self) -> Times:
        """Returns the stretch's times with their share of what came at the end, until now."""
        share = self.stretch[0] / _INTERVAL
        return tuple(t + share * e for t, e in zip(self.stretch, _since(self._ended), strict=True))


class Contest:
    """The two contestants, with one training op for both.

    Args:
      folder: with the digits in `data`; the run is made in it.
      network: its name.
      steps: of a stretch.
      values: further options of the run.
    """

    def __init__(self, folder: str, network: str, steps: int, **values: object) -> None:
        self._values = {
            "train_dir": os.path.join(folder, network),
            "dataset_name": "digits",
            "dataset_dir": os.path.join(folder, "data"),
            "model_name": network,
            **values,
        }
        self._steps = steps
        self._done = 0
        resolved = training_run(self._config())
        dataset = dataset_factory.get_dataset("digits", "train", resolved.config.data.dataset_dir)
        self.op = make_train_op(resolved, tf.distribute.get_strategy())
        self._batch = next(iter(TrainingBatches(resolved, dataset)(0)))

    def _config(self) -> TrainConfig:
        given = {"max_number_of_steps": max(1, self._done), **self._values}
        return options.build(TrainConfig, **given)

    def script(self) -> Times:
        """Returns the times of a stretch of the run."""
        self._done += _WARM_UP + self._steps + 1  # the last one has the summary
        clock = _Clock(self._steps)
        make_op, make_hooks = training.make_train_op, training.make_hooks
        # The op is traced already, as it is in a run that has gone on for a while.
        training.make_train_op = lambda *_: self.op
        training.make_hooks = lambda *arguments: [*make_hooks(*arguments), clock]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                training.run(self._config())
        finally:
            training.make_train_op, training.make_hooks = make_op, make_hooks
        return clock.times()

    def bare(self) -> Times:
        """Returns the times of as many bare steps."""
        batches = tf.data.Dataset.from_tensors(self._batch).repeat()
        self.op.build(batches.element_spec)
        iterator = iter(batches)
        for _ in range(_WARM_UP):
            self.op.run(iterator)
        begun = _now()
        for _ in range(self._steps):
            self.op.run(iterator)
        return _since(begun)


def _now() -> Times:
    return time.perf_counter(), time.process_time()


def _since(begun: Times) -> Times:
    wall, processor = _now()
    return wall - begun[0], processor - begun[1]


def pairs(
    script: Callable[[], Times], bare: Callable[[], Times], rounds: int
) -> list[tuple[Times, Times]]:
    """Returns the times of both for each round; the order changes from round to round, and a first
    one does not count."""
    found = []
    for number in range(rounds + 1):
        order = (script, bare) if number % 2 else (bare, script)
        times = {function: function() for function in order}
        if number:
            found.append((times[script], times[bare]))
    return found


def verdict(title: str, found: Sequence[tuple[Times, Times]], images: int) -> str:
    """Returns the result in a line; `images` are those of a stretch."""
    relative, processor = (
        [bare[clock] / script[clock] for script, bare in found] for clock in (0, 1)
    )
    median = statistics.median(relative)
    speeds = [images / statistics.median(t[0] for t in times) for times in zip(*found, strict=True)]
    return (
        f"{title}: {speeds[0]:.0f} of {speeds[1]:.0f} images/s: {median:.3f} of the bare step's "
        f"throughput, median of {len(found)} rounds ({min(relative):.3f} to {max(relative):.3f}; "
        f"by processor time {statistics.median(processor):.3f}); "
        f"{TARGET} is {'reached' if median >= TARGET else 'missed'}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints a line a network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--steps", type=int, help="of a stretch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--image_size", type=int)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        download_and_convert.convert("digits", os.path.join(folder, "data"))
        for network in given.networks:
            size, steps = NETWORKS.get(network, (64, 200))
            size, steps = given.image_size or size, given.steps or steps
            contest = Contest(
                folder,
                network,
                steps,
                batch_size=given.batch_size,
                train_image_size=(size, size),
            )
            found = pairs(contest.script, contest.bare, given.rounds)
            title = f"{network}, {size}x{size}"
            print(verdict(title, found, steps * given.batch_size), flush=True)
            print(f"load of the machine: {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
