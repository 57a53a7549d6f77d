"""Evaluates the checkpoints of a run: those that it has, or each as it is written."""

import dataclasses
import os
from collections.abc import Iterator

from classifier import ownership
from classifier.checkpoints import sources
from classifier.config.evaluation import EvalConfig
from classifier.inference import evaluation_files, metrics
from classifier.inference import evaluation_tables as tables
from classifier.inference.evaluation_files import Events
from classifier.inference.results import Result
from classifier.inference.split_evaluation import SplitEvaluation
from classifier.resolve.evaluation import evaluation
from classifier.run_directory import RunDirectory
from slim import _checks, checkpoints, signals

_SHOWN_STEPS = 10


def run(config: EvalConfig) -> None:
    """Evaluates the checkpoints of a run and prints a table of them.

    Args:
      config: the options, with `eval_loop` or for all checkpoints.

    Raises:
      UserError, RunError: as `evaluate.run`; RunError also if there was no checkpoint to evaluate.
    """
    series = _Series(config)
    directory = str(config.run.train_dir)
    prefixes = _follow(config, series) if config.run.eval_loop else _present(directory)
    with signals.noted(series.summary):
        for prefix in prefixes:
            series.evaluate(prefix)
    series.finish()


def _present(directory: str) -> list[str]:
    """Returns the checkpoints of a run, oldest first, with the best one."""
    prefixes = checkpoints.find_all(directory)
    record = checkpoints.best(directory)
    names = {os.path.basename(prefix) for prefix in prefixes}
    if record and record["checkpoint"] not in names:
        prefixes.append(os.path.join(directory, "best", record["checkpoint"]))
    if not prefixes:
        checkpoints.find(directory)  # raises the error that says what is there
    return sorted(prefixes, key=checkpoints.step_of)


def _follow(config: EvalConfig, series: "_Series") -> Iterator[str]:
    """Yields each new checkpoint of a run, oldest first, until the run's last step."""
    options, directory = config.run, str(config.run.train_dir)
    seen: set[str] = set()
    last_step = 0
    newest_ones = checkpoints.checkpoints_iterator(
        directory, options.eval_interval_secs, options.timeout_secs
    )
    for _ in newest_ones:
        for prefix in checkpoints.find_all(directory):
            if prefix in seen:
                continue
            seen.add(prefix)
            step = checkpoints.step_of(prefix)
            recorded = _recorded(directory)
            series.report_deleted(_between(last_step, step, recorded.save_every_steps))
            last_step = max(last_step, step)
            yield prefix
            if recorded.number_of_steps is not None and step >= recorded.number_of_steps:
                return


def _between(after: int, before: int, every: int) -> list[int]:
    """Returns the multiples of `every` between two steps, without these."""
    return list(range(after // every * every + every, before, every)) if every else []


@dataclasses.dataclass(frozen=True)
class _Resolved:
    """The end of a run and its steps between checkpoints."""

    number_of_steps: int | None = None
    save_every_steps: int = 0


@dataclasses.dataclass(frozen=True)
class _RunConfig:
    """The contents of config.json that the series uses."""

    resolved: _Resolved = _Resolved()


def _recorded(directory: str) -> _Resolved:
    # Read again each time: a resumed run may have more steps.
    return (RunDirectory(directory).read_config(_RunConfig) or _RunConfig()).resolved


class _Series:
    """The evaluations of a run's checkpoints.

    Args:
      config: the options.
    """

    def __init__(self, config: EvalConfig) -> None:
        self._config = config
        self._on_split: SplitEvaluation | None = None
        self._events: Events | None = None
        # Prefix of the checkpoint -> step and metrics.
        self._results: dict[str, tuple[int, dict[str, Result]]] = {}
        self._num_deleted = 0

    def evaluate(self, prefix: str) -> None:
        """Evaluates a checkpoint, or reports that it was removed meanwhile."""
        try:
            on_split = self._restore(prefix)
        except checkpoints.CheckpointGone:
            self.report_deleted([checkpoints.step_of(prefix)])
            return
        resolved, classifier = on_split.resolved, on_split.classifier
        step = classifier.step or 0
        print(f"step {step}, {prefix}", flush=True)
        try:
            evaluations = dict(on_split.evaluate_each())
        except checkpoints.CheckpointGone:  # before the second weights were read
            self.report_deleted([checkpoints.step_of(prefix)])
            return
        for key, result in evaluations.items():
            print("Without moving averages:" if key else "", end="\n" if key else "")
            metrics.report(result, resolved.split_name, resolved.num_samples)
        tables.report_skipped(on_split.newly_skipped())
        self._results[prefix] = step, evaluations
        assert self._events is not None, "opened with the first checkpoint"
        values = evaluation_files.metric_values(evaluations)
        self._events.write(step, resolved.split_name, values)
        self._write_json(on_split)

    def _restore(self, prefix: str) -> SplitEvaluation:
        checkpoint = sources.open_prefix(prefix)
        if self._on_split is not None:
            self._on_split.restore(checkpoint)
            return self._on_split
        run = RunDirectory(str(self._config.run.train_dir))
        on_split = SplitEvaluation(evaluation(self._config, checkpoint.info, run), checkpoint)
        options = self._config.run
        events_dir = evaluation_files.directory_of_events(options, run)
        ownership.check_evaluation(events_dir, options.eval_dir is None)
        tables.report_start(on_split)
        self._events = Events(options, run)
        self._on_split = on_split
        return on_split

    def report_deleted(self, steps: list[int]) -> None:
        """Reports checkpoints that were removed before they could be evaluated."""
        if steps:
            self._num_deleted += len(steps)
            listed = _checks.listed(steps, _SHOWN_STEPS)
            print(f"deleted before it could be evaluated: step {listed}", flush=True)

    def summary(self) -> str:
        """Returns how many checkpoints were evaluated."""
        deleted = f", deleted before: {self._num_deleted}" if self._num_deleted else ""
        return f"checkpoints evaluated: {len(self._results)}{deleted}"

    def finish(self) -> None:
        """Prints the table and names the best checkpoint."""
        if self._events is not None:
            self._events.close()
        print(self.summary())
        if not self._results:
            raise _checks.RunError(
                f"no checkpoint of {self._config.run.train_dir} could be evaluated"
            )
        rows = {
            f"step {step}" + (f" {tables.WEIGHTS[key]}" if len(evaluations) > 1 else ""): each
            for step, evaluations in self._results.values()
            for key, each in evaluations.items()
        }
        print(tables.side_by_side(rows))
        best = self._best()
        _, evaluations = self._results[best]
        first = _first(evaluations)
        print(f"best: {best} ({first.headline.words} {first.score:.4f})", flush=True)

    def _best(self) -> str:
        """Returns the checkpoint with the highest score, the first of equal ones."""
        return max(self._results, key=lambda prefix: _first(self._results[prefix][1]).score)

    def _write_json(self, on_split: SplitEvaluation) -> None:
        """Writes the metrics of the best checkpoint so far, and those of each."""
        path = self._config.run.eval_json
        if path is None:
            return
        best = self._best()
        step, evaluations = self._results[best]
        each = [
            {"checkpoint": prefix, "step": step} | evaluation_files.metric_values(values)
            for prefix, (step, values) in self._results.items()
        ]
        values = evaluation_files.metric_values(evaluations)
        ends = evaluation_files.intervals(evaluations)
        about = evaluation_files.description(on_split, best, step)
        evaluation_files.write_json(path, about | values | ends | {"checkpoints": each})


def _first(evaluations: dict[str, Result]) -> Result:
    return next(iter(evaluations.values()))
