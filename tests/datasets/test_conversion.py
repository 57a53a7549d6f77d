"""Conversions that are killed, disturbed or out of disk space resume, or leave nothing."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from datasets import (
    conversion,
    conversion_journal,
    conversion_shards,
    dataset_info,
    download_and_convert,
    folder,
    images,
    local_images,
    sources,
    tfrecords,
    workers,
)
from slim import _checks, _ownership
from tests.datasets import image_folder, sample_files

COUNT = 40


@pytest.fixture
def source(tmp_path):
    directory = tmp_path / "src"
    image_folder.write(
        str(directory),
        {f"{'ab'[n % 2]}/{n:02d}.jpg": sample_files.jpeg(8, 9, n) for n in range(COUNT)},
    )
    return str(directory)


def plan(source, shards=8, **fields):
    items = [
        conversion.Item(
            sources.FileSource(os.path.join(source, "ab"[n % 2], f"{n:02d}.jpg")), n % 2, f"{n:02d}"
        )
        for n in range(COUNT)
    ]
    settings = {
        "name": "toy",
        "classes": ("a", "b"),
        "num_channels": 3,
        "splits": {
            "train": conversion.Split(
                items=items,
                shard_name="toy_train-{shard:05d}-of-{count:05d}.tfrecord",
                num_shards=shards,
            )
        },
        "inputs": conversion.inputs_of(item.source.path for item in items),
    }
    return conversion.Plan(**(settings | fields))


def convert(source, out, shards=8, fields=None, **options):
    with conversion.work_directory(str(out)) as work:
        toy_plan = plan(source, shards, **(fields or {}))
        return conversion.run(toy_plan, str(out), work, num_workers=0, **options)


def dying_at(monkeypatch, number):
    """Makes the conversion fail at a shard; returns a list to which names of shards are added."""
    written, write = [], tfrecords.write_shard

    def write_shard(path, records):
        if len(written) == number:
            raise KeyboardInterrupt
        written.append(os.path.basename(path))
        return write(path, records)

    monkeypatch.setattr(tfrecords, "write_shard", write_shard)
    return written


def interrupted(source, out, monkeypatch, after=5, **options):
    with monkeypatch.context() as patch:
        dying_at(patch, after)
        with pytest.raises(KeyboardInterrupt):
            convert(source, out, **options)


def shards_written(source, out, monkeypatch, **options):
    with monkeypatch.context() as patch:
        written = dying_at(patch, None)
        convert(source, out, **options)
    return written


def test_interrupted_conversion_leaves_only_the_work_directory(source, tmp_path, monkeypatch):
    interrupted(source, tmp_path / "out", monkeypatch)
    assert sorted(os.listdir(tmp_path / "out")) == [_ownership.MARK, conversion.WORK]
    convert(source, tmp_path / "out")
    assert len(os.listdir(tmp_path / "out")) == 8 + 3


def test_resumed_conversion_keeps_finished_shards(source, tmp_path, monkeypatch):
    uninterrupted = convert(source, tmp_path / "uninterrupted")
    interrupted(source, tmp_path / "out", monkeypatch, after=5)
    written = shards_written(source, tmp_path / "out", monkeypatch)
    assert written == [tfrecords.shard_name("toy", "train", n, 8) for n in (5, 6, 7)]
    assert dataset_info.read(str(tmp_path / "out")) == dataset_info.read(
        str(tmp_path / "uninterrupted")
    )
    assert dataset_info.read(str(tmp_path / "out")) == uninterrupted


@pytest.fixture
def small_pieces(monkeypatch):
    """Writes each image to a piece of its own."""
    monkeypatch.setattr(conversion_shards, "_PIECE_SECONDS", -1)


def files_in(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("damage", [None, "piece"])
def test_an_interruption_loses_a_piece_of_a_shard(
    source, tmp_path, monkeypatch, small_pieces, damage
):
    for name in ("a/02.jpg", "b/39.jpg"):
        with open(os.path.join(source, name), "wb"):
            pass
    convert(source, tmp_path / "uninterrupted", shards=2, on_bad_image="skip")
    with monkeypatch.context() as patch:
        dying_at(patch, 27)
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "out", shards=2, on_bad_image="skip")
    work = tmp_path / "out" / conversion.WORK
    pieces = sorted(work.glob("*.piece-*"))
    assert len(pieces) == 7, "those of the first shard are joined and removed"
    if damage:
        pieces[4].write_bytes(pieces[4].read_bytes()[:-1])
    prepared = []
    prepare = workers.prepare_image
    monkeypatch.setattr(workers, "prepare_image", lambda *a: prepared.append(a) or prepare(*a))
    convert(source, tmp_path / "out", shards=2, on_bad_image="skip")
    assert len(prepared) == COUNT - (24 if damage else 27)
    assert files_in(tmp_path / "out") == files_in(tmp_path / "uninterrupted")


def test_bad_images_of_pieces_are_remembered(source, tmp_path, monkeypatch, small_pieces):
    with open(os.path.join(source, "a", "02.jpg"), "wb"):
        pass
    interrupted(source, tmp_path / "out", monkeypatch, after=4)
    with pytest.raises(_checks.UserError, match=r"1 of 40 files cannot be used(.|\n)*02\.jpg"):
        convert(source, tmp_path / "out")


@pytest.mark.parametrize("times", [3])
def test_conversion_resumes_after_several_interruptions(source, tmp_path, monkeypatch, times):
    for _ in range(times):
        interrupted(source, tmp_path / "out", monkeypatch, after=2)
    assert len(shards_written(source, tmp_path / "out", monkeypatch)) == 2


@pytest.mark.parametrize(
    "change",
    ["image", "shards", "classes", "max_pixels"],
)
def test_changed_input_or_option_starts_over(source, tmp_path, monkeypatch, change):
    interrupted(source, tmp_path / "out", monkeypatch)
    options = {}
    if change == "image":
        path = os.path.join(source, "a", "00.jpg")
        os.utime(path, (1, 1))
    elif change == "shards":
        options["shards"] = 9
    elif change == "classes":
        options["fields"] = {"classes": ("a", "c")}
    else:
        options["max_pixels"] = 1000
    written = shards_written(source, tmp_path / "out", monkeypatch, **options)
    assert len(written) == options.get("shards", 8)


@pytest.mark.parametrize("damage", ["truncated", "missing", "flipped"])
def test_damaged_shard_is_written_again_on_resume(source, tmp_path, monkeypatch, damage):
    interrupted(source, tmp_path / "out", monkeypatch)
    path = tmp_path / "out" / conversion.WORK / tfrecords.shard_name("toy", "train", 1, 8)
    if damage == "missing":
        os.remove(path)
    elif damage == "truncated":
        os.truncate(path, 10)
    else:
        content = bytearray(path.read_bytes())
        content[30] ^= 1
        path.write_bytes(bytes(content))
    written = shards_written(source, tmp_path / "out", monkeypatch)
    assert written == [tfrecords.shard_name("toy", "train", n, 8) for n in (1, 5, 6, 7)]
    assert dataset_info.is_complete(str(tmp_path / "out"))


def test_truncated_journal_line_is_ignored(source, tmp_path, monkeypatch):
    interrupted(source, tmp_path / "out", monkeypatch, after=3)
    journal = tmp_path / "out" / conversion.WORK / "journal.jsonl"
    text = journal.read_text()
    journal.write_text(text[:-20])
    interrupted(source, tmp_path / "out", monkeypatch, after=2)
    lines = journal.read_text().splitlines()
    assert [json.loads(line)["file"][10:15] for line in lines[1:]] == [
        f"{number:05d}" for number in range(4)
    ]
    journal.write_text("")
    assert len(shards_written(source, tmp_path / "out", monkeypatch)) == 8


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], "{", *lines[2:]],
        lambda lines: [lines[0], lines[1].replace('"per_class": [', '"per_class": [0, '), lines[2]],
        lambda lines: [lines[0], lines[1].replace('"file": "', '"file": "../'), lines[2]],
        lambda lines: [lines[0], lines[1].replace('"bad": []', '"bad": 3'), lines[2]],
        lambda lines: [lines[0], lines[1].replace('"fingerprints": "', '"fingerprints": "00'), ""],
        lambda lines: [lines[0], re.sub('(ints": "..)..', r"\1zz", lines[1]), lines[2]],
        lambda lines: [lines[0], "null", lines[2]],
        lambda lines: [f"[{lines[0]}]", *lines[1:]],
        lambda lines: ["\xff", *lines[1:]],
    ],
)
def test_damaged_journal_is_read_up_to_the_damage(source, tmp_path, monkeypatch, damage):
    interrupted(source, tmp_path / "out", monkeypatch, after=3)
    journal = tmp_path / "out" / conversion.WORK / "journal.jsonl"
    lines = damage(journal.read_text().splitlines())
    journal.write_text("\n".join([*lines, ""]), "latin-1")
    assert len(shards_written(source, tmp_path / "out", monkeypatch)) == 8
    assert dataset_info.is_complete(str(tmp_path / "out"))


def test_journal_that_is_not_a_regular_file_is_rejected(tmp_path):
    os.mkfifo(tmp_path / "journal.jsonl")
    with pytest.raises(_checks.UserError, match=r"journal.jsonl cannot be used: not .*Remove"):
        conversion_journal.Journal(str(tmp_path), "fingerprint", 2)


def test_resumed_conversion_remembers_bad_files(source, tmp_path, monkeypatch):
    path = os.path.join(source, "a", "02.jpg")
    with open(path, "wb"):
        pass
    interrupted(source, tmp_path / "out", monkeypatch, on_bad_image="skip")
    info = convert(source, tmp_path / "out", on_bad_image="skip")
    assert info.num_bad_files == 1
    assert path in (tmp_path / "out" / "bad_files.csv").read_text()
    assert info.splits["train"].per_class == (19, 20)


def test_resumed_conversion_remembers_the_fingerprints(source, tmp_path, monkeypatch):
    shutil.copy(os.path.join(source, "a", "02.jpg"), os.path.join(source, "b", "39.jpg"))
    expected = convert(source, tmp_path / "uninterrupted").warnings
    interrupted(source, tmp_path / "out", monkeypatch)
    assert convert(source, tmp_path / "out").warnings == expected
    (line,) = [line for line in expected if line.startswith("1 pair of equal images in different")]
    assert "'02' (train, a)" in line
    assert "'39' (train, b)" in line


def test_no_shard_is_written_after_a_bad_file(source, tmp_path, monkeypatch):
    for name in ("a/02.jpg", "b/39.jpg"):
        with open(os.path.join(source, name), "wb"):
            pass
    written = dying_at(monkeypatch, None)
    with pytest.raises(_checks.UserError, match="2 of 40 files cannot be used"):
        convert(source, tmp_path / "out")
    assert len(written) == 1, "the other images are only checked"
    assert sorted(os.listdir(tmp_path / "out")) == [_ownership.MARK, "bad_files.csv"]


def test_concurrent_conversion_is_rejected(source, tmp_path):
    with conversion.work_directory(str(tmp_path / "out")) as work:
        assert conversion_journal.LOCK in os.listdir(work)
        with pytest.raises(_checks.UserError, match="Another conversion is running in .*. Wait"):
            convert(source, tmp_path / "out")


def test_error_of_write_shard_leaves_no_dataset(source, tmp_path, monkeypatch):
    def full(path, records):
        next(iter(records))
        raise _checks.RunError(f"{path} could not be written: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr(tfrecords, "write_shard", full)
    with pytest.raises(_checks.RunError, match="could not be written: No space left on device"):
        convert(source, tmp_path / "out")
    assert not dataset_info.is_complete(str(tmp_path / "out"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_full_file_system_is_one_line(source, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", small])
    if mounted.returncode:
        pytest.skip("no mount here")
    try:
        with pytest.raises(_checks.RunError, match="could not be written: .*") as caught:
            download_and_convert.run(
                "folder", str(small / "out"), lambda line: None, source_dir=source
            )
        assert "\n" not in str(caught.value)
        assert not dataset_info.is_complete(str(small / "out"))
    finally:
        subprocess.run(["umount", small], check=True)


# ---- processes -----------------------------------------------------------------------------------


def items(source):
    return [
        conversion.Item(sources.FileSource(os.path.join(source, "ab"[n % 2], f"{n:02d}.jpg")), 0)
        for n in range(COUNT)
    ]


def test_workers_keep_order_and_reasons(source):
    with open(os.path.join(source, "b", "07.jpg"), "wb"):
        pass
    several = items(source) * 10
    with workers.prepared(several, images.Rules(), 2) as results:
        with_workers = list(results)
    with workers.prepared(several, images.Rules(), 0) as results:
        assert with_workers == list(results)
    assert len(with_workers) == len(several)
    assert [n for n, result in enumerate(with_workers) if isinstance(result, str)] == list(
        range(7, len(several), COUNT)
    )


class Deadly(sources.FileSource):
    """An image that kills the process that reads it."""

    __slots__ = ()

    def read(self):
        os._exit(3)


@pytest.mark.slow
def test_worker_death_is_reported(source):
    several = [*items(source), conversion.Item(Deadly("x"), 0)]
    with pytest.raises(_checks.RunError, match="A worker process died"):
        with workers.prepared(several, images.Rules(), 1) as results:
            list(results)


def test_few_images_start_no_process(source, monkeypatch):
    def none(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(workers.concurrent.futures, "ProcessPoolExecutor", none)
    with workers.prepared(items(source), images.Rules()) as results:
        assert len(list(results)) == COUNT


def test_workers_load_no_tensorflow():
    code = (
        "import sys; from datasets import conversion_journal, workers;"
        " assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


KILLED = """
import sys
from datasets import folder, local_images, workers

if __name__ == "__main__":
    workers._MIN_FOR_WORKERS = 1
    local_images.SHARD_BYTES = 4000
    folder.convert(sys.argv[1], source_dir=sys.argv[2])
"""


def children(pid):
    completed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(line) for line in completed.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pgrep") is None, reason="needs pgrep")
def test_conversion_after_sigkill_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    source, out = str(tmp_path / "src"), tmp_path / "out"
    image_folder.write(
        source, {f"{'ab'[n % 2]}/{n}.jpg": sample_files.jpeg(120, 160, n) for n in range(600)}
    )
    script = tmp_path / "convert.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(
        [sys.executable, str(script), str(out), source],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    journal = out / conversion.WORK / "journal.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.exists() and len(journal.read_text().splitlines()) > 5):
        assert process.poll() is None, "it ended too early to be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    helpers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert helpers
    assert not dataset_info.is_complete(str(out))
    lines = journal.read_text().split("\n")[1:-1]
    finished = [line for line in lines if ".piece-" not in line]

    monkeypatch.setattr(local_images, "SHARD_BYTES", 4000)
    written = dying_at(monkeypatch, None)
    info = folder.convert(str(out), source_dir=source)
    total = sum(len(split.shards) for split in info.splits.values())
    assert len(written) == total - len(finished), finished[-1]
    assert sum(split.num_samples for split in info.splits.values()) == 600
    assert info == folder.convert(str(tmp_path / "uninterrupted"), source_dir=source)
    while any(os.path.exists(f"/proc/{helper}") for helper in helpers):
        assert time.monotonic() < deadline, "its workers are still running"
        time.sleep(0.05)
