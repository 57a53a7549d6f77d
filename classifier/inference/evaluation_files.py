"""The files of an evaluation: JSON, a table of predictions, TensorBoard events."""

import csv
import dataclasses
import errno
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classifier.config.evaluation import EvaluationOptions
from classifier.config.problems import Problem, named
from classifier.inference.outcomes import LabelOutcomes, Outcomes
from classifier.inference.results import Result
from classifier.inference.split_evaluation import SplitEvaluation
from classifier.run_directory import RunDirectory
from slim import _paths
from slim.events import EventFile
from slim.metrics import ClassScores

_MAX_CONFUSIONS = 1000


def metric_values(evaluations: Mapping[str, Result]) -> dict[str, float]:
    """Returns the metrics by name, each with its evaluation's prefix."""
    return {
        f"{prefix}{name}": value
        for prefix, evaluation in evaluations.items()
        for name, value in dataclasses.asdict(evaluation).items()
    }


def intervals(evaluations: Mapping[str, Result]) -> dict[str, list[float]]:
    """Returns the confidence intervals of the metrics, likewise."""
    return {
        f"{prefix}{name}": list(ends)
        for prefix, evaluation in evaluations.items()
        for name, ends in evaluation.intervals().items()
    }


def description(on_split: SplitEvaluation, prefix: str, step: int | None) -> dict[str, Any]:
    """Returns what was evaluated: the checkpoint, the weights and the split."""
    resolved = on_split.resolved
    return {
        "checkpoint": prefix,
        "step": step or 0,
        "uses_averages": resolved.use_moving_averages,
        "dataset": resolved.dataset_name,
        "split": resolved.split_name,
        "num_samples": resolved.num_samples,
    }


def class_rows(scores: ClassScores, names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns name and scores of each class; an undefined score is None."""
    columns = scores.columns()
    rows = np.stack(list(columns.values()), axis=1)
    return [
        {"class": name, "support": int(support)}
        | {key: None if math.isnan(value) else float(value)
           for key, value in zip(columns, row, strict=True)}
        for name, support, row in zip(names, scores.support, rows, strict=True)
    ]  # fmt: skip


def confusion_rows(
    confusions: Sequence[tuple[int, int, int]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns the most frequent confusions of two classes."""
    return [
        {"label": names[label], "predicted": names[predicted], "count": count}
        for label, predicted, count in confusions[:_MAX_CONFUSIONS]
    ]


def write_json(path: str, values: Mapping[str, Any]) -> None:
    """Writes values as JSON, the dicts of a list in a line each."""
    lines = [f"  {json.dumps(name)}: {_text(value)}" for name, value in values.items()]
    _paths.write_new_file(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def _text(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        rows = (json.dumps(row, ensure_ascii=False) for row in value)
        return "[\n    " + ",\n    ".join(rows) + "\n  ]"
    return json.dumps(value, ensure_ascii=False)


def write_predictions(
    path: str,
    outcomes: Outcomes | LabelOutcomes,
    class_names: Sequence[str],
    shard_names: Sequence[str],
) -> None:
    """Writes a row per image: file, shard, record, and the outcomes' table."""
    rows = iter(outcomes.table(class_names))
    with _paths.named_in_errors(path), _paths.new_file(path) as file:
        text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "shard", "record", *next(rows)])
        for index, row in enumerate(rows):
            name, shard = outcomes.filenames[index], shard_names[outcomes.shards[index]]
            writer.writerow([name, shard, outcomes.records[index], *row])
        text.flush()
        text.detach()  # the block closes the file


def directory_of_events(options: EvaluationOptions, run: RunDirectory) -> str:
    """Returns the directory of the events."""
    return options.eval_dir or os.path.join(run.path, "eval")


class Events:
    """The TensorBoard events of an evaluation; none if the default directory is read-only.

    Args:
      options: of the evaluation.
      run: run of the checkpoint.
    """

    def __init__(self, options: EvaluationOptions, run: RunDirectory) -> None:
        directory = directory_of_events(options, run)
        self._file: EventFile | None = None
        if options.eval_dir is None and not is_writable(directory):
            problem = Problem(
                "no events written: {} is read-only. Set {} to another directory",
                directory,
                named("eval_dir"),
            )
            print(f"warning: {problem.as_flags}", flush=True)
        else:
            self._file = EventFile(directory)

    def write(self, step: int, split_name: str, values: Mapping[str, float]) -> None:
        """Writes the metrics of a step."""
        if self._file is not None:
            self._file.scalars(step, {f"{split_name}/{name}": v for name, v in values.items()})
            self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()


def is_writable(directory: str) -> bool:
    """Returns whether files can be written to a directory, which is created if needed.

    Raises:
      OSError: if it cannot be created for another reason than a lack of permission.
    """
    try:
        os.makedirs(directory, exist_ok=True)
    except PermissionError:
        return False
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return False
    return os.access(directory, os.W_OK)
