"""metrics.jsonl: one JSON object a line, in the order of the steps; no TensorFlow here."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Required, TypedDict

import msgspec

from classifier.headlines import is_evaluation
from slim import _checks, _files, _json, _paths

_Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class MetricsLine(TypedDict, total=False):
    """A line: the metrics of a log line, or of an evaluation, prefixed by `eval_`."""

    step: Required[_json.Step]
    epoch: float
    loss: float
    accuracy: float
    micro_f1: float
    learning_rate: float
    gradient_norm: float
    images_per_second: float
    data_wait: float
    loss_scale: float
    time: float
    eval_accuracy: _Fraction
    eval_mean_average_precision: float
    eval_micro_f1: float
    eval_macro_f1: float
    eval_recall_at_k: float
    eval_k: _json.Count
    eval_macro_recall: float
    eval_loss: float
    eval_num_images: _json.Count


class MetricsFile:
    """The metrics of a run, to which training only appends.

    Args:
      path: of the file, which need not exist.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._evaluations: list[MetricsLine] | None = None

    def rewind(self, step: int) -> None:
        """Removes damaged lines and those after `step`, which a resumed run repeats.

        If complete lines are damaged, the original file is kept under another name.

        Raises:
          UserError: if the file cannot be read.
        """
        kept, evaluations, dropped, damaged = [], [], 0, []
        for raw in self._raw_lines():
            line = _json.decode_line(raw, MetricsLine, finite=False)
            if line is None:
                damaged.append(raw.endswith(b"\n"))
            elif line["step"] > step:
                dropped += 1
            else:
                kept.append(raw)
                evaluations += [line] if is_evaluation(line) else []
        self._evaluations = evaluations
        if damaged:
            # An incomplete last line, due to a crash or a full disk, is not worth a backup.
            backup = f"; backup: {_files.move_aside(self._path)}" if any(damaged) else ""
            print(f"warning: {self._path}: removed {len(damaged)} damaged line(s){backup}")
        if damaged or dropped:
            _paths.write_atomically(self._path, b"".join(kept))

    def read(self) -> list[MetricsLine]:
        """Returns the intact lines, oldest first.

        Raises:
          UserError: if the file cannot be read.
        """
        return self.read_from(0)[0]

    def read_from(self, start: int) -> tuple[list[MetricsLine], int]:
        """Returns the intact lines from a byte on, where one begins, and the end of the file.

        Raises:
          UserError: if the file cannot be read.
        """
        raw_lines = self._raw_lines(start)
        lines = (_json.decode_line(raw, MetricsLine, finite=False) for raw in raw_lines)
        return [line for line in lines if line is not None], start + sum(map(len, raw_lines))

    def evaluations(self) -> list[MetricsLine]:
        """Returns the lines of evaluations, oldest first; reads the file once."""
        if self._evaluations is None:
            self._evaluations = [line for line in self.read() if is_evaluation(line)]
        return self._evaluations

    def append(self, values: Mapping[str, Any]) -> None:
        """Appends a line."""
        text = json.dumps(values) + "\n"
        with (
            _paths.named_in_errors(self._path),
            _files.open_output(self._path, append=True) as file,
        ):
            file.write(text.encode())
        if is_evaluation(values) and self._evaluations is not None:
            self._evaluations.append(msgspec.convert(values, MetricsLine))

    def _raw_lines(self, start: int = 0) -> list[bytes]:
        try:
            return list(_json.raw_lines(self._path, start=start))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _checks.UserError(
                f"{_json.printable(self._path)} cannot be used: {error.strerror}. Move it away"
            ) from None
