"""The output of predictions: text, CSV or JSON."""

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from slim import _json, _paths

_REJECTED = "none of these"
COLUMNS = ("file", "rank", "class", "probability", "problem")


class Answer(NamedTuple):
    """What a model says about an image.

    Attributes:
      file: path of the image.
      classes: pairs of class name and probability, the most probable first; empty for a bad image.
      problem: why the image cannot be decoded, or an empty string.
      is_rejected: whether no class is probable enough to be the answer.
    """

    file: str
    classes: Sequence[tuple[str, float]] = ()
    problem: str = ""
    is_rejected: bool = False


def as_text(answer: Answer) -> str:
    """Returns one line."""
    classes = ", ".join(f"{name} {probability:.4f}" for name, probability in answer.classes)
    if answer.is_rejected:
        classes = f"{_REJECTED} ({classes})"
    return f"{answer.file}: {classes or answer.problem}"


def as_csv(answer: Answer) -> str:
    """Returns a row for each class, or one for a bad image; a rejected one has a row of rank 0."""
    text = io.StringIO()
    rows = [(answer.file, 0, _REJECTED, "", "")] if answer.is_rejected else []
    rows += [
        (answer.file, rank, name, probability, "")
        for rank, (name, probability) in enumerate(answer.classes, 1)
    ]
    bad = (answer.file, "", "", "", answer.problem)
    csv.writer(text, lineterminator="\n").writerows(rows or [bad])
    return text.getvalue().removesuffix("\n")


def as_json(answer: Answer) -> str:
    """Returns an object in one line."""
    if answer.problem:
        return json.dumps({"file": answer.file, "problem": answer.problem})
    classes = [{"class": name, "probability": value} for name, value in answer.classes]
    rejected = {"rejected": True} if answer.is_rejected else {}
    return json.dumps({"file": answer.file, **rejected, "classes": classes})


FORMATS: dict[str, Callable[[Answer], str]] = {"text": as_text, "csv": as_csv, "json": as_json}


def show(answer: Answer, output_format: str) -> None:
    """Prints an answer; characters that a terminal would not show are escaped."""
    for line in FORMATS[output_format](answer).splitlines():
        print(_json.printable(line), flush=True)


def show_header(output_format: str) -> None:
    """Prints the names of the columns, for CSV."""
    if output_format == "csv":
        print(",".join(COLUMNS), flush=True)


@contextlib.contextmanager
def csv_file(path: str | None) -> Iterator[Callable[[Answer], None]]:
    """Returns a function that adds an answer to a CSV file.

    The file has its name only at the end; it is not kept if the block fails. If it cannot be
    written, because the disk is full, that is raised only after the block.

    Args:
      path: the file, which may be replaced; None for none.

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
        write(",".join(COLUMNS))
        yield lambda answer: write(as_csv(answer))
        if errors:
            raise errors[0]
