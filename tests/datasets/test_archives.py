"""Archives: good ones are extracted completely, hostile ones rejected. No TensorFlow."""

import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest

from datasets import archives
from slim import _checks
from tests.datasets import sample_files

LIMITS = archives.Limits(members=100, bytes=1_000_000)
GOOD = {"top/a.txt": b"alpha", "top/sub/ü b.bin": bytes(range(256)) * 300, "top/empty": b""}


def written(tmp_path, content, name="x.tar"):
    (tmp_path / name).write_bytes(content)
    return str(tmp_path / name)


def extract(tmp_path, content, limits=LIMITS):
    return archives.extract(written(tmp_path, content), str(tmp_path / "out" / "deep"), limits)


def everything_in(tmp_path):
    return sorted(
        os.path.relpath(os.path.join(root, name), tmp_path)
        for root, _, names in os.walk(tmp_path)
        for name in names
    )


PACKED = {
    "tar": sample_files.tar_bytes(GOOD, "w"),
    "tgz": sample_files.tar_bytes(GOOD, "w:gz"),
    "xz": sample_files.tar_bytes(GOOD, "w:xz"),
    "bz2": sample_files.tar_bytes(GOOD, "w:bz2"),
    "pax": sample_files.tar_bytes({"./" + name: content for name, content in GOOD.items()}),
    "zip": sample_files.zip_bytes(GOOD | {"top/": b""}),
}


@pytest.mark.parametrize("kind", PACKED)
def test_extract_and_read_all_return_every_file(tmp_path, kind):
    assert sorted(extract(tmp_path, PACKED[kind])) == sorted(GOOD)
    for name, content in GOOD.items():
        assert (tmp_path / "out" / "deep" / name).read_bytes() == content
    assert archives.read_all(str(tmp_path / "x.tar"), LIMITS) == GOOD


def test_extract_never_overwrites_a_file(tmp_path):
    (tmp_path / "out" / "deep" / "top").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "top" / "a.txt").write_text("mine")
    with pytest.raises(_checks.RunError, match="member 'top/a.txt': it occurs twice"):
        extract(tmp_path, PACKED["tgz"])
    assert (tmp_path / "out" / "deep" / "top" / "a.txt").read_text() == "mine"


def info(name, **fields):
    entry = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


HOSTILE = {
    "up": (info("../evil"), "'../evil': its path leads outside the archive"),
    "up inside": (info("a/../../evil"), "leads outside the archive"),
    "absolute": (info("/tmp/evil"), "'/tmp/evil': its path is absolute"),
    "drive": (info("c:evil"), "its path is absolute"),
    "backslash": (info("a\\..\\evil"), "a backslash or a control character"),
    "nothing": (info("./"), "a backslash or a control character"),
    "newline": (info("a\nb"), "a backslash or a control character"),
    "folder up": (info("../up", type=tarfile.DIRTYPE), "member '../up': its path leads outside"),
    "symlink": (
        info("evil", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "'evil': it is a link to '/etc/passwd'",
    ),
    "hardlink": (info("evil", type=tarfile.LNKTYPE, linkname="a.txt"), "it is a link to 'a.txt'"),
    "device": (info("evil", type=tarfile.CHRTYPE), "'evil': it is a device"),
    "block device": (info("evil", type=tarfile.BLKTYPE), "it is a device"),
    "pipe": (info("evil", type=tarfile.FIFOTYPE), "it is a device"),
    "sparse": (info("evil", type=tarfile.GNUTYPE_SPARSE), "neither a regular file nor a directory"),
    "unknown": (info("evil", type=b"Z"), "neither a regular file nor a directory"),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_hostile_tar_member_is_rejected(tmp_path, kind, mode):
    entry, expected = HOSTILE[kind]
    content = b"" if entry.type != tarfile.REGTYPE else b"evil"
    packed = sample_files.tar_bytes([("good.txt", b"good"), (entry, content)], mode)
    if kind == "unknown":  # tarfile treats unknown types as regular files
        entry.type = b"V"
        packed = sample_files.tar_bytes([("good.txt", b"good"), (entry, b"")], mode)
    with pytest.raises(_checks.RunError, match=expected) as caught:
        extract(tmp_path, packed)
    assert "is not the expected one" in str(caught.value)
    assert set(everything_in(tmp_path)) <= {"x.tar", "out/deep/good.txt"}
    with pytest.raises(_checks.RunError, match=expected):
        archives.read_all(str(tmp_path / "x.tar"), LIMITS)
    if mode == "w":
        with pytest.raises(_checks.RunError, match=expected):
            archives.list_tar(str(tmp_path / "x.tar"), LIMITS)


def zip_info(name, mode=0o100644):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


@pytest.mark.parametrize(
    "entry, expected",
    [
        (zip_info("../evil"), "leads outside the archive"),
        (zip_info("/evil"), "its path is absolute"),
        (zip_info("evil", stat.S_IFLNK | 0o777), "'evil': it is a link"),
        (zip_info("evil", stat.S_IFCHR | 0o666), "'evil': it is a device"),
    ],
)
def test_hostile_zip_member_is_rejected(tmp_path, entry, expected):
    packed = sample_files.zip_bytes([("good.txt", b"good"), (entry, b"x")])
    with pytest.raises(_checks.RunError, match=expected):
        extract(tmp_path, packed)
    with pytest.raises(_checks.RunError, match=expected):
        archives.list_zip(str(tmp_path / "x.tar"), LIMITS)
    assert set(everything_in(tmp_path)) <= {"x.tar"}


def test_encrypted_zip_is_rejected(tmp_path):
    packed = bytearray(sample_files.zip_bytes({"a": b"x"}))
    directory = packed.index(b"PK\x01\x02")
    packed[directory + 8] |= 1
    with pytest.raises(_checks.RunError, match="member 'a': it is encrypted"):
        extract(tmp_path, bytes(packed))


def test_repeated_member_name_is_rejected(tmp_path):
    packed = sample_files.tar_bytes([("a", b"1"), ("./a", b"2")])
    with pytest.raises(_checks.RunError, match="member 'a': it occurs twice"):
        extract(tmp_path, packed)
    with pytest.raises(_checks.RunError, match="member 'a': it occurs twice"):
        archives.read_all(str(tmp_path / "x.tar"), LIMITS)


def many_members(count):
    block = b"".join(info(f"{number:08d}").tobuf() for number in range(1000))
    blocks = io.BytesIO()
    with gzip.open(blocks, "wb", compresslevel=1) as file:
        for _ in range(count // 1000):
            file.write(block)
    return blocks.getvalue()


def test_tar_with_100_000_members_is_rejected(tmp_path):
    with pytest.raises(_checks.RunError, match="is rejected: it has more than 100 members"):
        archives.read_all(written(tmp_path, many_members(100_000)), LIMITS)


@pytest.mark.slow
def test_zip_and_uncompressed_tar_with_100_000_members_are_rejected(tmp_path):
    path = written(tmp_path, gzip.decompress(many_members(100_000)))
    for read in (archives.read_all, archives.list_tar):
        with pytest.raises(_checks.RunError, match="is rejected: it has more than 100 members"):
            read(path, LIMITS)
    path = written(
        tmp_path, sample_files.zip_bytes({f"{number}": b"" for number in range(100_000)})
    )
    for read in (archives.read_all, archives.list_zip):
        with pytest.raises(_checks.RunError, match="is rejected: it has more than 100 members"):
            read(path, LIMITS)


def test_zip_and_uncompressed_tar_with_too_many_members_are_rejected(tmp_path):
    names = {f"{number}": b"" for number in range(101)}
    with pytest.raises(_checks.RunError, match="it has more than 100 members"):
        extract(tmp_path, sample_files.zip_bytes(names))
    with pytest.raises(_checks.RunError, match="it has more than 100 members"):
        archives.list_tar(written(tmp_path, sample_files.tar_bytes(names, "w")), LIMITS)


def test_decompression_bomb_stops_at_the_size_limit(tmp_path):
    zeros = bytes(20_000_000)
    for packed in (
        sample_files.tar_bytes({"zeros": zeros}),
        sample_files.zip_bytes({"zeros": zeros}),
    ):
        assert len(packed) < 50_000
        with pytest.raises(_checks.RunError, match="it holds more than 1000000 bytes"):
            archives.extract(written(tmp_path, packed), str(tmp_path / f"out{len(packed)}"), LIMITS)
    sizes = [os.path.getsize(tmp_path / name) for name in everything_in(tmp_path)]
    assert max(sizes) <= 1_000_001


def test_large_extended_header_is_rejected(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info("x", pax_headers={"comment": "x" * 20_000_000}))
    with pytest.raises(_checks.RunError, match="an extended header of 20000018 bytes at byte 512"):
        archives.read_all(written(tmp_path, buffer.getvalue()), LIMITS)


def test_total_size_of_all_members_is_limited(tmp_path):
    parts = {f"{number}": bytes(400_000) for number in range(3)}
    for packed in (sample_files.tar_bytes(parts), sample_files.zip_bytes(parts)):
        with pytest.raises(_checks.RunError, match="it holds more than 1000000 bytes"):
            archives.read_all(written(tmp_path, packed), LIMITS)
    with pytest.raises(_checks.RunError, match="it holds more than 1000000 bytes"):
        archives.list_zip(str(tmp_path / "x.tar"), LIMITS)
    with pytest.raises(_checks.RunError, match="it holds more than 1000000 bytes"):
        archives.list_tar(written(tmp_path, sample_files.tar_bytes(parts, "w")), LIMITS)


@pytest.mark.parametrize("kind", ["tgz", "zip"])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9])
def test_truncated_archive_is_reported_as_damaged(tmp_path, kind, fraction):
    packed = PACKED[kind]
    with pytest.raises(_checks.RunError, match="is damaged .*Download it again"):
        extract(tmp_path, packed[: int(len(packed) * fraction)])


def test_overwritten_bytes_are_reported_as_damage(tmp_path):
    packed = bytearray(PACKED["zip"])
    packed[60:80] = bytes(20)
    with pytest.raises(_checks.RunError, match="is damaged"):
        extract(tmp_path, bytes(packed))
    packed = bytearray(PACKED["tgz"])
    packed[60:80] = bytes(20)
    with pytest.raises(_checks.RunError, match="is damaged"):
        extract(tmp_path, bytes(packed))
    with pytest.raises(_checks.RunError, match="is damaged"):
        archives.list_zip(written(tmp_path, b"PK\x03\x04"), LIMITS)


# ---- ranges in a tar -----------------------------------------------------------------------------


def test_list_tar_lists_a_tar_inside_a_tar(tmp_path):
    inner = sample_files.tar_bytes(GOOD, "w")
    outer = sample_files.tar_bytes({"n01.tar": inner, "other.txt": b"other"}, "w")
    path = written(tmp_path, outer)
    members = archives.list_tar(path, LIMITS)
    assert [member.name for member in members] == ["n01.tar", "other.txt"]
    inner_members = archives.list_tar(path, LIMITS, within=members[0])
    assert {m.name: outer[m.offset : m.offset + m.size] for m in inner_members} == GOOD


def test_list_tar_rejects_compressed_tars(tmp_path):
    with pytest.raises(_checks.RunError, match="is damaged"):
        archives.list_tar(written(tmp_path, PACKED["tgz"]), LIMITS)


def test_list_zip_returns_all_names(tmp_path):
    assert sorted(archives.list_zip(written(tmp_path, PACKED["zip"]), LIMITS)) == sorted(GOOD)


def test_gunzip_checks_target_size_and_damage(tmp_path):
    path = written(tmp_path, gzip.compress(b"x" * 1000), "x.gz")
    archives.gunzip(path, str(tmp_path / "x"), 1000)
    assert (tmp_path / "x").read_bytes() == b"x" * 1000
    with pytest.raises(_checks.RunError, match="it already exists"):
        archives.gunzip(path, str(tmp_path / "x"), 1000)
    with pytest.raises(_checks.RunError, match="it holds more than 999 bytes"):
        archives.gunzip(path, str(tmp_path / "y"), 999)
    path = written(tmp_path, gzip.compress(b"x" * 1000)[:-9], "z.gz")
    with pytest.raises(_checks.RunError, match="is damaged"):
        archives.gunzip(path, str(tmp_path / "z"), 1000)


def test_extract_without_disk_space_is_one_line(tmp_path, monkeypatch):
    class File(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives._files, "create_exclusive", lambda path: File())
    with pytest.raises(_checks.RunError, match="could not be written: No space left on device"):
        extract(tmp_path, PACKED["tgz"])
    monkeypatch.undo()
    (tmp_path / "file").touch()
    with pytest.raises(_checks.RunError, match="/file/a could not be written|a part of its path"):
        archives.extract(str(tmp_path / "x.tar"), str(tmp_path / "file"), LIMITS)
