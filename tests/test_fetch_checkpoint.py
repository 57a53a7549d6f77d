"""scripts/fetch_checkpoint.py: from an archive, in the layouts of the published ones, to a path."""

import gzip
import subprocess
import sys

import pytest

from tests import source_tree
from tests.datasets import archives_in_the_true_format as made
from tests.datasets import test_hostile_archives as hostile
from tests.user_files import unchanged

SCRIPT = source_tree.ROOT / "scripts" / "fetch_checkpoint.py"


def fetch(*arguments, code=0):
    """Runs the script; returns its last line."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return (done.stdout if code == 0 else done.stderr).splitlines()[-1]


@pytest.mark.parametrize(
    "archive, members, found",
    [
        ("inception_v1_2016_08_28.tar.gz", ["inception_v1.ckpt"], "inception_v1.ckpt"),
        (
            "mobilenet_v2_1.0_224.tgz",
            ["./a.pb", "./m.ckpt.data-00000-of-00001", "./m.ckpt.index", "./m.ckpt.meta"],
            "m.ckpt",
        ),
    ],
)
def test_a_checkpoint_is_unpacked_once(tmp_path, archive, members, found):
    (tmp_path / archive).write_bytes(made.tar_bytes(dict.fromkeys(members, b"x")))
    stem = archive.removesuffix(".tar.gz").removesuffix(".tgz")
    (tmp_path / "out" / f"{stem}.part").mkdir(parents=True)
    (tmp_path / "out" / f"{stem}.part" / found).touch()
    path = str(tmp_path / "out" / stem / found)
    assert fetch(archive, tmp_path / "out", tmp_path) == path
    (tmp_path / archive).unlink()
    assert fetch(archive, tmp_path / "out", tmp_path) == path


def test_what_is_missing_is_told_in_a_line(tmp_path):
    told = fetch("inception_v9.tar.gz", tmp_path, code=2)
    assert told.startswith("fetch_checkpoint.py: archive='inception_v9.tar.gz' is not known; did")
    told = fetch("inception_v1_2016_08_28.tar.gz", tmp_path, tmp_path, code=2)
    assert "inception_v1 cannot be made from source_dir=" in told
    archive = tmp_path / "inception_v1_2016_08_28.tar.gz"
    archive.write_bytes(made.tar_bytes({"readme.txt": b"x"}))
    told = fetch(archive.name, tmp_path / "out", tmp_path, code=1)
    assert told.endswith("out/inception_v1_2016_08_28 holds no .ckpt")


def test_a_hostile_archive_is_one_line_and_no_checkpoint(tmp_path):
    archive = tmp_path / "inception_v1_2016_08_28.tar.gz"
    chain = hostile.TARS["chain of names"][0]
    for content in (
        made.tar_bytes({"x.ckpt": b"x"}, "w") + chain,
        chain,
        made.tar_bytes({}, "w")[:9],
    ):
        archive.write_bytes(gzip.compress(content))
        told = fetch(archive.name, tmp_path / "out", tmp_path, code=1)
        assert told.startswith(f"fetch_checkpoint.py: Archive {archive} is damaged (")
        assert not (tmp_path / "out" / "inception_v1_2016_08_28").exists()


ARCHIVE = "inception_v1_2016_08_28.tar.gz"


@pytest.mark.parametrize("name", ["thesis.tex", f"{ARCHIVE}.notes", "inception_v1/readme"])
def test_a_folder_of_the_users_is_refused_and_unchanged(tmp_path, name):
    source, home = tmp_path / "source", tmp_path / "home"
    source.mkdir()
    (source / ARCHIVE).write_bytes(made.tar_bytes({"inception_v1.ckpt": b"x"}))
    (home / name).parent.mkdir(parents=True)
    (home / name).write_text("mine")
    with unchanged(tmp_path):
        told = fetch(ARCHIVE, home, source, code=2)
    assert f"folder='{home}' holds files that slim did not create: " in told
    assert told.endswith("Use another directory, new or empty")


def test_what_an_earlier_version_left_stays(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / ARCHIVE).write_bytes(made.tar_bytes({"inception_v1.ckpt": b"x"}))
    part = out / "inception_v1_2016_08_28.part"
    part.mkdir(parents=True)
    (part / "half").write_text("half")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "thesis").write_text("mine")
    (out / f"{ARCHIVE}.part").symlink_to(tmp_path / "elsewhere" / "thesis")
    with unchanged(tmp_path / "elsewhere"):
        fetch(ARCHIVE, out, source)
    assert (part / "half").read_text() == "half"
    assert not [path for path in out.iterdir() if path.name.startswith(".saving-")]


def test_arguments_are_explained():
    assert fetch("--help").startswith("taken from SOURCE_DIR")
    assert fetch("a.tar.gz", code=2).endswith("1 arguments; --help shows which are expected")
