"""Each option of the evaluation script changes what it finds, prints or leaves behind."""

import json
import shutil

import pytest

from classifier.cli import flags
from classifier.config.training import TrainConfig
from classifier.inputs import preprocessing
from classifier.training import run as training
from datasets import download, download_and_convert
from tests.classifier import at_once, shifted_labels
from tests.datasets import sample_files

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def averaged(tmp_path_factory, digits):
    """A run of two steps of LeNet with moving averages of its weights."""
    folder = tmp_path_factory.mktemp("averaged") / "run"
    given = {
        "train_dir": folder, "dataset_name": "digits", "dataset_dir": digits, "batch_size": 8,
        "model_name": "lenet", "max_number_of_steps": 2, "optimizer": "momentum",
        "moving_average_decay": 0.9, "save_summaries_secs": 0, "save_interval_steps": 1,
    }  # fmt: skip
    argv = ["train", *(f"--{name}={value}" for name, value in given.items())]
    assert flags.main(TrainConfig, training.run, "", argv) == 0
    return folder


@pytest.fixture(scope="module")
def undescribed(averaged, tmp_path_factory):
    """The same, as the original leaves it: nothing says what the network and its images are."""
    folder = tmp_path_factory.mktemp("undescribed") / "run"
    shutil.copytree(averaged, folder, ignore=shutil.ignore_patterns("*.json*"))
    return folder


@pytest.fixture
def found(evaluate, tmp_path):
    """Evaluates and returns the findings; `told` has the printed lines."""

    def run(checkpoint_path, **more):
        told = evaluate(checkpoint_path, eval_json=tmp_path / "found.json", **more)
        assert told.code == 0, told.err
        return json.loads((tmp_path / "found.json").read_text()) | {"told": told.out}

    return run


BARE = {"model_name": "lenet", "dataset_name": "digits"}


def test_what_is_evaluated(found, averaged):
    newest, first = found(averaged), found(averaged / "model.ckpt-1")
    assert (newest["step"], first["step"]) == (2, 1)
    assert newest["loss"] != first["loss"]
    train = found(averaged, dataset_split_name="train")
    assert (newest["num_images"], train["num_images"]) == (360, 1437)
    assert newest["loss"] != train["loss"]
    assert train["told"][0].endswith("on digits train")


def test_how_many_images(found, averaged):
    whole = found(averaged, batch_size=7)
    assert whole["num_images"] == 360
    assert whole["loss"] == pytest.approx(found(averaged)["loss"], rel=1e-5)
    some = found(averaged, batch_size=7, max_num_batches=3)
    assert some["num_images"] == 21
    assert "validation accuracy" in some["told"][1]
    assert some["told"][1].endswith("(21 of 21 images)")
    assert some["loss"] != whole["loss"]


def test_another_dataset_and_its_colours(found, evaluate, undescribed, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_problem", lambda file, path: None)  # not the published archive
    source = tmp_path / "source"
    source.mkdir()
    (source / "cifar-10-binary.tar.gz").write_bytes(sample_files.cifar10_archive(per_batch=10)[0])
    download_and_convert.convert("cifar10", str(tmp_path / "data"), source_dir=str(source))
    given = {"model_name": "lenet", "dataset_name": "cifar10", "dataset_split_name": "test"}
    given["dataset_dir"] = tmp_path / "data"
    gray = found(undescribed, **given, use_grayscale=True)
    assert gray["num_images"] == 10
    assert any(line.endswith("on cifar10 test") for line in gray["told"])
    told = evaluate(undescribed, **given)
    assert told.code == 2, "the network has one channel"
    assert "LeNet/conv1/weights" in told.err[0]


def test_labels_that_begin_at_one(found, evaluate, digits, undescribed, tmp_path):
    shifted = shifted_labels.write(digits, tmp_path / "shifted")
    plain = found(undescribed, **BARE)
    assert found(undescribed, **BARE, labels_offset=1, dataset_dir=shifted) == plain
    told = evaluate(undescribed, **BARE, labels_offset=0, dataset_dir=shifted)
    assert told.code == 2
    assert "dataset 'digits' has 11 (LeNet/fc4)" in told.err[0]


def test_the_model_where_nothing_describes_it(found, evaluate, averaged, undescribed):
    weights = found(undescribed, **BARE)
    assert weights["told"][0].startswith("Evaluating the weights of")
    averages = found(undescribed, **BARE, moving_average_decay=0.9)
    assert averages["told"][0].startswith("Evaluating the moving averages of the weights of")
    assert averages["loss"] != weights["loss"]
    assert averages["loss"] == found(averaged)["loss"]
    other = found(undescribed, **BARE, preprocessing_name="cifarnet")
    assert other["loss"] != weights["loss"]
    told = evaluate(undescribed, **BARE | {"model_name": "cifarnet"})
    assert told.code == 2
    assert "CifarNet/conv1/weights" in told.err[0]


def test_the_image_size(found, averaged):
    # After LeNet's two poolings 29 pixels are the 7 that 28 are.
    plain, larger = found(averaged), found(averaged, eval_image_size=29)
    assert plain["loss"] != larger["loss"]


def test_where_events_go(evaluate, averaged, tmp_path):
    shutil.copytree(averaged, tmp_path / "run", ignore=shutil.ignore_patterns("eval"))
    evaluate(tmp_path / "run", eval_dir=tmp_path / "elsewhere")
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1
    assert not (tmp_path / "run" / "eval").exists()
    evaluate(tmp_path / "run")
    assert len(list((tmp_path / "run" / "eval").iterdir())) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_images_are_prepared_side_by_side(found, averaged, monkeypatch, threads):
    counter, prepare = at_once.Counter(), preprocessing.preprocessing_fn
    monkeypatch.setattr(
        preprocessing, "preprocessing_fn", lambda *a, **more: counter.wrapped(prepare(*a, **more))
    )
    few = {"batch_size": 8, "max_num_batches": 1}
    found(averaged, num_preprocessing_threads=threads, **few)
    assert counter.most == at_once.possible(threads)


def test_a_server_is_refused(evaluate, averaged):
    told = evaluate(averaged, master="grpc://a:1")
    assert (told.code, len(told.err)) == (2, 1)
    assert (
        "master='grpc://a:1' is not supported: evaluation runs in a single process" in told.err[0]
    )
