"""scripts/fetch_checkpoint.py: from an archive, in the layouts of the published ones, to a path."""

import subprocess
import sys

import pytest

from tests import source_tree
from tests.datasets import archives_in_the_true_format as made

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


def test_arguments_are_explained():
    assert fetch("--help").startswith("taken from SOURCE_DIR")
    assert fetch("a.tar.gz", code=2).endswith("1 arguments; --help shows which are expected")
