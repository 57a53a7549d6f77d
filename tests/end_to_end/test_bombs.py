"""Datasets with images that are expensive to decode: each is named, and costs little."""

import csv
import itertools
import json
import os
import re
import subprocess
import sys
from typing import NamedTuple

import commands
import pytest

from datasets import dataset_info, tfrecords
from tests.classifier import toys
from tests.datasets import bombs

MAX_MEGABYTES = 200  # more than without the bombs
SECONDS_PER_BOMB = 1  # of all cores

# Runs a script and writes its peak memory in kB and its CPU time. Linux counts the memory of the
# parent process in `ru_maxrss`.
MEASURED = """
import atexit, json, runpy, sys, time
def report():
    with open("/proc/self/status") as status, open(target, "w") as file:
        (line,) = [line for line in status if line.startswith("VmHWM")]
        json.dump([int(line.split()[1]), time.process_time()], file)
atexit.register(report)
_, target, *sys.argv = sys.argv
runpy.run_path(sys.argv[0], run_name="__main__")
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc"),
]


class Finished(NamedTuple):
    """The exit code, stdout and last line of stderr of a script, peak MB, and CPU seconds."""

    code: int
    out: str
    error: str
    megabytes: float
    seconds: float


def run(target, script, *flags):
    _, *command = commands.command(script, *flags)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(target), *command],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    kilobytes, seconds = json.loads(target.read_text())
    last = done.stderr.splitlines()[-1] if done.returncode else ""
    return Finished(done.returncode, done.stdout, last, kilobytes / 1000, seconds)


def bad_images():
    """Returns name -> image and reason."""
    rejected = bombs.rejected()
    image, reason = rejected["segments.jpg"]
    huge = bombs.with_segments(65533, 1_600)
    return (
        rejected
        | {f"segments{number}.jpg": (image, reason) for number in range(6)}
        | {"huge.jpg": (huge, reason.replace(str(len(image)), str(len(huge))))}
    )


def write(directory, bad):
    """Writes a split of 60 images and the bad ones between them."""
    directory.mkdir()
    good = {f"{number}.png": toys.png(number, 28) for number in range(60)}
    names = [x for pair in itertools.zip_longest(good, bad) for x in pair if x is not None]
    images = good | {name: image for name, (image, _) in bad.items()}
    split = tfrecords.write_split(
        [tfrecords.ImageRecord(images[name], "x", 28, 28, 0, name) for name in names],
        dataset_dir=str(directory),
        dataset_name="folder",
        split_name="train",
        num_classes=2,
        num_shards=3,
    )
    info = dataset_info.DatasetInfo("folder", ("a", "b"), 3, {"train": split})
    dataset_info.write(info, str(directory))
    return directory


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Directories of the dataset without and with bad images."""
    directory = tmp_path_factory.mktemp("data")
    return write(directory / "clean", {}), write(directory / "bad", bad_images())


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The run directories and scripts of two runs that skip bad images, on the two datasets."""
    directory = tmp_path_factory.mktemp("runs")
    results = []
    for place in data:
        flags = commands.train_flags(
            directory / place.name,
            place,
            15,  # more than an epoch
            dataset_name="folder",
            batch_size=8,
            eval_every_steps=10,
            eval_split_name="train",
            on_bad_image="skip",
            max_bad_fraction=0.5,
        )
        finished = run(directory / f"{place.name}.json", "train_image_classifier", *flags)
        assert finished.code == 0, finished.error
        results.append((directory / place.name, finished))
    return results


def check_cost(clean, bad):
    print(f"peak {clean.megabytes:.0f} -> {bad.megabytes:.0f} MB", end=", ")
    print(f"CPU {clean.seconds:.1f} -> {bad.seconds:.1f} s")
    assert bad.megabytes - clean.megabytes < MAX_MEGABYTES
    assert bad.seconds - clean.seconds < len(bad_images()) * SECONDS_PER_BOMB


def test_verify(data, tmp_path):
    clean, bad = (
        run(
            tmp_path / "cost",
            "download_and_convert_data",
            "--dataset_name=verify",
            f"--dataset_dir={directory}",
        )
        for directory in data
    )
    assert clean.code == 0, clean.error
    assert bad.code == 1
    reasons = sorted(reason for _, reason in bad_images().values())
    assert sorted(re.findall(r"record \d+: the image (.*)", bad.out)) == reasons
    assert f"has {len(reasons)} problem(s)" in bad.error
    check_cost(clean, bad)


def test_training_and_its_evaluation_skip_them(trained):
    (_, clean), (train_dir, bad) = trained
    expected = bad_images()
    with open(train_dir / "bad_files.csv", encoding="utf-8", newline="") as file:
        rows = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert rows.keys() == expected.keys()
    for name, (image, reason) in expected.items():
        assert rows[name].startswith(f"{len(image)} bytes ")
        assert rows[name].endswith(f"; {reason}")
    assert bad.out.count(f" (60 of {60 + len(expected)} images)") == 2
    assert bad.out.count("skipped image in evaluation: Cannot decode image") == len(expected)
    check_cost(clean, bad)


def test_training_stops_before_the_first_step(data, trained, tmp_path):
    flags = commands.train_flags(tmp_path / "run", data[1], 15, dataset_name="folder")
    refused = run(tmp_path / "cost", "train_image_classifier", *flags)
    assert refused.code == 1
    assert re.search(
        r"Cannot decode image '.*' \(folder_train-0000.-of-00003.tfrecord, record \d+\): \d+ bytes"
        r" .*; has \d+ bytes, but an image of",
        refused.error,
    )
    assert "global step" not in refused.out
    check_cost(trained[0][1], refused)


def test_evaluation_stops(data, trained, tmp_path):
    clean, bad = (
        run(
            tmp_path / "cost",
            "eval_image_classifier",
            f"--checkpoint_path={trained[0][0]}",
            f"--dataset_dir={directory}",
            "--dataset_name=folder",
            "--dataset_split_name=train",
            f"--eval_dir={tmp_path / 'eval'}",
        )
        for directory in data
    )
    assert clean.code == 0, clean.error
    assert bad.code == 1
    assert re.search(r"Cannot decode image .*; has \d+ bytes, but an image of", bad.error)
    check_cost(clean, bad)
