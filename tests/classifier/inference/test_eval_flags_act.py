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
    values = {
        "train_dir": folder, "dataset_name": "digits", "dataset_dir": digits, "batch_size": 8,
        "model_name": "lenet", "max_number_of_steps": 2, "optimizer": "momentum",
        "moving_average_decay": 0.9, "save_summaries_secs": 0, "save_interval_steps": 1,
    }  # fmt: skip
    argv = ["train", *(f"--{name}={value}" for name, value in values.items())]
    assert flags.main(TrainConfig, training.run, "", argv) == 0
    return folder


@pytest.fixture(scope="module")
def undescribed(averaged, tmp_path_factory):
    """The same, as the original leaves it: nothing says what the network and its images are."""
    folder = tmp_path_factory.mktemp("undescribed") / "run"
    shutil.copytree(averaged, folder, ignore=shutil.ignore_patterns("*.json*"))
    return folder


@pytest.fixture
def measure(evaluate, tmp_path):
    """Returns a function that evaluates a checkpoint; `out` of its result has the printed lines."""

    def run(checkpoint_path, **more):
        done = evaluate(checkpoint_path, eval_json=tmp_path / "eval.json", **more)
        assert done.code == 0, done.err
        return json.loads((tmp_path / "eval.json").read_text()) | {"out": done.out}

    return run


BARE = {"model_name": "lenet", "dataset_name": "digits"}


def test_evaluated_images_and_batches(measure, averaged):
    newest, first = measure(averaged), measure(averaged / "model.ckpt-1")
    assert (newest["step"], first["step"]) == (2, 1)
    assert newest["loss"] != first["loss"]
    train = measure(averaged, dataset_split_name="train")
    assert (newest["num_images"], train["num_images"]) == (360, 1437)
    assert newest["loss"] != train["loss"]
    assert train["out"][0].endswith("on digits train")


def test_how_many_images(measure, averaged):
    whole = measure(averaged, batch_size=7)
    assert whole["num_images"] == 360
    assert whole["loss"] == pytest.approx(measure(averaged)["loss"], rel=1e-5)
    some = measure(averaged, batch_size=7, max_num_batches=3)
    assert some["num_images"] == 21
    assert "validation accuracy" in some["out"][1]
    assert some["out"][1].endswith("(21 of 21 images)")
    # As scripts parse the output of TF-Slim.
    assert f"eval/Accuracy[{some['accuracy']:.9g}]" in some["out"]
    assert f"eval/Recall_5[{some['recall_at_k']:.9g}]" in some["out"]
    assert some["loss"] != whole["loss"]


def test_another_dataset_and_its_colours(measure, evaluate, undescribed, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_problem", lambda file, path: None)  # not the published archive
    source = tmp_path / "source"
    source.mkdir()
    (source / "cifar-10-binary.tar.gz").write_bytes(sample_files.cifar10_archive(per_batch=10)[0])
    download_and_convert.convert("cifar10", str(tmp_path / "data"), source_dir=str(source))
    values = {"model_name": "lenet", "dataset_name": "cifar10", "dataset_split_name": "test"}
    values["dataset_dir"] = tmp_path / "data"
    gray = measure(undescribed, **values, use_grayscale=True)
    assert gray["num_images"] == 10
    assert any(line.endswith("on cifar10 test") for line in gray["out"])
    done = evaluate(undescribed, **values)
    assert done.code == 2, "the network has one channel"
    assert "LeNet/conv1/weights" in done.err[0]


def test_labels_that_begin_at_one(measure, evaluate, digits, undescribed, tmp_path):
    shifted = shifted_labels.write(digits, tmp_path / "shifted")
    plain = measure(undescribed, **BARE)
    assert measure(undescribed, **BARE, labels_offset=1, dataset_dir=shifted) == plain
    done = evaluate(undescribed, **BARE, labels_offset=0, dataset_dir=shifted)
    assert done.code == 2
    assert "dataset 'digits' has 11 (LeNet/fc4)" in done.err[0]


def test_the_model_where_nothing_describes_it(measure, evaluate, averaged, undescribed):
    weights = measure(undescribed, **BARE)
    assert weights["out"][0].startswith("Evaluating the weights of")
    averages = measure(undescribed, **BARE, moving_average_decay=0.9)
    assert averages["out"][0].startswith("Evaluating the moving averages of the weights of")
    assert averages["loss"] != weights["loss"]
    assert averages["loss"] == measure(averaged)["loss"]
    other = measure(undescribed, **BARE, preprocessing_name="cifarnet")
    assert other["loss"] != weights["loss"]
    done = evaluate(undescribed, **BARE | {"model_name": "cifarnet"})
    assert done.code == 2
    assert "CifarNet/conv1/weights" in done.err[0]


def test_the_image_size(measure, averaged):
    # After LeNet's two poolings 29 pixels are the 7 that 28 are.
    plain, larger = measure(averaged), measure(averaged, eval_image_size=29)
    assert plain["loss"] != larger["loss"]


def test_where_events_go(evaluate, averaged, tmp_path):
    shutil.copytree(averaged, tmp_path / "run", ignore=shutil.ignore_patterns("eval"))
    evaluate(tmp_path / "run", eval_dir=tmp_path / "elsewhere")
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1
    assert not (tmp_path / "run" / "eval").exists()
    evaluate(tmp_path / "run")
    assert len(list((tmp_path / "run" / "eval").iterdir())) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_images_are_prepared_side_by_side(measure, averaged, monkeypatch, threads):
    counter, prepare = at_once.Counter(), preprocessing.preprocessing_fn
    monkeypatch.setattr(
        preprocessing, "preprocessing_fn", lambda *a, **more: counter.wrapped(prepare(*a, **more))
    )
    few = {"batch_size": 8, "max_num_batches": 1}
    measure(averaged, num_preprocessing_threads=threads, **few)
    assert counter.most == at_once.possible(threads)


def test_a_server_address_is_an_error(evaluate, averaged):
    done = evaluate(averaged, master="grpc://a:1")
    assert (done.code, len(done.err)) == (2, 1)
    assert "--master=grpc://a:1 must be empty: evaluation runs in this process" in done.err[0]
