"""TFDS datasets, created by TFDS itself without a network."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from classifier.cli import flags
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
from tests.datasets import sample_files

CLASSES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def tfds():
    return pytest.importorskip("tensorflow_datasets", reason="the extra 'tfds' is not installed")


@pytest.fixture(scope="module")
def data_dir(tfds, tmp_path_factory):
    """A directory with two prepared TFDS datasets, whose builders are not registered."""
    directory = tmp_path_factory.mktemp("tensorflow_datasets")

    class Base(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(12, 0),
                "test": self._generate_examples(5, 100),
                "hidden": self._generate_examples(3, 200),
            }

    class TinyImages(Base, skip_registration=True):
        name = "tiny_images"

        def _info(self):
            label = tfds.features.ClassLabel(names=list(CLASSES))
            image = tfds.features.Image(shape=(None, None, 3))
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features, citation="@us")

        def _generate_examples(self, count, first):
            for number in range(first, first + count):
                label = -1 if first == 200 else number % 3
                kind = ("JPEG", "PNG")[number % 2]
                image = sample_files.encoded(
                    PIL.Image.fromarray(sample_files.photo(20, 24, number)), kind
                )
                yield number, {"image": io.BytesIO(image), "label": label}

    class TinyWords(Base, skip_registration=True):
        name = "tiny_words"

        def _info(self):
            features = tfds.features.FeaturesDict({"word": tfds.features.Text()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _generate_examples(self, count, first):
            for number in range(first, first + count):
                yield number, {"word": str(number)}

    for builder in (TinyImages, TinyWords):
        builder(data_dir=str(directory)).download_and_prepare()
    return str(directory)


@pytest.fixture(scope="module")
def converted(data_dir, tmp_path_factory):
    out = str(tmp_path_factory.mktemp("out") / "new")
    lines = []
    download_and_convert.run("tfds:tiny_images", out, lines.append, source_dir=data_dir)
    return out, lines


def test_labeled_splits_are_converted(converted):
    out, lines = converted
    assert lines[0] == (f"Wrote tfds:tiny_images to {out}: 12 train, 5 test images of 3 classes")
    assert "  split hidden has no labels and was skipped" in lines
    assert sorted(os.listdir(out)) == [
        ".slim",
        "dataset_info.json",
        "labels.txt",
        "tiny_images_test-00000-of-00001.tfrecord",
        "tiny_images_train-00000-of-00001.tfrecord",
    ]
    info = dataset_info.read(out)
    assert info.classes == CLASSES
    assert info.splits["train"].per_class == (4, 4, 4)
    assert info.attribution == "@us"
    verify.run(out, lines.append)
    assert lines[-1] == f"{out} is valid"


def test_images_and_labels_are_unchanged(converted):
    dataset = dataset_factory.get_dataset("tfds:tiny_images", "test", converted[0])
    assert (dataset.num_samples, dataset.num_classes) == (5, 3)
    expected = {sample_files.photo(20, 24, n).tobytes(): n % 3 for n in range(100, 105) if n % 2}
    labels = {}
    for record in tf.data.TFRecordDataset(list(dataset.data_sources)):
        image, label = dataset.decoder.decode(record, ["image", "label"])
        assert image.shape == (20, 24, 3)
        labels[np.asarray(image).tobytes()] = int(label)
    assert len(labels) == 5
    assert expected.items() <= labels.items(), "PNG images are unchanged"


def test_second_run_is_complete_and_another_dataset_rejected(converted, data_dir):
    lines = []
    download_and_convert.run("tfds:tiny_images", converted[0], lines.append, source_dir=data_dir)
    assert "already complete" in lines[0]
    with pytest.raises(_checks.UserError, match="holds the dataset 'tfds:tiny_images', not 'tfd"):
        download_and_convert.run("tfds:other", converted[0], lines.append)
    with pytest.raises(_checks.UserError, match="holds the dataset 'tfds:tiny_images', not 'tfd"):
        dataset_factory.get_dataset("tfds:other", "train", converted[0])


def test_dataset_without_images_is_rejected(data_dir, tmp_path):
    with pytest.raises(
        _checks.UserError, match="'tiny_words' is not an image classification dataset: .* word"
    ):
        download_and_convert.run("tfds:tiny_words", str(tmp_path), source_dir=data_dir)


def test_unknown_tfds_dataset_is_rejected(data_dir, tmp_path):
    with pytest.raises(_checks.UserError, match="TFDS has no dataset 'tiny_imgaes'"):
        download_and_convert.run("tfds:tiny_imgaes", str(tmp_path), source_dir=data_dir)


def test_unlabeled_split_is_unknown(converted):
    with pytest.raises(_checks.UserError, match="Split 'hidden' not in .*found: train, test"):
        dataset_factory.get_dataset("tfds:tiny_images", "hidden", converted[0])


def test_float_images_are_rejected(tfds):
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(4, 4, 1), dtype=np.float32),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
    )
    with pytest.raises(_checks.UserError, match="Images of TFDS's 'x' have dtype .*float32"):
        from_tfds._features("x", features)


def test_labels_out_of_range_are_rejected():
    items = [conversion.Item(None, label) for label in (0, 5, -1)]
    with pytest.raises(_checks.UserError, match="2 of 3 examples of split 't' have a label outsi"):
        from_tfds._check_labels("x", {"t": items}, 3)


def test_failed_preparation_is_one_line(tfds, tmp_path, monkeypatch):
    class Broken:
        def download_and_prepare(self):
            raise OSError("no network\nmore")

    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: Broken())
    with pytest.raises(_checks.RunError, match="TFDS cannot prepare 'x': no network$"):
        from_tfds.convert(str(tmp_path), name="x")


# ---- without the package -------------------------------------------------------------------------


def test_tfds_names_are_checked():
    assert dataset_factory.get_spec("tfds:a/b:1.0.0").file_pattern == "a_b_1_0_0_%s-*.tfrecord"
    with pytest.raises(
        _checks.UserError, match="dataset_name='tfds:' lacks the name of a TFDS dataset. Example"
    ):
        dataset_factory.get_spec("tfds:")
    with pytest.raises(_checks.UserError, match="'tfd:mnist' is not known.*tfds:NAME"):
        dataset_factory.get_spec("tfd:mnist")


def test_dataset_name_flag_accepts_tfds_names(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    argv = ["d.py", "--dataset_name=tfds:mnist", f"--dataset_dir={tmp_path}"]
    assert flags.parse(DataConfig, argv).dataset_name == "tfds:mnist"
    argv[1] = "--dataset_name=tfds:"
    with pytest.raises(
        _checks.UserError, match="dataset_name='tfds:' lacks the name of a TFDS dataset"
    ):
        flags.parse(DataConfig, argv)
    assert "tfds:NAME" in flags.known_names("conversions")


def test_missing_package_is_reported_without_tensorflow(tmp_path):
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
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=source_tree.ROOT, capture_output=True, text=True
    )
    assert completed.stdout == "2 False\n", completed.stderr
    assert completed.stderr == (
        "d.py: tensorflow-datasets is not installed; install it with: pip install"
        " tensorflow-datasets importlib_resources\n"
    )


@pytest.mark.slow
def test_tfds_dataset_trains_and_evaluates(data_dir, tmp_path):
    def run(script, *flags):
        completed = subprocess.run(
            [sys.executable, script, "--dataset_name=tfds:tiny_images", *flags],
            cwd=source_tree.ROOT,
            capture_output=True,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

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
    assert model["dataset_name"] == "tfds:tiny_images"
