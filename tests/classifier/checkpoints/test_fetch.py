"""`python -m classifier.checkpoints fetch`: from a published archive to a checkpoint path."""

import gzip
import subprocess
import sys

import pytest

from tests import source_tree
from tests.datasets import sample_files
from tests.datasets import test_hostile_archives as hostile
from tests.user_files import unchanged

COMMAND = [sys.executable, "-m", "classifier.checkpoints", "fetch"]


def fetch(*arguments, code=0):
    """Runs the command; returns its last line."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=source_tree.ROOT, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return (done.stdout if code == 0 else done.stderr).splitlines()[-1]


@pytest.mark.parametrize(
    "archive, members, checkpoint",
    [
        ("inception_v1_2016_08_28.tar.gz", ["inception_v1.ckpt"], "inception_v1.ckpt"),
        (
            "mobilenet_v2_1.0_224.tgz",
            ["./a.pb", "./m.ckpt.data-00000-of-00001", "./m.ckpt.index", "./m.ckpt.meta"],
            "m.ckpt",
        ),
    ],
)
def test_archive_is_unpacked_once(tmp_path, archive, members, checkpoint):
    (tmp_path / archive).write_bytes(sample_files.tar_bytes(dict.fromkeys(members, b"x")))
    stem = archive.removesuffix(".tar.gz").removesuffix(".tgz")
    (tmp_path / "out" / f"{stem}.part").mkdir(parents=True)
    (tmp_path / "out" / f"{stem}.part" / checkpoint).touch()
    path = str(tmp_path / "out" / stem / checkpoint)
    assert fetch(archive, tmp_path / "out", f"--source_dir={tmp_path}") == path
    (tmp_path / archive).unlink()
    assert fetch(archive, tmp_path / "out", f"--source_dir={tmp_path}") == path


def test_missing_archives_and_checkpoints_are_errors_of_one_line(tmp_path):
    message = fetch("inception_v9.tar.gz", f"--source_dir={tmp_path}", code=2)
    assert message.startswith("checkpoints fetch: name='inception_v9.tar.gz' is not known; did")
    message = fetch("inception_v1_2016_08_28.tar.gz", tmp_path, f"--source_dir={tmp_path}", code=2)
    assert "lacks files of inception_v1_2016_08_28: " in message
    archive = tmp_path / "inception_v1_2016_08_28.tar.gz"
    archive.write_bytes(sample_files.tar_bytes({"readme.txt": b"x"}))
    message = fetch(archive.name, tmp_path / "out", f"--source_dir={tmp_path}", code=1)
    assert message.endswith("out/inception_v1_2016_08_28 contains no .ckpt")


def test_hostile_archive_is_an_error_of_one_line_and_writes_no_checkpoint(tmp_path):
    archive = tmp_path / "inception_v1_2016_08_28.tar.gz"
    chain = hostile.TARS["chain of names"][0]
    for content in (
        sample_files.tar_bytes({"x.ckpt": b"x"}, "w") + chain,
        chain,
        sample_files.tar_bytes({}, "w")[:9],
    ):
        archive.write_bytes(gzip.compress(content))
        message = fetch(archive.name, tmp_path / "out", f"--source_dir={tmp_path}", code=1)
        assert message.startswith(f"checkpoints fetch: Archive {archive} is damaged (")
        assert not (tmp_path / "out" / "inception_v1_2016_08_28").exists()


ARCHIVE = "inception_v1_2016_08_28.tar.gz"


@pytest.mark.parametrize("name", ["thesis.tex", f"{ARCHIVE}.notes", "inception_v1/readme"])
def test_users_directory_is_an_error_and_stays_unchanged(tmp_path, name):
    source, home = tmp_path / "source", tmp_path / "home"
    source.mkdir()
    (source / ARCHIVE).write_bytes(sample_files.tar_bytes({"inception_v1.ckpt": b"x"}))
    (home / name).parent.mkdir(parents=True)
    (home / name).write_text("mine")
    with unchanged(tmp_path):
        message = fetch(ARCHIVE, home, f"--source_dir={source}", code=2)
    assert f"directory='{home}' holds files that slim did not create: " in message
    assert message.endswith("Use another directory, new or empty")


def test_files_of_an_earlier_version_are_kept(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / ARCHIVE).write_bytes(sample_files.tar_bytes({"inception_v1.ckpt": b"x"}))
    part = out / "inception_v1_2016_08_28.part"
    part.mkdir(parents=True)
    (part / "half").write_text("half")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "thesis").write_text("mine")
    (out / f"{ARCHIVE}.part").symlink_to(tmp_path / "elsewhere" / "thesis")
    with unchanged(tmp_path / "elsewhere"):
        fetch(ARCHIVE, out, f"--source_dir={source}")
    assert (part / "half").read_text() == "half"
    assert not [path for path in out.iterdir() if path.name.startswith(".saving-")]


def test_missing_and_extra_arguments_are_errors():
    assert "--name is required: Name of the checkpoint" in fetch(code=2)
    message = fetch("a.tar.gz", "out", "source", code=2)
    assert message.startswith("checkpoints fetch: Unexpected argument 'source'")
