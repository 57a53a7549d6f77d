"""Datasets of TFDS, made here by its own machinery and without a network."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from classifier import flags
from classifier.config.conversion import DataConfig
from datasets import (
    conversion,
    dataset_factory,
    dataset_info,
    download_and_convert,
    from_tfds,
    verify,
)
from slim import _checks
from tests import source_tree
from tests.datasets import archives_in_the_true_format as made

CLASSES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def tfds():
    return pytest.importorskip("tensorflow_datasets", reason="the extra 'tfds' is not installed")


@pytest.fixture(scope="module")
def data_dir(tfds, tmp_path_factory):
    """A folder in which two datasets of TFDS are prepared; their code is gone afterwards."""
    folder = tmp_path_factory.mktemp("tensorflow_datasets")

    class Base(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(12, 0),
                "test": self._generate_examples(5, 100),
                "hidden": self._generate_examples(3, 200),
            }

    class TinyPictures(Base, skip_registration=True):
        name = "tiny_pictures"

        def _info(self):
            label = tfds.features.ClassLabel(names=list(CLASSES))
            image = tfds.features.Image(shape=(None, None, 3))
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features, citation="@us")

        def _generate_examples(self, count, first):
            for number in range(first, first + count):
                label = -1 if first == 200 else number % 3
                kind = ("JPEG", "PNG")[number % 2]
                picture = made.encoded(PIL.Image.fromarray(made.photo(20, 24, number)), kind)
                yield number, {"image": io.BytesIO(picture), "label": label}

    class TinyWords(Base, skip_registration=True):
        name = "tiny_words"

        def _info(self):
            features = tfds.features.FeaturesDict({"word": tfds.features.Text()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _generate_examples(self, count, first):
            for number in range(first, first + count):
                yield number, {"word": str(number)}

    for builder in (TinyPictures, TinyWords):
        builder(data_dir=str(folder)).download_and_prepare()
    return str(folder)


@pytest.fixture(scope="module")
def converted(data_dir, tmp_path_factory):
    out = str(tmp_path_factory.mktemp("out") / "new")
    lines = []
    download_and_convert.run("tfds:tiny_pictures", out, lines.append, source_dir=data_dir)
    return out, lines


def test_all_its_splits(converted):
    out, lines = converted
    assert lines[0] == (f"Wrote tfds:tiny_pictures to {out}: 12 train, 5 test images of 3 classes")
    assert "  split hidden has no labels and was left out" in lines
    assert sorted(os.listdir(out)) == [
        ".slim",
        "dataset_info.json",
        "labels.txt",
        "tiny_pictures_test-00000-of-00001.tfrecord",
        "tiny_pictures_train-00000-of-00001.tfrecord",
    ]
    info = dataset_info.read(out)
    assert info.classes == CLASSES
    assert info.splits["train"].per_class == (4, 4, 4)
    assert info.attribution == "@us"
    verify.run(out, lines.append)
    assert lines[-1] == f"{out} is in order"


def test_its_pictures_and_labels(converted):
    dataset = dataset_factory.get_dataset("tfds:tiny_pictures", "test", converted[0])
    assert (dataset.num_samples, dataset.num_classes) == (5, 3)
    expected = {made.photo(20, 24, n).tobytes(): n % 3 for n in range(100, 105) if n % 2}
    found = {}
    for record in tf.data.TFRecordDataset(list(dataset.data_sources)):
        image, label = dataset.decoder.decode(record, ["image", "label"])
        assert image.shape == (20, 24, 3)
        found[np.asarray(image).tobytes()] = int(label)
    assert len(found) == 5
    assert expected.items() <= found.items(), "PNG pictures come through unchanged"


def test_again_and_with_another(converted, data_dir):
    lines = []
    download_and_convert.run("tfds:tiny_pictures", converted[0], lines.append, source_dir=data_dir)
    assert "already complete" in lines[0]
    with pytest.raises(_checks.UserError, match="holds the dataset 'tfds:tiny_pictures', not 'tfd"):
        download_and_convert.run("tfds:other", converted[0], lines.append)
    with pytest.raises(_checks.UserError, match="holds the dataset 'tfds:tiny_pictures', not 'tfd"):
        dataset_factory.get_dataset("tfds:other", "train", converted[0])


def test_a_dataset_without_pictures(data_dir, tmp_path):
    with pytest.raises(
        _checks.UserError, match="'tiny_words' is not for classification of images: .*has word"
    ):
        download_and_convert.run("tfds:tiny_words", str(tmp_path), source_dir=data_dir)


def test_no_such_dataset(data_dir, tmp_path):
    with pytest.raises(_checks.UserError, match="TFDS has no dataset 'tiny_pictuers'"):
        download_and_convert.run("tfds:tiny_pictuers", str(tmp_path), source_dir=data_dir)


def test_no_such_split(converted):
    with pytest.raises(_checks.UserError, match="Split 'hidden' not in .*found: train, test"):
        dataset_factory.get_dataset("tfds:tiny_pictures", "hidden", converted[0])


def test_floats_are_no_pictures(tfds):
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(4, 4, 1), dtype=np.float32),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
    )
    with pytest.raises(_checks.UserError, match="The pictures of TFDS's 'x' are of .*float32"):
        from_tfds._features("x", features)


def test_labels_without_a_class():
    items = [conversion.Item(None, label) for label in (0, 5, -1)]
    with pytest.raises(_checks.UserError, match="2 of 3 examples of split 't' have a label outsi"):
        from_tfds._check_labels("x", {"t": items}, 3)


def test_a_dataset_that_cannot_be_prepared(tfds, tmp_path, monkeypatch):
    class Broken:
        def download_and_prepare(self):
            raise OSError("no network\nmore")

    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: Broken())
    with pytest.raises(_checks.RunError, match="TFDS cannot prepare 'x': no network$"):
        from_tfds.convert(str(tmp_path), name="x")


# ---- without the package -------------------------------------------------------------------------


def test_names():
    assert dataset_factory.get_spec("tfds:a/b:1.0.0").file_pattern == "a_b_1_0_0_%s-*.tfrecord"
    with pytest.raises(_checks.UserError, match="dataset_name='tfds:' needs a name of TFDS, as in"):
        dataset_factory.get_spec("tfds:")
    with pytest.raises(_checks.UserError, match="'tfd:mnist' is not known.*tfds:NAME"):
        dataset_factory.get_spec("tfd:mnist")


def test_the_flag_takes_them(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    argv = ["d.py", "--dataset_name=tfds:mnist", f"--dataset_dir={tmp_path}"]
    assert flags.parse(DataConfig, argv).dataset_name == "tfds:mnist"
    argv[1] = "--dataset_name=tfds:"
    with pytest.raises(_checks.UserError, match="dataset_name='tfds:' needs a name of TFDS"):
        flags.parse(DataConfig, argv)
    assert "tfds:NAME" in flags.known_names("conversions")


def test_without_the_package(tmp_path):
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: ("
        "None if name == 'tensorflow_datasets' else find(name, *rest))\n"
        "import download_and_convert_data\n"
        f"sys.argv = ['d.py', '--dataset_name=tfds:mnist', {f'--dataset_dir={tmp_path}/o'!r}]\n"
        "code = download_and_convert_data.main()\n"
        "print(code, 'tensorflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source_tree.ROOT, capture_output=True, text=True
    )
    assert done.stdout == "2 False\n", done.stderr
    assert done.stderr == (
        "d.py: tensorflow-datasets is not installed; install it with: pip install"
        " tensorflow-datasets importlib_resources\n"
    )


@pytest.mark.slow
def test_train_and_evaluate(data_dir, tmp_path):
    def run(script, *flags):
        done = subprocess.run(
            [sys.executable, script, "--dataset_name=tfds:tiny_pictures", *flags],
            cwd=source_tree.ROOT,
            capture_output=True,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    out, train = str(tmp_path / "data"), str(tmp_path / "run")
    run("download_and_convert_data.py", f"--source_dir={data_dir}", f"--dataset_dir={out}")
    run(
        "train_image_classifier.py",
        f"--dataset_dir={out}",
        f"--train_dir={train}",
        "--model_name=lenet",
        "--max_number_of_steps=2",
        "--batch_size=4",
    )
    run(
        "eval_image_classifier.py",
        f"--dataset_dir={out}",
        f"--checkpoint_path={train}",
        "--dataset_split_name=test",
        f"--eval_dir={tmp_path / 'eval'}",
        "--batch_size=4",
    )
    model = json.loads((tmp_path / "run" / "model_info.json").read_text())
    assert model["dataset_name"] == "tfds:tiny_pictures"
