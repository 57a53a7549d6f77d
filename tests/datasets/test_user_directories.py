"""Conversion into a user's directory is rejected and changes no byte of it."""

import os
import shutil

import pytest

from datasets import (
    conversion,
    conversion_journal,
    dataset_factory,
    dataset_info,
    digits,
    download,
    download_and_convert,
    folder,
    tfrecords,
)
from slim import _checks, _ownership
from tests.datasets import image_folder, sample_files
from tests.user_files import unchanged

NAMES = (
    "downloads/thesis.pdf",
    "conversion.partial/journal.jsonl",
    "conversion.partial/lock",
    "labels.txt",
    "bad_files.csv",
    "dataset_info.json",
    "samples/0_zero.png",
    "digits_train-00000-of-00002.tfrecord",
    "folder_train-00000-of-00001.tfrecord",
    "chapter.incomplete",
    ".saving-abcd1234/lock",
    ".saving-abcd1234/thesis",
    ".bashrc",
)


def quiet(line):
    pass


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "images"
    image_folder.write(
        str(path), {f"{'ab'[n % 2]}/{n:02d}.jpg": sample_files.jpeg(8, 9, n) for n in range(6)}
    )
    return str(path)


def convert(name, out, source):
    options = {"source_dir": source} if name == "folder" else {}
    return download_and_convert.convert(name, str(out), quiet, **options)


def user_files(home, names):
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"my {name}")
    return home


@pytest.mark.parametrize("dataset", ["digits", "folder"])
@pytest.mark.parametrize("name", [None, *NAMES])
def test_user_directory_is_rejected_and_unchanged(tmp_path, source, dataset, name):
    home = user_files(tmp_path / "home", NAMES if name is None else [name])
    with unchanged(tmp_path), pytest.raises(_checks.UserError) as caught:
        convert(dataset, home, source)
    message = str(caught.value)
    assert "\n" not in message
    assert "holds files that slim did not create: " in message
    assert message.endswith("Use another directory, new or empty")


@pytest.mark.parametrize("kind", ["directory", "link", "file", "FIFO"])
@pytest.mark.parametrize("name", [conversion.WORK, conversion.DOWNLOADS])
def test_user_work_directory_is_rejected(tmp_path, source, name, kind):
    out = tmp_path / "out"
    convert("folder", out, source)
    os.remove(out / "folder_train-00000-of-00001.tfrecord")  # so that the dataset is incomplete
    elsewhere = user_files(tmp_path / "elsewhere", ["thesis", "lock", "journal.jsonl"])
    path = out / name
    {"directory": lambda: shutil.copytree(elsewhere, path),
     "link": lambda: path.symlink_to(elsewhere),
     "file": lambda: path.write_text("mine"), "FIFO": lambda: os.mkfifo(path)}[kind]()  # fmt: skip
    if name == conversion.WORK:
        message = "conversion.partial .* was not created by slim. Move it away"
        with unchanged(tmp_path), pytest.raises(_checks.UserError, match=message):
            convert("folder", out, source)
    else:
        file = download.RemoteFile("a.zip", ("http://127.0.0.1:9/a.zip",))
        message = "downloads .* was not created by slim. Move it away"
        with unchanged(tmp_path), pytest.raises(_checks.UserError, match=message):
            conversion.fetch("toy", [file], str(out), None)
        convert("folder", out, source)  # needs no downloads, so it leaves them alone
        assert os.path.lexists(path)
        assert len(os.listdir(elsewhere)) == 3


@pytest.mark.parametrize("kind", ["link", "dangling link", "FIFO", "directory"])
def test_lock_that_is_not_a_regular_file_is_rejected(tmp_path, source, kind):
    out = tmp_path / "out"
    tfrecords.prepare_directory(str(out))
    _ownership.work_directory(str(out / conversion.WORK), "conversion")
    (tmp_path / "mine").write_text("mine")
    path = out / conversion.WORK / conversion_journal.LOCK
    {"link": lambda: path.symlink_to(tmp_path / "mine"),
     "dangling link": lambda: path.symlink_to("x"),
     "FIFO": lambda: os.mkfifo(path), "directory": path.mkdir}[kind]()  # fmt: skip
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="cannot be used as a lock"):
        convert("folder", out, source)


@pytest.mark.parametrize(
    "name",
    ["labels.txt", "dataset_info.json", "bad_files.csv", "folder_train-00000-of-00001.tfrecord"],
)
def test_link_with_the_name_of_an_output_is_rejected_before_the_work(tmp_path, source, name):
    out = tmp_path / "out"
    convert("folder", out, source)
    (tmp_path / "mine").write_text("mine")
    (out / name).unlink(missing_ok=True)
    (out / "folder_validation-00000-of-00001.tfrecord").unlink()
    (out / name).symlink_to(tmp_path / "mine")
    with pytest.raises(_checks.UserError, match=f"{name} is a link, not a regular file. Move it"):
        convert("folder", out, source)
    assert (tmp_path / "mine").read_text() == "mine"
    assert (out / name).is_symlink()


@pytest.mark.parametrize(
    "name, kind",
    [("samples", "a link"), ("samples/0_zero.png", "a link"), ("labels.txt", "a link")],
)
def test_digits_do_not_follow_links(tmp_path, name, kind):
    elsewhere = user_files(tmp_path / "elsewhere", ["0_zero.png"])
    out = tmp_path / "out"
    tfrecords.prepare_directory(str(out))
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).symlink_to(elsewhere if name == "samples" else elsewhere / "0_zero.png")
    with unchanged(elsewhere), pytest.raises(_checks.UserError, match=f"{name} is {kind}"):
        digits.convert(str(out))


def test_dataset_dir_may_be_a_link(tmp_path, source):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    convert("folder", tmp_path / "out", source)
    assert dataset_info.is_complete(str(tmp_path / "disk"))


@pytest.mark.parametrize("out", ["", "a", "a/new", "..", "../link", "../link/new"])
def test_dataset_dir_overlapping_source_dir_is_rejected(tmp_path, source, out):
    (tmp_path / "link").symlink_to(source)
    target = os.path.join(source, out)
    message = "dataset_dir='.*' is (the same as|inside|above) source_dir='.*'. Use a separate"
    for converter in (
        lambda: convert("folder", target, source),
        lambda: folder.convert(target, source_dir=source),
    ):
        with unchanged(tmp_path), pytest.raises(_checks.UserError, match=message):
            converter()


def test_dataset_dir_inside_the_archive_directory_is_rejected(tmp_path):
    with unchanged(tmp_path), pytest.raises(_checks.UserError, match="is inside source_dir="):
        download_and_convert.convert(
            "mnist", str(tmp_path / "out"), quiet, source_dir=str(tmp_path)
        )


def test_dataset_of_an_earlier_version_is_recognized_and_marked(tmp_path, source):
    out = tmp_path / "out"
    convert("folder", out, source)
    (out / _ownership.MARK).unlink()
    (out / "notes.txt").write_text("mine")
    with unchanged(out):
        convert("folder", out, source)  # complete: only read
    (out / "labels.txt").unlink()
    convert("folder", out, source)
    assert dataset_info.is_complete(str(out))
    assert _ownership.read_own_mark(str(out), "dataset")
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "info",
    [
        None,
        *(pytest.param(info, marks=pytest.mark.slow) for info in ("{}", '{"name": "digits"}')),
        "[]",
    ],
)
def test_records_of_another_program_are_readable_but_not_replaced(tmp_path, source, info):
    out = tmp_path / "out"
    convert("digits", out, source)
    (out / _ownership.MARK).unlink()
    (out / "dataset_info.json").unlink()
    if info is None:
        assert dataset_factory.get_dataset("digits", "train", str(out)).num_samples == 1437
        (out / "dataset_info.json").unlink(missing_ok=True)  # counts kept for the next time
    else:
        (out / "dataset_info.json").write_text(info)
    with unchanged(out), pytest.raises(_checks.UserError, match="holds files that slim did not"):
        convert("digits", out, source)


def test_user_csv_named_bad_files_is_not_removed(tmp_path, source):
    out = tmp_path / "out"
    convert("folder", out, source)
    (out / "labels.txt").unlink()
    (out / "bad_files.csv").write_text("name,reason\nmine,bad\n")
    convert("folder", out, source)
    assert (out / "bad_files.csv").read_text() == "name,reason\nmine,bad\n"


def test_train_dir_as_dataset_dir_is_rejected(tmp_path, source):
    _ownership.claim(str(tmp_path / "run"), "run")
    with pytest.raises(_checks.UserError, match="holds a training run, not a dataset"):
        convert("digits", tmp_path / "run", source)


def test_user_files_in_downloads_are_kept(tmp_path):
    content = b"\x1f\x8b" + bytes(100)
    out = tmp_path / "out"
    tfrecords.prepare_directory(str(out))
    with sample_files.served({"/a.gz": content}) as server:
        file = download.RemoteFile("a.gz", (f"{server.url}/a.gz",))
        conversion.fetch("toy", [file], str(out), None)
    (out / "downloads" / "b.gz").write_text("mine")
    _ownership.remove(str(out / "downloads"), "downloads")
    assert sorted(os.listdir(out / "downloads")) == [_ownership.MARK, "b.gz"]
