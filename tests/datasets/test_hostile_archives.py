"""Archives designed to hang, exhaust memory or confuse: each is a prompt error. No TensorFlow."""

import gzip
import io
import lzma
import os
import resource
import struct
import subprocess
import sys
import tarfile
import textwrap
import zipfile
import zlib

import pytest

from datasets import archive_checks, archive_streams, archives
from slim import _checks
from tests import source_tree
from tests.datasets import sample_files

LIMITS = archives.Limits(members=1000, bytes=1_000_000_000)
END = bytes(1024)


def header(name="x", size=0, kind=tarfile.REGTYPE):
    """Returns a tar header; a negative or large size in base 256, as GNU tar writes it."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    block[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(block[:148]) + bytes(block[148:]))[0]
    return bytes(block)


def with_content(block, content):
    return block + content + bytes(-len(content) % 512)


def pax(content, kind=tarfile.XHDTYPE, size=None):
    size = len(content) if size is None else size
    return with_content(header("pax", size, kind), content)


def record(keyword, value):
    rest = b" " + keyword + b"=" + value + b"\n"
    size = len(rest) + len(str(len(rest)))
    size += len(str(size)) - len(str(len(rest)))
    return b"%d" % size + rest


def long_name(name, kind=tarfile.GNUTYPE_LONGNAME):
    return with_content(header("././@LongLink", len(name) + 1, kind), name + b"\0")


A = with_content(header("a", 1), b"a")
TARS = {
    "digits": (pax(b"9" * 200_000) + A, "b'9999.*' in an extended header is not a size"),
    "digits of a size": (
        pax(record(b"size", b"9" * 5000)) + A,
        "b'9999.*' in an extended header is not a size",
    ),
    "superscript": (pax(record(b"size", "²".encode())) + A, "in an extended header is not a size"),
    "minus": (pax(record(b"size", b"-1024")) + A, "b'-1024' in an extended header is not a size"),
    "underscore": (pax(b"1_0 path=b\n") + A, "b'1_0' in an extended header is not a size"),
    "length of nothing": (pax(b"0 path=b\n") + A, "a damaged record b'' in an extended header"),
    "length beyond": (pax(b"99 path=b\n") + A, "a damaged record b'99 path=b.n' in an extended"),
    "no keyword": (pax(b"5 =b\n") + A, "a damaged record"),
    "large header": (
        pax(b"", size=900_000_000),
        "an extended header of 900000000 bytes at byte 512, more than 1048576",
    ),
    "large name": (
        header("././@LongLink", 1 << 40, tarfile.GNUTYPE_LONGNAME),
        "an extended header of 1099511627776 bytes",
    ),
    "negative header": (pax(b"", size=-512), "an extended header of -512 bytes"),
    "chain of links": (
        long_name(b"x", tarfile.GNUTYPE_LONGLINK) * 2000 + A,
        "more than 8 extended headers in a row at byte 8704",
    ),
    "chain of names": (long_name(b"x") * 2000 + A, "more than 8 extended headers in a row"),
    "chain of globals": (pax(b"", tarfile.XGLTYPE) * 2000 + A, "more than 8 extended headers in"),
    "negative size": (header("a", -1024) + A, "member 'a' has the size -1024"),
    "huge size": (header("a", 1 << 80) + A, "it holds more than 1000000000 bytes"),
    "size beyond": (header("a", 1 << 20) + A, "it is truncated|member 'a' is truncated"),
    "long component": (
        long_name(b"n" * 300) + A,
        "member 'nnn.*[.]{3}': its name is longer than 255 bytes",
    ),
    "long path": (long_name(b"n" * 5000) + A, "its path is longer than 4095 bytes"),
    "long path in UTF-8": (
        pax(record(b"path", "ü/".encode() * 1500)) + A,
        "its path is longer than 4095 bytes",
    ),
    "deep": (
        long_name(b"d/" * 1000 + b"x") + A,
        "member 'd/d/.*': its path has more than 32 levels",
    ),
    "deeper": (long_name(b"d/" * 3000 + b"x") + A, "its path is longer than 4095 bytes"),
    "path out": (pax(record(b"path", b"../evil")) + A, "its path leads outside the archive"),
    "global path out": (
        pax(record(b"path", b"/evil"), tarfile.XGLTYPE) + A,
        "its path is absolute",
    ),
    "zero in a path": (pax(record(b"path", b"a\0b")) + A, "a backslash or a control character"),
    "not UTF-8": (long_name(b"\xe4") + A, r"member '\\udce4': its name is not UTF-8"),
    "sparse": (
        pax(record(b"GNU.sparse.major", b"1")) + A,
        "member 'a': it is neither a regular file nor a directory",
    ),
    "file and directory": (
        A + with_content(header("a/b", 1), b"b"),
        "'a/b': a part of its path is a",
    ),
    "directory and file": (
        with_content(header("b/c", 1), b"c") + with_content(header("b", 1), b"b"),
        "member 'b': it occurs twice",
    ),
    "damaged header": (A + b"7" * 512, "bad checksum in the header at byte 1024"),
    "something at the end": (A + bytes(512) + A, "data after the end of the archive"),
}


def assert_rejected(tmp_path, content, expected, limits=LIMITS):
    """Asserts that the archive is rejected in one short line, and no other files are written."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(_checks.RunError, match=expected) as caught:
        archives.extract(str(tmp_path / "x"), str(tmp_path / "out"), limits)
    message = str(caught.value)
    assert message.startswith(f"Archive {tmp_path}/x is ")
    assert message.isprintable()
    assert len(message) < 500
    assert set(os.listdir(tmp_path)) <= {"x", "out"}


@pytest.mark.parametrize("kind", TARS)
def test_malformed_tar_is_rejected(tmp_path, kind):
    content, expected = TARS[kind]
    assert_rejected(tmp_path, content + END, expected)
    compressed = tmp_path / "compressed"
    compressed.mkdir()
    assert_rejected(compressed, gzip.compress(content + END, 1), expected)


@pytest.mark.parametrize("kind", [kind for kind in TARS if kind != "file and directory"])
def test_malformed_tar_is_rejected_when_listed(tmp_path, kind):
    content, expected = TARS[kind]
    (tmp_path / "x").write_bytes(content + END)
    if kind == "directory and file":
        assert [each.name for each in archives.list_tar(str(tmp_path / "x"), LIMITS)] == [
            "b/c",
            "b",
        ]
        return
    with pytest.raises(_checks.RunError, match=expected):
        archives.list_tar(str(tmp_path / "x"), LIMITS)


@pytest.mark.parametrize("length", [0, 100, 512, 1000, 1024, 1100])
@pytest.mark.parametrize("opening", ["w", "w:gz", "w:xz", "w:bz2"])
def test_truncated_tar_is_reported(tmp_path, length, opening):
    import bz2

    packing = {"w": bytes, "w:gz": gzip.compress, "w:xz": lzma.compress, "w:bz2": bz2.compress}
    assert_rejected(
        tmp_path, packing[opening](A[:length] if length < 1025 else A + A[:76]), "is truncated"
    )


def test_extended_headers_of_real_archives_are_supported(tmp_path):
    name = "d/" + "n" * 200
    content = (
        pax(record(b"comment", b"c"), tarfile.XGLTYPE)
        + pax(record(b"path", b"b/" + b"m" * 120) + record(b"size", b"1") + bytes(3))
        + with_content(header("truncated", 0), b"b")
        + long_name(b"of a link", tarfile.GNUTYPE_LONGLINK)
        + long_name(name.encode())
        + A
        + header("d", 512, tarfile.DIRTYPE)
    )
    (tmp_path / "x").write_bytes(content + END + bytes(10240))
    assert archives.read_all(str(tmp_path / "x"), LIMITS) == {"b/" + "m" * 120: b"b", name: b"a"}


def test_xz_supports_several_streams_and_limits_memory(tmp_path, monkeypatch):
    tar = A + END
    packed = lzma.compress(tar[:700], preset=0) + bytes(8) + lzma.compress(tar[700:], preset=0)
    (tmp_path / "x").write_bytes(packed)
    assert archives.read_all(str(tmp_path / "x"), LIMITS) == {"a": b"a"}
    monkeypatch.setattr(archive_streams, "_XZ_MEMORY", 100_000)
    assert_rejected(tmp_path, packed, "Memory usage limit exceeded")


@pytest.mark.parametrize("opening", ["w:gz", "w:xz", "w:bz2"])
def test_wrong_checksum_of_compressed_data_is_reported(tmp_path, opening):
    packed = bytearray(sample_files.tar_bytes({"a": bytes(range(256)) * 500}, opening))
    packed[-5 if opening == "w:gz" else len(packed) // 2] ^= 1
    assert_rejected(tmp_path, bytes(packed), "is damaged .*Download it again")


@pytest.mark.parametrize("opening", ["w:gz", "w:xz", "w:bz2"])
def test_implausible_compression_ratio_is_rejected(tmp_path, opening):
    packed = sample_files.tar_bytes({"zeros": bytes(20_000_000)}, opening)
    assert_rejected(tmp_path, packed, "is rejected: it expands to more than 200 times its size")


def test_member_above_its_size_limit_is_rejected(tmp_path):
    limits = archives.Limits(10, 1000, member_bytes=10)
    for packed in (
        sample_files.tar_bytes({"a": bytes(11)}),
        sample_files.zip_bytes({"a": bytes(11)}),
    ):
        assert_rejected(tmp_path, packed, "member 'a': it has 11 bytes, more than 10", limits)


def test_total_length_of_names_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_checks, "_MAX_NAME_BYTES", 250)
    assert_rejected(
        tmp_path,
        sample_files.tar_bytes({"n" * 200: b"", "m" * 200: b""}),
        "the names have more than",
    )


def test_path_that_is_not_a_regular_file_is_reported_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", ".", "missing"):
        for read in (archives.read_all, archives.list_tar, archives.list_zip):
            with pytest.raises(_checks.RunError, match="cannot be read: (not a regular|No such)"):
                read(str(tmp_path / name), LIMITS)


# ---- zip -----------------------------------------------------------------------------------------


def patched(entries, places, comment=b""):
    """Returns a zip with bytes of its central directory or its end replaced.

    places: (b"PK\\1\\2" or b"PK\\5\\6", offset from there, bytes).
    """
    buffer = io.BytesIO(sample_files.zip_bytes(entries))
    if comment:
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.comment = comment
    packed = bytearray(buffer.getvalue())
    for signature, offset, new in places:
        at = packed.index(signature) + offset
        packed[at : at + len(new)] = new
    return bytes(packed)


ENTRY, LAST = b"PK\1\2", b"PK\5\6"
ZIPS = {
    "bad UTF-8": (patched({"ü": b"x"}, [(ENTRY, 46, b"\xff\xfe")]), "is damaged .*utf-8"),
    "method": (patched({"a": b"x"}, [(ENTRY, 10, b"\x63\0")]), "compression method 99 is not sup"),
    "lzma": (patched({"a": b"x"}, [(ENTRY, 10, b"\x0e\0")]), "compression method 14 is not supp"),
    "encrypted": (patched({"a": b"x"}, [(ENTRY, 8, b"\1")]), "member 'a': it is encrypted"),
    "size 0": (patched({"a": b"x"}, [(ENTRY, 24, bytes(4))]), "its size is 0, but its checksum is"),
    "size of less": (patched({"a": b"xyz"}, [(ENTRY, 24, b"\1")]), "member 'a': Bad CRC-32"),
    "size of more": (patched({"a": b"xyz"}, [(ENTRY, 24, b"\x09")]), "member 'a': it is truncated"),
    "huge size": (patched({"a": b"x"}, [(ENTRY, 24, b"\xfe" * 4)]), "holds more than 1000000000 b"),
    "checksum": (patched({"a": b"x"}, [(ENTRY, 16, bytes(4))]), "member 'a': Bad CRC-32"),
    "other name": (patched({"a": b"x"}, [(ENTRY, 46, b"b")]), "member 'b': File name in directory"),
    "offset of a member": (
        patched({"a": b"x"}, [(ENTRY, 42, b"\xff\xff\xff\x7f")]),
        "is damaged .member 'a': ",
    ),
    "offset of the directory": (patched({"a": b"x"}, [(LAST, 16, b"\xff" * 3)]), "is damaged"),
    "size of the directory": (patched({"a": b"x"}, [(LAST, 12, b"\xff" * 4)]), "is damaged"),
    "extra field": (
        patched({"a": b"x", "b": b"y"}, [(ENTRY, 32, b"\xff\xff")]),
        "is damaged .only 1 of 2 entries of its central directory are readable",
    ),
    "twice": (
        patched([("a", b"1"), ("./a", b"2")], []),
        "member 'a': it occurs twice",
    ),
    "file and directory": (
        patched([("a", b"1"), ("a/b", b"2")], []),
        "a part of its path is a file",
    ),
    "long": (patched({"n" * 300: b"1"}, []), "its name is longer than 255 bytes"),
    "deep": (patched({"d/" * 1000 + "x": b"1"}, []), "its path has more than 32 levels"),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_malformed_zip_is_rejected(tmp_path, kind):
    assert_rejected(tmp_path, *ZIPS[kind])


def test_zip_with_a_comment_is_readable(tmp_path):
    (tmp_path / "x").write_bytes(patched({"a": b"x"}, [], comment=b"PK\1\2 c" * 1000))
    assert archives.read_all(str(tmp_path / "x"), LIMITS) == {"a": b"x"}


def central_directory(count, entries):
    entry = struct.pack("<4s6H3I5H2I", ENTRY, *([0] * 6), *([0] * 3), 1, *([0] * 4), 0, 0) + b"x"
    size = count * len(entry)
    last = struct.pack("<4s4H2IH", LAST, 0, 0, entries, entries, size, 4, 0)
    return b"PK\3\4" + entry * count + last


@pytest.mark.parametrize("count", [1001, 1_000_000])
def test_central_directory_with_undeclared_entries_is_rejected(tmp_path, count):
    expected = "it has more than 1000 members|its central directory has 47000000 bytes"
    assert_rejected(tmp_path, central_directory(count, entries=1), expected)


# ---- time and memory -----------------------------------------------------------------------------


def members_by_the_thousand():
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    parts = [packer.compress(pax(b"", size=300 << 20))]
    parts += [packer.compress(block) for _ in range(300)]
    return b"".join([*parts, packer.flush()])


def test_memory_is_bounded_for_hostile_archives(tmp_path):
    (tmp_path / "pax.tar.gz").write_bytes(members_by_the_thousand())
    (tmp_path / "entries.zip").write_bytes(central_directory(1_000_000, entries=1))
    (tmp_path / "digits.tar").write_bytes(pax(b"9" * 200_000) + A + END)
    (tmp_path / "links.tar").write_bytes(TARS["chain of links"][0])
    code = """
        import sys
        from datasets import archive_checks, archive_streams, archives
        from slim import _checks
        from tests import memory
        before = memory.peak_kilobytes()
        for path in sys.argv[1:]:
            try:
                archives.extract(path, path + ".out", archives.Limits(1000, 1 << 32))
            except _checks.RunError as error:
                print(error)
        print((memory.peak_kilobytes() - before) >> 10)
    """
    paths = sorted(str(path) for path in tmp_path.iterdir())
    completed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *paths],
        cwd=source_tree.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (30, 30)),
    )
    *errors, megabytes = completed.stdout.splitlines()
    assert len(errors) == len(paths), completed.stderr
    assert int(megabytes) < 100
