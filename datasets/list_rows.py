"""Rows of a list of images: CSV, TSV, JSON lines or Parquet. No TensorFlow."""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from slim import _checks, _files, _json

COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path"),
    "label": ("label", "labels", "class", "classes", "category"),
    "split": ("split", "set", "subset"),
}
_SEPARATORS = (";", "|")  # of several labels in a cell
_MAX_BYTES = 4 << 30
_MAX_LABELS = 1000  # of an image


class Row(NamedTuple):
    """An image of a list: number of its row in the file, from 1, path, labels, and split or ""."""

    number: int
    path: str
    labels: tuple[str, ...]
    split: str


class _BadRow(ValueError):
    """A row that cannot be used; the text is the reason."""


def read(path: str) -> list[Row]:
    """Returns the rows of a list.

    Args:
      path: `.csv`, `.tsv`, `.jsonl` (or `.ndjson`), or `.parquet`. Columns: path, label and,
        optionally, split; without a header (CSV and TSV only) they have this order. A cell of
        labels may have several, separated by `;` or `|`; in JSON they may be a list.

    Raises:
      UserError: if it cannot be read, a column is missing, or a row is invalid.
    """
    ending = os.path.splitext(path)[1].lower()
    readers = {reader: endings for endings, reader in _READERS.items()}
    reader = next((each for each, endings in readers.items() if ending in endings), None)
    if reader is None:
        allowed = _checks.listed(each for endings in _READERS for each in endings)
        raise _checks.UserError(
            f"{path} is not a list of images: its name must end in one of {allowed}"
        )
    rows = []
    number = 0
    try:
        for number, values in reader(path):
            rows.append(_row(number, values))
    except OSError as error:
        raise _checks.UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise _checks.UserError(f"{path} is not UTF-8 text; save the file as UTF-8") from None
    except (csv.Error, _BadRow) as error:
        where = f", row {number}" if isinstance(error, _BadRow) else f" after row {number}"
        raise _checks.UserError(f"{path}{where}: {_json.printable(str(error))}") from None
    if not rows:
        raise _checks.UserError(f"{path} has no rows")
    return rows


def _row(number: int, values: Mapping[str, Any] | str) -> Row:
    if isinstance(values, str):
        raise _BadRow(values)
    path, split = values.get("path"), values.get("split")
    if not isinstance(path, str) or not path.strip():
        raise _BadRow("it has no path")
    path = path.strip()
    if "\0" in path or not _is_unicode(path):
        raise _BadRow("its path is not valid text")
    if "://" in path:
        raise _BadRow(f"{path[:100]!r} is a URL; images must be local files")
    split = "" if _is_missing(split) else split
    if not isinstance(split, str) or (split and not split.isprintable()):
        raise _BadRow("its split is not a name")
    return Row(number, path, _labels(values.get("label")), split.strip())


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        for separator in _SEPARATORS[1:]:
            value = value.replace(separator, _SEPARATORS[0])
        parts: list[Any] = [part for part in value.split(_SEPARATORS[0]) if part.strip()]
    else:
        parts = list(value) if _is_list(value) else [value]
    labels = tuple(dict.fromkeys(_label(part) for part in parts))
    if not labels:
        raise _BadRow("it has no label")
    if len(labels) > _MAX_LABELS:
        raise _BadRow(f"it has {len(labels)} labels; at most {_MAX_LABELS} are supported")
    return labels


def _label(value: Any) -> str:
    if _is_missing(value):
        raise _BadRow("it has no label")
    if isinstance(value, float) and value.is_integer():  # of a Parquet column with gaps
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _BadRow(f"its label is a {type(value).__name__}; allowed: text or an integer")
    if isinstance(value, int) and abs(value) > 1 << 62:
        raise _BadRow("its label is out of range")
    label = str(value).strip()
    if not label or not label.isprintable():
        raise _BadRow("its label is empty or has control characters")
    return label


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # an escape of half a character, in JSON
        return False
    return True


# ---- formats -------------------------------------------------------------------------------------

_Rows = Iterator[tuple[int, Mapping[str, Any] | str]]


def _read_csv(path: str, delimiter: str = ",") -> _Rows:
    with io.TextIOWrapper(_opened(path), "utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        places: Mapping[str, int] | None = None
        width = 0
        for cells in reader:
            number = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if places is None:
                places, width = _header(cells), len(cells)
                if places is not None:
                    continue
                places = {name: place for place, name in enumerate(COLUMNS)}
                if len(cells) not in (2, 3):
                    yield number, "the first row must name the columns path and label"
            if len(cells) <= max(places["path"], places["label"]):
                yield number, f"it has {len(cells)} columns; path and label are needed"
            if any(cell.strip() for cell in cells[width:]):
                problem = f"it has {len(cells)} columns, the first row has {width}"
                yield number, f"{problem}; separate several labels by {_SEPARATORS[0]}"
            yield number, {n: cells[at] for n, at in places.items() if at < len(cells)}


def _read_tsv(path: str) -> _Rows:
    return _read_csv(path, "\t")


def _header(cells: Sequence[str]) -> dict[str, int] | None:
    """Returns column -> its place, or None if the row is not a header."""
    names = [cell.strip().lower() for cell in cells]
    places = {
        column: next((at for at, name in enumerate(names) if name in known), None)
        for column, known in COLUMNS.items()
    }
    if places["path"] is None or places["label"] is None:
        return None
    return {column: at for column, at in places.items() if at is not None}


def _read_json_lines(path: str) -> _Rows:
    for number, line in _files.read_text_lines(path):
        try:
            values = json.loads(line, object_pairs_hook=_without_repeated_keys)
        except _BadRow as error:
            yield number, str(error)
            continue
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            yield number, "it is not a JSON object"
        else:
            yield number, _columns(values)


def _without_repeated_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _BadRow("it has a key more than once")
    return values


def _read_parquet(path: str) -> _Rows:
    _checks.installed({"pandas": "pandas", "pyarrow": "pyarrow"})
    import pandas

    with _opened(path) as file:
        try:
            frame = pandas.read_parquet(file)
        except Exception as error:  # of the library behind pandas
            raise OSError(f"it is not a Parquet file ({type(error).__name__})") from None
    names = [str(name) for name in frame.columns]
    for number, values in enumerate(frame.itertuples(index=False, name=None), 1):
        yield number, _columns(dict(zip(names, values, strict=True)))


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    lower = {str(name).strip().lower(): value for name, value in values.items()}
    return {
        column: next((lower[name] for name in known if name in lower), None)
        for column, known in COLUMNS.items()
    }


def _opened(path: str) -> Any:
    file = _files.open_regular(path)
    if os.fstat(file.fileno()).st_size > _MAX_BYTES:
        file.close()
        raise OSError(f"larger than {_MAX_BYTES} bytes")
    return file


_READERS: Mapping[tuple[str, ...], Callable[[str], _Rows]] = {
    (".csv",): _read_csv,
    (".tsv",): _read_tsv,
    (".jsonl", ".ndjson"): _read_json_lines,
    (".parquet",): _read_parquet,
}
