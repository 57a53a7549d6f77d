"""Reads an array of structs with numbers and strings from a MATLAB 5 file.

The devkit of ILSVRC2012 has the class names in such a file. Format: "MAT-File Format", The
MathWorks. No TensorFlow, no SciPy.
"""

import itertools
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from slim import _checks

_HEADER_BYTES = 128
_MAX_BYTES = 8_000_000  # the real file has 2 MB
_MAX_FIELDS, _MAX_CELLS, _MAX_DEPTH = 100, 100_000, 10
_ERRORS = (
    struct.error,
    zlib.error,
    ValueError,
    KeyError,
    IndexError,
    StopIteration,
    RecursionError,
)
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 9: "d", 12: "q", 13: "Q"}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
_STRUCT, _CHARS = 2, 4


def read_structs(content: bytes, name: str) -> list[dict[str, Any]]:
    """Returns a variable, an array of structs, as a list of dicts.

    Strings become str, numbers a list. Cells of other kinds, and nested structs, become None.

    Args:
      content: content of the file, little endian.
      name: name of the variable.

    Raises:
      RunError: if it is not a MATLAB 5 file, or has no such variable.
    """
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES} bytes")
        for kind, data in _elements(memoryview(content)[_HEADER_BYTES:]):
            if kind == _COMPRESSED:
                inflated = zlib.decompressobj().decompress(data, _MAX_BYTES)
                ((kind, data),) = _elements(memoryview(inflated))
            if kind == _MATRIX:
                variable, structs = _read_matrix(data)
                if variable == name and all(isinstance(each, dict) for each in structs or [None]):
                    return structs
    except _ERRORS as error:
        raise _checks.RunError(f"Not a MATLAB 5 file ({error or type(error).__name__})") from error
    raise _checks.RunError(f"The MATLAB file has no array of structs {name!r}")


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind >> 16:  # short element: kind, size and up to four bytes of data in eight bytes
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            after = at + 8
        else:
            start = at + 8
            after = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(data):
            raise ValueError("it ends inside an element")
        yield kind, data[start : start + size]
        at = after


def _read_matrix(data: memoryview, depth: int = 0) -> tuple[str, Any]:
    """Returns the name and value of a matrix."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {_MAX_DEPTH} levels")
    parts = _elements(data)
    kind = bytes(next(parts, (0, b"\0"))[1][:1])[0]
    next(parts)  # its shape
    name = str(next(parts)[1], "latin-1")
    if kind == _STRUCT:
        return name, _read_structs(parts, depth)
    element, content = next(parts, (1, memoryview(b"")))
    if kind == _CHARS:
        return name, str(content, _ENCODINGS[element])
    if element in _NUMBERS:
        code = _NUMBERS[element]
        return name, list(struct.unpack(f"<{len(content) // struct.calcsize(code)}{code}", content))
    return name, None


def _read_structs(parts: Iterator[tuple[int, memoryview]], depth: int) -> list[dict[str, Any]]:
    (width,) = struct.unpack("<i", next(parts)[1])
    raw = bytes(next(parts)[1])
    names = [
        raw[at : at + width].split(b"\0")[0].decode("latin-1")
        for at in range(0, len(raw), width)[: _MAX_FIELDS + 1]
    ]
    cells = [
        _read_matrix(data, depth + 1)[1] if data else None
        for _, data in itertools.islice(parts, _MAX_CELLS + 1)
    ]
    if len(names) > _MAX_FIELDS or len(cells) > _MAX_CELLS:
        raise ValueError(f"it has more than {_MAX_FIELDS} fields or {_MAX_CELLS} cells")
    return [
        dict(zip(names, cells[at : at + len(names)], strict=True))
        for at in range(0, len(cells), len(names))
    ]
