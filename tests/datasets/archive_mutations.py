"""Small archives, and damaged ones: in any byte, or in headers with valid checksums."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
from collections.abc import Callable, Mapping

from tests.datasets import mutations, sample_files

CONTENTS = {
    "top/a.txt": b"alpha" * 300,
    "top/sub/b.bin": bytes(range(256)) * 8,
    "top/" + "d" * 90 + "/" + "n" * 90: b"long",
    "top/größe": b"",
}
_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": lambda tar: gzip.compress(tar, 1, mtime=0),
    "tar.xz": lambda tar: lzma.compress(tar, preset=0),
    "tar.bz2": bz2.compress,
}
KINDS = (*_PACKERS, "zip")
_ZIP_PARTS = ((b"PK\1\2", 46), (b"PK\1\2", 46), (b"PK\5\6", 22), (b"PK\3\4", 30))
_NAMES = (b"../up", b"/abs", b"top", b"top/a.txt", b"a/" * 40, b"n" * 100, b"\xff\xfe", b"C:x", b"")
_TYPES = b"0157LKxgSDVZ23\0"
_NUMBERS = (
    *(
        b"\xff" * 12,
        b"\x80" + b"\xff" * 11,
        b"\x80" + bytes(11),
        b"77777777777\0",
        b"-0000000001\0",
    ),
    *(b"\xff" * 10 + b"\xfc\0", b"9" * 12, b" " * 12, b"00000001000\0", b"00000000000\0"),
)
_FIELDS = ((0, 100, _NAMES), (124, 12, _NUMBERS), (157, 100, _NAMES), (345, 155, _NAMES))


def mutated(kind: str, rng: random.Random, contents: Mapping[str, bytes] | None = None) -> bytes:
    """Returns a damaged archive of this kind; default of its files: `CONTENTS`."""
    contents = contents or CONTENTS
    if kind == "zip":
        packed = bytearray(sample_files.zip_bytes(contents))
        if rng.random() < 0.5:
            _patch_zip(packed, rng)
            return bytes(packed)
        return mutations.mutated(bytes(packed), rng)
    format = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    tar = _tar(format, contents)
    where = rng.random()
    if where < 0.5:
        tar = _patch_headers(tar, rng)
    elif where < 0.75:
        tar = mutations.mutated(tar, rng)
    packed_tar = _PACKERS[kind](tar)
    return mutations.mutated(packed_tar, rng) if where >= 0.75 else packed_tar


def _tar(format: int, contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if format == tarfile.PAX_FORMAT:
                entry.pax_headers = {"comment": "of a member", "mtime": "1.5"}
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _patch_headers(tar: bytes, rng: random.Random) -> bytes:
    """Changes fields of headers, and their order and number; checksums stay valid."""
    blocks = [bytearray(tar[at : at + 512]) for at in range(0, len(tar), 512)]
    headers = [block for block in blocks if block[257:262] == b"ustar"]
    for _ in range(rng.randint(1, 3)):
        block = rng.choice(headers)
        if rng.random() < 0.3:
            block[156] = rng.choice(_TYPES)
        else:
            start, size, values = rng.choice(_FIELDS)
            block[start : start + size] = rng.choice(values)[:size].ljust(size, b"\0")
        if rng.random() < 0.9:
            block[148:156] = b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:512]))
    if rng.random() < 0.3:
        at, count = blocks.index(rng.choice(headers)), rng.choice((1, 2, 10, 3000))
        blocks[at:at] = [blocks[at]] * count
    if rng.random() < 0.2:
        text = rng.choice((b"9" * 5000, b"99999 path=", b"7 size=", b"12 path=/a/b\n", b"0 a=b\n"))
        at = rng.randrange(len(blocks))
        blocks[at][: len(text)] = text[:512]
    return b"".join(blocks)


def _patch_zip(packed: bytearray, rng: random.Random) -> None:
    """Changes fields of the central directory, of its end, and of the members' headers."""
    for _ in range(rng.randint(1, 3)):
        signature, size = rng.choice(
            ((b"PK\1\2", 46), (b"PK\1\2", 46), (b"PK\5\6", 22), (b"PK\3\4", 30))
        )
        places = [at for at in range(len(packed)) if packed.startswith(signature, at)]
        if not places:
            return
        at = rng.choice(places) + rng.randrange(4, size)
        new = rng.choice((b"\xff", b"\0", b"\1", b"\xff\xff", b"\xff" * 4, bytes(4), b"\x7f\xff"))
        packed[at : at + len(new)] = new
