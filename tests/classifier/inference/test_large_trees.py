"""A prediction of a large tree: every file has a row, and memory does not grow."""

import csv
import os
import pathlib
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from tests import image_modes, source_tree
from tests.classifier.export.test_formats import make_run
from tests.datasets import bombs, sample_files

COUNT, BROKEN = 2000, 40
MEGABYTE = 1 << 20


def large_files():
    """Returns files of all formats, of photographs' sizes: name -> bytes."""
    files = {}
    for number, (width, height) in enumerate([(640, 480), (500, 375), (320, 900)]):
        image = PIL.Image.fromarray(sample_files.photo(height, width, number))
        rgba = image.copy()
        rgba.putalpha(PIL.Image.linear_gradient("L").resize(image.size))
        exif = image_modes.exif(6)
        for format, mode in (
            ("JPEG", image), ("JPEG", image.convert("CMYK")), ("PNG", rgba), ("GIF", image),
            ("BMP", image.quantize(256)), ("WEBP", rgba), ("PNG", image.convert("L")),
        ):  # fmt: skip
            more = {"exif": exif} if format in ("JPEG", "WEBP") else {}
            suffix = f"{format.lower()}_{mode.mode}_{number}"
            files[suffix] = sample_files.encoded(mode, format, **more)
    return files


def broken_files():
    """Returns files that cannot be decoded, in twelve ways."""
    whole = {name: image_modes.FILES[f"{name} RGB"] for name in ("JPEG", "PNG", "GIF", "BMP")}
    whole["WEBP"] = image_modes.FILES["WEBP RGBA"]
    return {
        "empty": b"",
        "text": b"no image",
        "html": b"<html></html>",
        "tiff": b"II*\0" + bytes(60),
        "jpeg xl": b"\xff\x0a" + bytes(60),
        "header": whole["JPEG"][:40],
        "bomb": bombs.webp(bombs.lossless(16000, 16000)),
        **{f"truncated {name}": data[: len(data) // 2] for name, data in whole.items()},
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A tree with files in nested directories; some names are not UTF-8."""
    root = os.fsencode(tmp_path_factory.mktemp("tree"))
    good, bad = list(large_files().items()), list(broken_files().items())
    assert len(bad) == 12
    for number in range(COUNT):
        is_bad = number % (COUNT // BROKEN) == 7
        name, data = bad[number // 50 % len(bad)] if is_bad else good[number % len(good)]
        directory = os.path.join(root, b"%d" % (number % 7), b"%d" % (number % 3))
        os.makedirs(directory, exist_ok=True)
        ending = b"\xff\xe9" if number % 10 == 0 else b""
        path = os.path.join(directory, b"%d_%s%s" % (number, name.encode(), ending))
        pathlib.Path(os.fsdecode(path)).write_bytes(data)
    return os.fsdecode(root)


PROGRAM = """
import sys, time
from classifier.config.prediction import PredictConfig
from classifier.cli import flags
from classifier.inference import predict
from tests import memory
busy, prepared = [], predict._prepared
def timed(*arguments):
    start = time.perf_counter()
    try:
        return prepared(*arguments)
    finally:
        busy.append(time.perf_counter() - start)
predict._prepared = timed
start = time.perf_counter()
code = flags.main(PredictConfig, predict.run, "", ["predict", *sys.argv[1:]])
peak = memory.peak_kilobytes() * 1024
seconds = time.perf_counter() - start
print(peak, seconds, sum(busy) / seconds / 2, file=sys.stderr)
sys.exit(code)
"""


def run(run_directory, images, output):
    """Returns exit code, stderr's lines without the last, peak memory in bytes, and the rate with
    the fraction of the time in which both threads decode."""
    done = subprocess.run(
        [
            sys.executable,
            *("-c", PROGRAM),
            f"--checkpoint_path={run_directory}",
            f"--output_csv={output}",
            "--top_k=1",
            "--num_preprocessing_threads=2",
            images,
        ],
        cwd=source_tree.ROOT,
        capture_output=True,
        check=False,
        timeout=500,
    )
    *lines, last = done.stderr.decode().splitlines()
    peak, seconds, decoding = map(float, last.split())
    return done.returncode, lines, peak, f"{COUNT / seconds:.0f} images/s, decoding {decoding:.2f}"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_files(tree, tmp_path, capsys):
    run_directory = make_run(tmp_path / "run", decoding="upright")
    one = tmp_path / "one.png"
    PIL.Image.fromarray(np.zeros([8, 8], np.uint8)).save(one)
    code, lines, empty, _ = run(run_directory, str(one), tmp_path / "one.csv")
    assert code == 0, lines
    code, lines, peak, rate = run(run_directory, tree, tmp_path / "all.csv")
    with capsys.disabled():
        print(
            f"\n{rate}, {(peak - empty) / MEGABYTE:.0f} MB above an empty run of"
            f" {empty / MEGABYTE:.0f} MB"
        )
    assert code == 1
    assert f"{BROKEN} of {COUNT} images cannot be decoded" in lines[-1]
    with open(tmp_path / "all.csv", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    files = [os.path.join(at, name) for at, _, names in os.walk(tree) for name in names]
    assert sorted(row["file"] for row in rows) == sorted(files)
    assert sum(bool(row["problem"]) for row in rows) == BROKEN
    assert len({row["problem"] for row in rows}) >= 8  # the reasons differ
    assert peak - empty < 300 * MEGABYTE
