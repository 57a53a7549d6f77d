"""What an evaluation finds in a run: dataset, split, weights and classes."""

import dataclasses
import shutil

import pytest

from classifier.config import options
from classifier.config.evaluation import EvalConfig
from classifier.resolve.cluster import ALONE, Cluster
from classifier.resolve.evaluation import check_workers, class_warnings, near_chance
from classifier.resolve.evaluation import evaluation as resolve
from classifier.run_directory import RunDirectory
from slim import _checks
from tests.classifier import split_metadata
from tests.classifier.resolve.test_trained import INFO, evaluation


def test_other_classes_are_mapped_by_name():
    assert evaluation().class_map is None
    names = {0: "digit 7", 1: "letter", 3: "digit 0"}
    mapping = evaluation(
        dataset=split_metadata.Dataset(num_classes=4, labels_to_names=names)
    ).class_map
    assert mapping.indices == (7, -1, -1, 0)
    assert mapping.missing == ("letter", "label 2")
    assert mapping.extra == tuple(f"digit {label}" for label in (1, 2, 3, 4, 5, 6, 8, 9))
    missing, extra = class_warnings(mapping)
    assert missing == (
        "images of classes that the model does not have are not evaluated (2: letter, label 2)"
    )
    assert extra.startswith("classes of the model that are not in the dataset (8: digit 1, digit 2")
    some = evaluation(dataset=split_metadata.Dataset(num_classes=5))
    assert some.class_map.indices == (0, 1, 2, 3, 4)
    assert next(class_warnings(some.class_map)).startswith("classes of the model that are not in")


@pytest.mark.parametrize(
    "choice, decay, expected",
    [
        ("auto", None, {False: ""}), ("auto", 0.9, {True: ""}), ("false", 0.9, {False: ""}),
        ("true", None, {True: ""}), ("both", 0.9, {True: "", False: "raw_"}),
    ],
)  # fmt: skip
def test_the_weights_to_evaluate(choice, decay, expected):
    info = dataclasses.replace(INFO, moving_average_decay=decay)
    assert evaluation(info, use_averages=choice).key_of_weights == expected


@pytest.fixture
def run(digits, tmp_path):
    """Returns a function that writes the config.json of a run on the digits."""

    def write(**values):
        recorded = {"dataset_name": "digits", "dataset_dir": str(digits)} | values
        RunDirectory(str(tmp_path)).write_config({"options": recorded})
        return RunDirectory(str(tmp_path))

    return write


def data_of(directory, info=INFO, **values):
    """Returns split, directory and origin of an evaluation of a run's checkpoint."""
    config = options.build(EvalConfig, **values)
    result = resolve(config, dataclasses.replace(info, label_names=()), directory)
    return result.split_name, result.location.directory, result.origin


def test_train_dir_names_the_dataset_and_the_split(run, digits, tmp_path):
    whole = run(eval_split_name="train")
    split, directory, origin = data_of(whole, train_dir=str(tmp_path))
    assert (split, directory) == ("train", str(digits))
    assert origin.endswith(", split train (directory and split chosen automatically)")
    # As in TF-Slim, the test split comes first; the digits have none.
    split, _, origin = data_of(whole, checkpoint_path=str(tmp_path), dataset_dir=str(digits))
    assert split == "validation"
    assert origin.endswith("split validation (split chosen automatically)")
    exact = {"dataset_dir": str(digits), "dataset_split_name": "train"}
    assert data_of(whole, train_dir=str(tmp_path), **exact) == ("train", str(digits), "")
    best = RunDirectory(str(tmp_path / "best"))
    assert data_of(best, checkpoint_path=best.path)[1] == str(digits)


def test_a_split_that_is_damaged_is_not_replaced_by_another(run, digits, tmp_path):
    copy = shutil.copytree(digits, tmp_path / "copy")
    for shard in copy.glob("digits_validation-*"):
        shard.unlink()
    with pytest.raises(_checks.UserError, match="digits_validation-.* missing in"):
        data_of(run(eval_split_name="validation", dataset_dir=str(copy)), train_dir=str(tmp_path))


def test_a_dataset_that_is_unknown_or_gone_is_required(run, tmp_path):
    values = {"train_dir": str(tmp_path)}
    with pytest.raises(
        _checks.UserError, match="dataset_dir is required: the checkpoint has no co"
    ):
        data_of(RunDirectory(str(tmp_path)), **values)
    with pytest.raises(_checks.UserError, match="is required: the run's, '/gone', does not exist"):
        data_of(run(dataset_dir="/gone"), **values)


def test_the_causes_of_an_accuracy_near_chance_depend_on_the_model():
    assert "another preprocessing" in near_chance(evaluation(None, model_name="lenet"))
    assert "training ended early or diverged" in near_chance(evaluation())


@pytest.mark.parametrize(
    "values, message",
    [
        ({"checkpoint_path": None, "eval_loop": True}, "eval_loop supports a single worker only$"),
        ({"checkpoint_path": "all"}, "checkpoint_path=all supports a single w"),
        ({"calibrate": True}, "calibrate supports a single worker only$"),
        ({"recalibrate_batch_norm": 2}, "recalibrate_batch_norm=2 supports a single worker only"),
        (
            {"report_dir": "a", "report_duplicates_of": "train"},
            "report_duplicates_of=train support",
        ),
        ({"on_bad_image": "skip"}, "on_bad_image=skip supports a single worker only"),
        (
            {"batch_size": 7},
            "batch_size=7 must be a multiple of worker_replicas=2: each worker has",
        ),
        (
            {"batch_size": 4, "num_clones": 3},
            "batch_size=4 is less than an image for each clone: w",
        ),
    ],
)
def test_what_several_workers_cannot_evaluate_is_an_error(values, message):
    paths = {"checkpoint_path": "run", "train_dir": "run"}
    config = options.build(EvalConfig, **paths | values)
    check_workers(config, ALONE)
    with pytest.raises(_checks.UserError, match=message):
        check_workers(config, Cluster(("a:1", "b:2")))


def test_workers_of_the_environment_can_be_ignored():
    config = options.build(EvalConfig, train_dir="run", eval_loop=True)
    with pytest.raises(_checks.UserError, match="a single worker only: pass cluster=none"):
        check_workers(config, Cluster(("a:1", "b:2"), source="TF_CONFIG"))
