"""Thousands of damaged images and shards: no crash, no hang, no silent loss.

Each worker is a process, so that a crash in native code is a failure that names its file.
"""

import collections
import json
import os
import struct
import subprocess
import sys

import pytest

from datasets import images, verify
from tests import source_tree
from tests.datasets import fuzz_local_images, mutations

WORKERS = 2
MODULES = {
    "archives": "fuzz_archives",
    "lists": "fuzz_local_images",
    "names": "fuzz_local_images",
    "in place": "fuzz_local_images",
}


def fuzz(what, count, directory, first, workers):
    """Returns outcome -> number of files, and the failures, for `count` mutated files."""
    parts = []
    for number in range(workers):
        start, end = (first + count * (number + step) // workers for step in (0, 1))
        worker_directory = directory / f"worker{number}"
        worker_directory.mkdir()
        module = MODULES.get(what, "fuzz_worker")
        command = [sys.executable, "-m", f"tests.datasets.{module}", what]
        with (
            open(worker_directory / "stdout", "wb") as stdout,
            open(worker_directory / "stderr", "wb") as stderr,
        ):
            process = subprocess.Popen(
                [*command, str(start), str(end - start), str(worker_directory)],
                cwd=source_tree.ROOT,
                stdout=stdout,
                stderr=stderr,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        parts.append((process, worker_directory))
    outcomes, failures = collections.Counter(), []
    for process, worker_directory in parts:
        if process.wait() != 0:
            tried = (worker_directory / "trying.txt").read_text()
            errors = (worker_directory / "stderr").read_text(errors="replace")[-3000:]
            failures.append(
                f"exit {process.returncode} at {tried}, in {worker_directory}:\n{errors}"
            )
            continue
        report = json.loads((worker_directory / "stdout").read_text().splitlines()[-1])
        outcomes.update(report["outcomes"])
        failures += report["failures"]
    return outcomes, failures


def check(what, count, directory, first, workers=WORKERS):
    outcomes, failures = fuzz(what, count, directory, first, workers)
    assert not failures, f"{len(failures)} of {count}:\n" + "\n".join(failures[:20])
    assert sum(outcomes.values()) == count, "each file has one outcome"
    return outcomes


def test_50_damaged_images(tmp_path):
    check("images", 50, tmp_path, first=1_000_000, workers=1)


@pytest.mark.slow
def test_10_000_damaged_images(tmp_path):
    outcomes = check("images", 10_000, tmp_path, first=0)
    assert set(outcomes) == {"accepted", "rejected"}
    assert min(outcomes.values()) > 500, "the damages are neither all fatal nor all harmless"


@pytest.mark.slow
def test_10_000_damaged_images_in_training(tmp_path):
    outcomes = check("training", 10_000, tmp_path, first=0)
    assert set(outcomes) == {"used", "skipped"}
    assert min(outcomes.values()) > 500


@pytest.mark.slow
def test_2_000_damaged_shards(tmp_path):
    outcomes = check("shards", 2_000, tmp_path, first=0)
    assert set(outcomes) <= {"intact", "rejected"}
    assert outcomes["rejected"] > 1_000


def test_100_damaged_archives(tmp_path):
    check("archives", 100, tmp_path, first=1_000_000, workers=1)


@pytest.mark.slow
def test_2_000_damaged_archives(tmp_path):
    outcomes = check("archives", 2_000, tmp_path, first=0)
    assert set(outcomes) == {"accepted", "rejected"}
    assert min(outcomes.values()) > 100, "the damages are neither all fatal nor all harmless"


@pytest.mark.parametrize("what", ["lists", "names", "in place"])
def test_damaged_lists_and_archives_in_place(tmp_path, what):
    for number in range(1_000_000, 1_000_020):
        assert fuzz_local_images.attempt(what, number, str(tmp_path))[1] == ""


@pytest.mark.slow
@pytest.mark.parametrize("what, count", [("lists", 2_000), ("names", 1_000), ("in place", 2_000)])
def test_5_000_damaged_lists_and_archives_in_place(tmp_path, what, count):
    outcomes = check(what, count, tmp_path, first=0)
    assert set(outcomes) == {"accepted", "rejected"}
    assert min(outcomes.values()) > count // 20, "the damages are neither all fatal nor harmless"


@pytest.mark.slow
def test_5_000_damaged_images_in_predict_and_the_saved_model(tmp_path):
    outcomes = check("serving", 5_000, tmp_path, first=0)
    assert set(outcomes) == {"classified", "rejected"}
    assert min(outcomes.values()) > 500


def test_reference_parser_of_shards_matches_tensorflow(tmp_path):
    import tensorflow as tf

    records = [b"", b"a", bytes(range(256)) * 3]
    with tf.io.TFRecordWriter(str(tmp_path / "shard")) as writer:
        for record in records:
            writer.write(record)
    content = (tmp_path / "shard").read_bytes()
    assert content == mutations.join_records(records)
    assert mutations.split_records(content) == records
    assert mutations.split_records(content[:-1]) is None
    assert mutations.split_records(content[:30] + b"x" + content[31:]) is None


def test_regressions_from_fuzzing(tmp_path):
    samples = mutations.small_images()
    png = bytearray(samples["gray.png"])
    with pytest.raises(images.BadImage, match="cannot be decoded: it ends before the last chunk"):
        images.prepare(bytes(png[:-12]))
    png[-13] ^= 1  # the checksum of the pixels
    with pytest.raises(images.BadImage, match="the checksum of its chunk b'IDAT' is wrong"):
        images.prepare(bytes(png))
    jpeg = samples["gray.jpg"]
    assert images.prepare(jpeg).encoded == jpeg
    assert images.prepare(jpeg[:-2] + bytes(20)).encoded != jpeg, (
        "without an end marker: re-encoded"
    )

    size = struct.pack("<Q", 1 << 40)
    path = tmp_path / "shard"
    path.write_bytes(mutations.join_records([b"x"]) + size + mutations.masked_crc(size) + bytes(9))
    shard = verify.read_shard(str(path), num_classes=2)
    assert shard.num_records == 1
    assert "is truncated inside record 1, or is not a TFRecord file" in shard.problems[0]
