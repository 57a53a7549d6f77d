"""`predict_image_classifier.py` on files of every kind, in every format."""

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.config import options
from classifier.config.prediction import PredictConfig
from classifier.inference import answers, image_files, predictor
from classifier.inference import predict as predicting
from classifier.inference.answers import Answer
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from slim import _checks
from tests.classifier.export.test_formats import make_run
from tests.end_to_end import commands

NOT_UTF_8 = os.fsdecode(b"\xff.png")


@pytest.fixture
def files(tmp_path):
    """A tree of images: 5 of 28 x 28 pixels in three directories, and what is not an image."""
    root = tmp_path / "files"
    for number, name in enumerate(["b/c/1.png", "a/[1].jpg", "a/2.bmp", "3.gif", f"b/{NOT_UTF_8}"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, [28, 28], np.uint8)
        with open(path, "wb") as file:
            PIL.Image.fromarray(pixels).save(file, path.suffix[1:].replace("jpg", "jpeg"))
    for name in (".hidden.png", "a/Thumbs.db", "a/.git/x.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "a" / "again").symlink_to(root)
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("lenet"))


def find(files, *patterns, **options):
    paths = image_files.find([str(files / pattern) for pattern in patterns], **options)
    return [os.path.relpath(path, files) for path in paths]


def test_directories_are_searched_recursively(files):
    every = ["3.gif", "a/2.bmp", "a/[1].jpg", "b/c/1.png", f"b/{NOT_UTF_8}"]
    assert find(files, ".") == every
    assert find(files, "b", "a/2.bmp", ".") == [*every[3:], every[1], every[0], every[2]]


def test_patterns_and_files_with_brackets(files):
    assert find(files, "a/[1].jpg") == ["a/[1].jpg"]
    assert find(files, "*/[0-9].*") == ["a/2.bmp"]
    assert find(files, "[bc]") == ["b/c/1.png", f"b/{NOT_UTF_8}"]
    with pytest.raises(_checks.UserError, match=r"images='.*\*\.tif' matches no file"):
        find(files, "*.tif")


def test_lists_of_paths(files, tmp_path, monkeypatch):
    names = ["3.gif", "a/2.bmp"]
    (tmp_path / "list.txt").write_text("".join(f"{files / name}\r\n\n" for name in names))
    assert find(files, image_list=str(tmp_path / "list.txt")) == names
    text = os.fsencode(f"{files / 'b' / NOT_UTF_8}\n{files}/3.gif")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert image_files.find(["-"]) == [f"{files}/b/{NOT_UTF_8}", f"{files}/3.gif"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    with pytest.raises(_checks.UserError, match="standard input has no paths"):
        image_files.find(["-"])


GOOD = Answer("a b.png", [('tench, "T"', 0.75), ("é", 0.25)])
BAD = Answer("b.png", problem="cannot be read: x, y")


def test_formats():
    assert answers.as_text(GOOD) == 'a b.png: tench, "T" 0.7500, é 0.2500'
    assert answers.as_text(BAD) == "b.png: cannot be read: x, y"
    text = "\n".join([",".join(answers.COLUMNS), answers.as_csv(GOOD), answers.as_csv(BAD)])
    rows = [list(row.values()) for row in csv.DictReader(io.StringIO(text))]
    assert rows == [
        ["a b.png", "1", 'tench, "T"', "0.75", ""],
        ["a b.png", "2", "é", "0.25", ""],
        ["b.png", "", "", "", "cannot be read: x, y"],
    ]
    assert json.loads(answers.as_json(BAD)) == {"file": "b.png", "problem": "cannot be read: x, y"}
    assert json.loads(answers.as_json(GOOD))["classes"] == [
        {"class": 'tench, "T"', "probability": 0.75}, {"class": "é", "probability": 0.25}
    ]  # fmt: skip


def test_answers_are_in_the_order_of_the_paths(run, files):
    """Whatever the batch size and the number of threads, also around bad images."""
    (files / "text.png").write_text("no image")
    paths = [*image_files.find([str(files)]), str(files / "missing.png")]
    checkpoint = sources.open_checkpoint(str(run))
    classifier = predictor.of_checkpoint(InferenceModel(checkpoint.info, checkpoint))
    expected = dict(predicting.predict(classifier, paths, 1, threads=1))
    assert list(expected) == paths
    assert expected[str(files / "text.png")] == "is not a JPEG, PNG, GIF, BMP or WebP image"
    assert expected[paths[-1]] == "cannot be read: No such file or directory"
    for batch_size, threads in ((2, 3), (50, None)):
        actual = dict(predicting.predict(classifier, paths, batch_size, threads=threads))
        assert list(actual) == paths
        for path, row in expected.items():
            if isinstance(row, str):
                assert actual[path] == row
            else:
                np.testing.assert_allclose(actual[path].probabilities, row.probabilities, atol=1e-6)
                assert row.probabilities.sum() == pytest.approx(1)


def predict(run, *images, **flags):
    config = options.build(
        PredictConfig, checkpoint_path=str(run), images=tuple(map(str, images)), **flags
    )
    return predicting.run(config)


def test_each_bad_image_is_a_row_and_the_others_are_answered(run, files, tmp_path, capsys):
    (files / "bad.png").write_bytes(b"x")
    output = tmp_path / "new" / "table.csv"
    with pytest.raises(_checks.RunError, match=r"1 of 6 images cannot be decoded: .*bad\.png: is "):
        predict(run, files, output_csv=str(output), output_format="json", top_k=2)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    text = output.read_text(errors="surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 6
    assert len(rows) == 5 * 2 + 1
    assert [line["file"] for line in lines] == list(dict.fromkeys(row["file"] for row in rows))
    for line in lines:
        classes = [row["class"] for row in rows if row["file"] == line["file"]]
        assert classes == [each["class"] for each in line.get("classes", [{"class": ""}])]


@pytest.mark.parametrize("output_format", answers.FORMATS)
def test_output_formats_act(run, files, capsys, output_format):
    predict(run, files / "3.gif", output_format=output_format, top_k=1)
    lines = capsys.readouterr().out.splitlines()
    start = {
        "text": f"{files}/3.gif: digit ",
        "csv": f"{files}/3.gif,1,digit ",
        "json": '{"file": "',
    }
    assert lines[-1].startswith(start[output_format])
    assert len(lines) == 1 + (output_format == "csv")


def test_threads_act(run, files, monkeypatch):
    threads = []

    def spy(classifier, paths, batch_size, max_pixels, number, explain):
        threads.append(number)
        return iter(())

    monkeypatch.setattr(predicting, "predict", spy)
    predict(run, files, num_preprocessing_threads=3)
    assert threads == [3]


@pytest.mark.slow
def test_clones_answer_like_one(run, files, capsys):
    (files / "text.png").write_text("no image")
    for images, batch_size, number in ((files, 4, 6), (files / "3.gif", 32, 1)):
        with contextlib.suppress(_checks.RunError):
            predict(run, images, batch_size=batch_size, output_format="json")
        alone = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        flags = [f"--checkpoint_path={run}", f"--batch_size={batch_size}", "--output_format=json"]
        flags += ["--num_clones=3", "--split_cpu=3", "--clone_on_cpu", str(images)]
        command = commands.command("predict_image_classifier", *flags)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        together = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(together) == number
        for one, other in zip(alone, together, strict=True):
            assert one.keys() == other.keys()
            for a, b in zip(one.get("classes", ()), other.get("classes", ()), strict=True):
                assert a["class"] == b["class"]
                assert a["probability"] == pytest.approx(b["probability"], rel=1e-5)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"num_clones": 3, "batch_size": 2}, "num_clones=3 must be at most batch_size=2: each "),
        ({"num_clones": 2, "explain_dir": "x"}, "num_clones and explain_dir are mutually exclus"),
        ({"num_clones": 2, "neighbors": "x"}, "num_clones and neighbors are mutually exclusive"),
    ],
)
def test_what_clones_do_not_support_is_an_error(values, message):
    with pytest.raises(_checks.UserError, match=message):
        options.build(PredictConfig, checkpoint_path="run", images=("a",), **values)


def test_an_image_list_acts(run, files, tmp_path, capsys):
    (tmp_path / "list").write_text(f"{files}/3.gif\n{files}/3\0.gif\n")
    with pytest.raises(_checks.RunError, match="1 of 2 images cannot be decoded"):
        predict(run, image_list=str(tmp_path / "list"))
    assert "cannot be read: its path contains a NUL character" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP", "PNG", "JPEG", "CMYK"])
def test_one_channel_networks_read_every_format(run, kind):
    ramp = np.add.outer(np.arange(28), np.arange(28)) * 4
    pixels = np.repeat(ramp.astype(np.uint8)[..., np.newaxis], 3, axis=-1)
    image, file = PIL.Image.fromarray(pixels), io.BytesIO()
    if kind == "CMYK":
        image.convert("CMYK").save(file, "JPEG", quality=100)
    else:
        image.save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    info = sources.open_checkpoint(str(run)).info
    actual = preprocessing.encoded_image_fn(info, (28, 28))(tf.constant(file.getvalue()))
    expected = preprocessing.image_fn(info, (28, 28))(pixels[..., :1])
    tolerance = 0.05 if kind in ("JPEG", "CMYK") else 0.005  # of values in [-1, 1]
    np.testing.assert_allclose(actual, expected, atol=tolerance)


def test_a_terminal_has_the_lines_above_a_progress_bar_with_the_rate(
    run, files, capsys, monkeypatch
):
    monkeypatch.setenv("TERM", "xterm")
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    predict(run, files, top_k=1)
    captured = capsys.readouterr()
    assert captured.out.count(": digit ") == 5
    assert re.search(r"predict: 100%.*5/5 .*img/s\]", captured.err)
    # The bar is removed before each line, and drawn again below it.
    assert captured.err.count("\r") > 5
