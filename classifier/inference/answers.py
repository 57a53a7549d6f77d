"""The output of predictions: text, CSV or JSON."""

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from classifier.inference.neighbors import Neighbor
from slim import _json, _paths

_REJECTED = "none of these"
_NONE = "no label"  # of several ones
COLUMNS = ("file", "rank", "class", "probability", "problem")
NEIGHBOR_COLUMNS = ("file", "rank", "neighbor", "class", "similarity", "problem")


class Answer(NamedTuple):
    """What a model says about an image.

    Attributes:
      file: path of the image.
      classes: pairs of class name and probability, the most probable first; empty for a bad image,
        or if none of several labels is probable enough.
      problem: why the image cannot be decoded, or an empty string.
      is_rejected: whether no class is probable enough to be the answer.
      neighbors: the nearest images of a dataset, instead of classes; None if none are requested.
    """

    file: str
    classes: Sequence[tuple[str, float]] = ()
    problem: str = ""
    is_rejected: bool = False
    neighbors: Sequence[Neighbor] | None = None


def columns(with_neighbors: bool = False) -> Sequence[str]:
    """Returns the names of the columns of a table."""
    return NEIGHBOR_COLUMNS if with_neighbors else COLUMNS


def as_text(answer: Answer) -> str:
    """Returns one line."""
    parts = [f"{name} {probability:.4f}" for name, probability in answer.classes]
    if answer.is_rejected:
        parts = [f"{_REJECTED} ({', '.join(parts)})" if parts else _NONE]
    parts += [
        f"{each.file} ({each.label}) {each.similarity:.4f}" for each in answer.neighbors or ()
    ]
    return f"{answer.file}: {', '.join(parts) or answer.problem}"


def as_csv(answer: Answer) -> str:
    """Returns a row for each class or neighbor, or one for a bad image; a rejected one, or one
    without a label, has a row of rank 0."""
    text = io.StringIO()
    values = answer.classes if answer.neighbors is None else answer.neighbors
    none = _REJECTED if values else _NONE
    rows: list[tuple[Any, ...]] = [(answer.file, 0, none, "", "")] * answer.is_rejected
    rows += [(answer.file, rank, *value, "") for rank, value in enumerate(values, 1)]
    empty = [""] * (len(columns(answer.neighbors is not None)) - 2)
    bad = (answer.file, *empty, answer.problem)
    csv.writer(text, lineterminator="\n").writerows(rows or [bad])
    return text.getvalue().removesuffix("\n")


def as_json(answer: Answer) -> str:
    """Returns an object in one line."""
    if answer.problem:
        return json.dumps({"file": answer.file, "problem": answer.problem})
    if answer.neighbors is not None:
        neighbors = [
            {"file": each.file, "class": each.label, "similarity": each.similarity}
            for each in answer.neighbors
        ]
        return json.dumps({"file": answer.file, "neighbors": neighbors})
    classes = [{"class": name, "probability": value} for name, value in answer.classes]
    rejected = {"rejected": True} if answer.is_rejected and classes else {}
    return json.dumps({"file": answer.file, **rejected, "classes": classes})


FORMATS: dict[str, Callable[[Answer], str]] = {"text": as_text, "csv": as_csv, "json": as_json}


def show(answer: Answer, output_format: str) -> None:
    """Prints an answer; characters that a terminal would not show are escaped."""
    for line in FORMATS[output_format](answer).splitlines():
        print(_json.printable(line), flush=True)


def show_header(output_format: str, with_neighbors: bool = False) -> None:
    """Prints the names of the columns, for CSV."""
    if output_format == "csv":
        print(",".join(columns(with_neighbors)), flush=True)


@contextlib.contextmanager
def csv_file(path: str | None, with_neighbors: bool = False) -> Iterator[Callable[[Answer], None]]:
    """Returns a function that adds an answer to a CSV file.

    The file has its name only at the end; it is not kept if the block fails. If it cannot be
    written, because the disk is full, that is raised only after the block.

    Args:
      path: the file, which may be replaced; None for none.
      with_neighbors: whether the answers have neighbors instead of classes.

    Raises:
      OSError: if it cannot be written.
    """
    errors: list[OSError] = []
    with contextlib.ExitStack() as stack:

        def write(text: str) -> None:
            try:
                if path is not None and not errors:
                    with _paths.named_in_errors(path):
                        file.write(text.encode(errors="surrogateescape") + b"\n")
                        file.flush()
            except OSError as error:
                errors.append(error)

        try:
            if path is not None:
                with _paths.named_in_errors(path):
                    file = stack.enter_context(_paths.new_file(path))
        except OSError as error:
            errors.append(error)
        write(",".join(columns(with_neighbors)))
        yield lambda answer: write(as_csv(answer))
        if errors:
            raise errors[0]
