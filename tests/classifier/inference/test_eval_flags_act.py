"""Each option of the evaluation script changes what it finds, prints or leaves behind."""

import collections
import csv
import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.cli import flags
from classifier.config import options
from classifier.config.evaluation import EvalConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.config.training import TrainConfig
from classifier.export import run as exporting
from classifier.inference import evaluate as evaluating
from classifier.inference import predict
from classifier.inference.model import InferenceModel
from classifier.inference.runtimes import graph_function
from classifier.inputs import preprocessing
from classifier.run_directory import RunDirectory
from classifier.training import run as training
from datasets import dataset_factory, dataset_info, download, download_and_convert
from tests.classifier import at_once, shifted_labels
from tests.classifier.conftest import Answer
from tests.classifier.inputs import test_bad_images as bad_images
from tests.datasets import sample_files
from tests.end_to_end import commands

pytestmark = pytest.mark.slow
bad_folder = bad_images.folder  # a fixture


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
    assert some["out"][1].endswith("(21 of 360 images)")
    # As scripts parse the output of TF-Slim.
    assert f"eval/Accuracy[{some['accuracy']:.9g}]" in some["out"]
    assert f"eval/Recall_5[{some['recall_at_k']:.9g}]" in some["out"]
    assert some["loss"] != whole["loss"]


def test_clones(measure, evaluate, averaged, tmp_path):
    results, alone = [], measure(averaged, batch_size=8, flip=True)
    for clones in (2, 3):
        file = tmp_path / f"{clones}.json"
        values = {
            "checkpoint_path": averaged, "batch_size": 8, "num_clones": clones, "split_cpu": 3,
            "clone_on_cpu": True, "eval_json": file, "flip": True,
        }  # fmt: skip
        argv = commands.command(
            "eval_image_classifier", *(f"--{name}={each}" for name, each in values.items())
        )
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        results.append(json.loads(file.read_text()))
    for result in results:
        assert result["num_images"] == 360
        for name in ("accuracy", "loss", "macro_f1"):
            assert result[name] == pytest.approx(alone[name], rel=1e-5)
    done = evaluate(averaged, num_clones=9, clone_on_cpu=True)
    assert done.code == 2
    assert "--num_clones=9 exceeds the number of CPU devices, " in done.err[0]


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


def run_script(capsys, **values):
    argv = ["eval", *(f"--{name}={value}" for name, value in values.items())]
    return Answer(flags.main(EvalConfig, evaluating.run, "", argv), capsys.readouterr())


def test_train_dir_is_enough(averaged, digits, capsys, measure, tmp_path):
    done = run_script(capsys, train_dir=averaged, eval_json=tmp_path / "run.json")
    assert done.code == 0, done.err
    chosen = "split validation (directory and split chosen automatically)"
    assert done.out[0] == f"dataset digits in {digits}, {chosen}"
    # A model of two steps: the usual causes are named, though model_info.json describes it.
    assert any("accuracy is close to chance. Common causes: training ended" in x for x in done.out)
    whole = json.loads((tmp_path / "run.json").read_text())
    exact = measure(averaged)
    assert whole == {name: value for name, value in exact.items() if name != "out"}
    first = run_script(capsys, train_dir=averaged, checkpoint_path=averaged / "model.ckpt-1")
    assert any("model.ckpt-1 on digits validation" in line for line in first.out)


def test_a_row_for_each_image(measure, averaged, tmp_path):
    path = tmp_path / "new" / "p.csv"
    result = measure(averaged, predictions_csv=path, batch_size=7)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["record"]) for row in rows] == list(range(360))
    hits = [row["label"] == row["class_1"] for row in rows]
    assert sum(hits) / 360 == result["accuracy"]
    supports = collections.Counter(row["label"] for row in rows)
    assert {row["class"]: row["support"] for row in result["classes"]} == supports
    wrong = collections.Counter((row["label"], row["class_1"]) for row in rows)
    for row in result["confusions"]:
        assert wrong[row["label"], row["predicted"]] == row["count"]


def test_averages_and_weights(measure, evaluate, averaged, trained):
    averages, weights = measure(averaged), measure(averaged, use_averages="false")
    assert averages["loss"] != weights["loss"]
    assert (averages["uses_averages"], weights["uses_averages"]) == (True, False)
    both = measure(averaged, use_averages="both")
    assert both["loss"] == averages["loss"] == measure(averaged, use_averages="true")["loss"]
    assert both["raw_loss"] == weights["loss"]
    assert both["out"][-2].startswith("averages")
    assert both["out"][-1].startswith("weights ")
    done = evaluate(trained, use_averages="both")
    assert done.code == 2
    assert "--use_averages=both needs moving averages of the weights, but" in done.err[0]


def test_after_an_evaluation_of_both_the_model_has_the_averages(averaged):
    config = options.build(EvalConfig, train_dir=str(averaged), use_averages="both")
    assert evaluating.evaluate_checkpoint(config).on_split.classifier.used_averages


def test_crops_and_mirror_images(measure, averaged):
    losses = [measure(averaged, **more)["loss"] for more in
              ({}, {"flip": True}, {"num_crops": 5}, {"num_crops": 5, "flip": True})]  # fmt: skip
    assert len(set(losses)) == 4


def test_classes_of_another_dataset_are_mapped_by_name(measure, averaged, digits, tmp_path):
    """The digits in reverse order, with one class that the model does not have."""
    plain = measure(averaged)
    data = tmp_path / "reversed"
    data.mkdir()
    info = dataset_info.read(str(digits))
    (source,) = digits.glob("digits_validation-*")
    examples = [tf.train.Example.FromString(raw) for raw in
                tf.data.TFRecordDataset(str(source)).as_numpy_iterator()]  # fmt: skip
    for example in examples:
        label = example.features.feature["image/class/label"].int64_list.value
        label[0] = 9 - label[0]
    with tf.io.TFRecordWriter(str(data / "digits_test-00000-of-00001.tfrecord")) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    names = [*info.classes[::-1][:9], "letter"]  # images of zero are of an unknown class
    (data / "labels.txt").write_text("".join(f"{i}:{name}\n" for i, name in enumerate(names)))
    done = measure(averaged, dataset_dir=data, dataset_split_name="test")
    rows = {row["class"]: row for row in plain["classes"]}
    assert done["num_images"] == 360 - rows["zero"]["support"]
    for row in done["classes"][1:]:
        assert (row["support"], row["recall"]) == (rows[row["class"]]["support"],
                                                   rows[row["class"]]["recall"])  # fmt: skip
    text = "\n".join(done["out"])
    assert "images of classes that the model does not have are not evaluated (1: letter)" in text
    assert "classes of the model that are not in the dataset (1: zero)" in text


def test_bad_images_are_skipped_and_named(bad_folder, tmp_path, capsys):
    run = tmp_path / "run"
    skip = {"on_bad_image": "skip"}
    bad_images.train(bad_folder, run, 2, **skip, max_bad_fraction=0.1)
    values = {"train_dir": run, "dataset_split_name": "train", "batch_size": 16}
    done = run_script(capsys, **values)
    assert done.code == 1
    assert "Cannot decode image 'café/" in done.err[0]
    done = run_script(capsys, **values, **skip, eval_json=tmp_path / "e.json")
    assert done.code == 0, done.err
    assert any("train accuracy" in line and "(56 of 60 images)" in line for line in done.out)
    named = [line for line in done.out if line.startswith("skipped image: Cannot decode image")]
    assert len(named) == 4
    assert "skipped 4 bad images" in done.out
    result = json.loads((tmp_path / "e.json").read_text())
    assert (result["num_images"], result["num_skipped"], result["num_samples"]) == (56, 4, 60)
    # Only those of the evaluated batches are named, though more are read ahead.
    done = run_script(capsys, **values, **skip, max_num_batches=1)
    assert sum(line.startswith("skipped image: ") for line in done.out) == 1


def test_a_calibration_acts_in_prediction_and_exports(train, digits, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, max_number_of_steps=60, batch_size=16).code == 0
    values = {"checkpoint_path": run, "dataset_dir": digits, "dataset_split_name": "validation"}
    done = run_script(capsys, **values, calibrate=True, eval_json=tmp_path / "e.json")
    assert done.code == 0, done.err
    stored = RunDirectory(str(run)).read_model_info().calibration
    assert any(line.startswith(f"temperature {stored.temperature:.4f}: loss ") for line in done.out)
    result = json.loads((tmp_path / "e.json").read_text())
    assert result["calibrated_loss"] < result["loss"]
    assert result["calibrated_accuracy"] == result["accuracy"]
    # What prediction and the next evaluation see.
    done = run_script(capsys, **values, eval_json=tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text())["loss"] == result["calibrated_loss"]
    line = f"temperature {stored.temperature:.4f}, from model_info.json"
    assert line in done.out
    # A second calibration starts from the logits again.
    assert line not in run_script(capsys, **values, calibrate=True).out
    again = RunDirectory(str(run)).read_model_info().calibration
    assert again == stored
    (tmp_path / "one.png").write_bytes(dataset_factory.example_images(1)[1][0])
    config = options.build(
        PredictConfig, checkpoint_path=str(run), images=(str(tmp_path / "one.png"),),
        output_format="json", top_k=10,
    )  # fmt: skip
    predict.run(config)
    answer = json.loads(capsys.readouterr().out)
    predicted = {row["class"]: row["probability"] for row in answer["classes"]}
    checkpoint = sources.open_checkpoint(str(run))
    classifier = InferenceModel(checkpoint.info, checkpoint)
    prepare = preprocessing.encoded_image_fn(classifier.info, (28, 28))
    images = prepare(tf.constant((tmp_path / "one.png").read_bytes()))[tf.newaxis]
    expected = tf.nn.softmax(classifier(images)["logits"] / stored.temperature).numpy()[0]
    names = checkpoint.info.class_names
    np.testing.assert_allclose([predicted[name] for name in names], expected, rtol=1e-5)
    out = tmp_path / "out"
    exporting.run(options.build(ExportConfig, checkpoint_path=str(run), output_dir=str(out),
                                formats=("frozen_pb", "saved_model")))  # fmt: skip
    name = re.search(r"probabilities (\S+:0)", capsys.readouterr().out)[1]
    graph = tf.compat.v1.GraphDef.FromString((out / "lenet.pb").read_bytes())
    frozen = graph_function(graph, "input:0", name)(images)[0]
    np.testing.assert_allclose(frozen, expected, rtol=1e-4)
    threshold = f"If the largest one is below {stored.rejection_threshold:.4f}, the image is likely"
    assert threshold in (out / "README.md").read_text()
    (version,) = (out / "saved_model").iterdir()
    served = tf.saved_model.load(str(version))
    encoded = tf.constant([(tmp_path / "one.png").read_bytes()])
    outputs = served.signatures["serving_default"](encoded)
    np.testing.assert_allclose(outputs["probabilities"][0], expected, rtol=1e-4)
    capsys.readouterr()
    for model in (out / "lenet.pb", out / "saved_model"):
        predict.run(dataclasses.replace(
            config, run=dataclasses.replace(config.run, checkpoint_path=str(model))
        ))  # fmt: skip
        other = json.loads(capsys.readouterr().out)
        assert other.get("rejected") == answer.get("rejected")
        for row, expected_row in zip(other["classes"], answer["classes"], strict=True):
            assert row["class"] == expected_row["class"]
            assert row["probability"] == pytest.approx(expected_row["probability"], rel=1e-4)
