"""Reads the headers of untrusted tar archives; no TensorFlow.

Only single header blocks are parsed by `tarfile`. Its own iteration reads extended headers of any
size into memory, recurses once per extended header, and treats a damaged header as the end.
"""

import tarfile
from collections.abc import Iterator
from typing import NamedTuple, Protocol

_BLOCK = 512
_MAX_EXTENDED_BYTES = 1 << 20  # of one extended header
_MAX_IN_A_ROW = 8  # extended headers of one member; real archives have up to three
_MAX_DIGITS = 19  # of a length or size, which is below 2**64
_SPARSE = b"GNU.sparse."
_GNU_NAME, _GNU_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_PAX_TYPES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)


class Stream(Protocol):
    """The bytes of a tar, read sequentially."""

    def read(self, size: int, /) -> bytes:
        """Returns up to `size` bytes; none at the end."""

    def skip_to(self, offset: int, /) -> None:
        """Moves ahead to an offset from the start; raises EOFError if it is beyond the end."""


class Header(NamedTuple):
    """A member: its block, with name and size from its extended headers, and its content's offset.

    `is_sparse`: whether the content is stored in a sparse format.
    """

    info: tarfile.TarInfo
    offset: int
    is_sparse: bool


def read_headers(stream: Stream) -> Iterator[Header]:
    """Yields the members of an uncompressed tar; the content may be read before the next member.

    Raises:
      tarfile.TarError: if a header is damaged or implausible, or the end of the archive is missing
        or followed by other data.
      EOFError: if the archive ends inside a member.
    """
    position, in_a_row = 0, 0
    common: dict[str, str] = {}  # from global headers
    extended: dict[str, str] = {}  # for the next member
    while any(block := _read_exactly(stream, _BLOCK)):
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} in the header at byte {position}") from error
        position += _BLOCK
        if info.type not in (_GNU_NAME, _GNU_LINK, *_PAX_TYPES):
            yield _member(info, position, common | extended)
            position += info.size + -info.size % _BLOCK if info.isreg() else 0
            try:
                stream.skip_to(position)
            except EOFError:
                raise EOFError(f"member {info.name[:100]!r} is truncated") from None
            extended, in_a_row = {}, 0
            continue
        in_a_row += 1
        if in_a_row > _MAX_IN_A_ROW:
            raise tarfile.ReadError(
                f"more than {_MAX_IN_A_ROW} extended headers in a row at byte {position}"
            )
        content = _read_extended(stream, info, position)
        position += len(content) + -len(content) % _BLOCK
        if info.type in _PAX_TYPES:
            (common if info.type == tarfile.XGLTYPE else extended).update(_parse_pax(content))
        elif info.type == _GNU_NAME:
            extended["path"] = _text(content.split(b"\0")[0])
    _check_end(stream)


def _read_exactly(stream: Stream, size: int) -> bytes:
    """Returns the next `size` bytes; raises EOFError if there are fewer."""
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    if size:
        raise EOFError("it is truncated")
    return b"".join(parts)


def _member(info: tarfile.TarInfo, offset: int, extended: dict[str, str]) -> Header:
    info.name = extended.get("path", info.name)
    if "size" in extended:
        info.size = _number(extended["size"].encode("utf-8", "replace"))
    if info.size < 0:
        raise tarfile.ReadError(f"member {info.name[:100]!r} has the size {info.size}")
    is_sparse = info.type == tarfile.GNUTYPE_SPARSE or _SPARSE.decode() in extended
    return Header(info, offset, is_sparse)


def _read_extended(stream: Stream, info: tarfile.TarInfo, position: int) -> bytes:
    if not 0 <= info.size <= _MAX_EXTENDED_BYTES:
        raise tarfile.ReadError(
            f"an extended header of {info.size} bytes at byte {position}, more than"
            f" {_MAX_EXTENDED_BYTES}"
        )
    return _read_exactly(stream, info.size + -info.size % _BLOCK)[: info.size]


def _parse_pax(content: bytes) -> dict[str, str]:
    """Returns the records `LENGTH KEYWORD=VALUE\\n` that affect a member's name or content."""
    fields = {}
    start = 0
    while start < len(content) and content[start]:  # some writers pad with zeros
        digits = content[start : start + _MAX_DIGITS + 1].partition(b" ")[0]
        length = _number(digits)
        record = content[start : start + length]
        keyword, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) < length or not record.endswith(b"\n") or not (equals and keyword):
            raise tarfile.ReadError(f"a damaged record {record[:40]!r} in an extended header")
        if keyword in (b"path", b"size"):
            fields[keyword.decode()] = _text(value)
        elif keyword.startswith(_SPARSE):
            fields[_SPARSE.decode()] = ""
        start += length
    return fields


def _number(digits: bytes) -> int:
    # int() alone accepts a sign, spaces and any number of digits.
    if not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise tarfile.ReadError(f"{digits[:40]!r} in an extended header is not a size")
    return int(digits)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _check_end(stream: Stream) -> None:
    """Reads to the end, which also checks a compressed file's checksum."""
    while rest := stream.read(1 << 20):
        if rest.count(0) != len(rest):
            raise tarfile.ReadError("data after the end of the archive")
