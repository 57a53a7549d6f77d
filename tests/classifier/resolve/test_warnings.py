"""Warnings about classes."""

import dataclasses

import pytest

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve import training as resolve
from classifier.resolve import warnings
from slim import _checks
from tests.classifier import split_metadata

SMALL = dict(enumerate("abc"))


def run(counts, names=SMALL, **values):
    dataset = split_metadata.Dataset(
        num_classes=len(names), labels_to_names=names, per_class=counts, num_samples=1000
    )
    multi_label = values.pop("multi_label", False)
    dataset = dataclasses.replace(dataset, multi_label=multi_label)
    values = {"train_dir": "run", "dataset_dir": "data", "model_name": "lenet"} | values
    if multi_label:
        values["loss"] = "sigmoid"
    return resolve.resolve_training(options.build(TrainConfig, **values), dataset)


def imbalance(*arguments, **values):
    texts = warnings.of_training(run(*arguments, **values), None)
    return [text.as_flags for text in texts if "unbalanced" in text]


def test_classes_of_which_one_is_over_ten_times_larger_are_a_warning():
    (text,) = imbalance((7, 71, 0))
    assert text == (
        "the classes are unbalanced: 'b' has 71 images, 'a' has 7. Small classes are then rarely"
        " predicted. To compensate, pass --balanced_sampling or --class_weights=auto"
    )
    (text,) = imbalance((7, 71, 9), multi_label=True)
    assert text.endswith("To compensate, pass --class_weights=auto")
    (text,) = imbalance((900, 7, 71), labels_offset=1)
    assert "'c' has 71 images, 'b' has 7." in text


@pytest.mark.parametrize(
    "counts, values",
    [
        ((7, 70, 9), {}),
        ((), {}),
        ((1, 0, 0), {}),
        ((900, 7, 70), {"labels_offset": 1}),
        ((7, 71, 9), {"balanced_sampling": True}),
        ((7, 71, 9), {"class_weights": "auto"}),
    ],
)
def test_balanced_unknown_and_compensated_classes_are_no_warning(counts, values):
    assert imbalance(counts, **values) == []


@pytest.mark.parametrize(
    "counts, names, values",
    [((5,), {0: "b"}, {}), ((), {0: "b"}, {}), ((0, 5, 0), SMALL, {}),
     ((9, 5), dict(enumerate("ab")), {"labels_offset": 1})],
)  # fmt: skip
def test_a_single_class_is_an_error(counts, names, values):
    text = "all images of dataset_name=digits 'train' are of the class 'b'; a classifier needs"
    with pytest.raises(_checks.UserError, match=text):
        resolve._check_classes(run(counts, names, **values))


@pytest.mark.parametrize(
    "counts, names, values",
    [((5, 1, 0), SMALL, {}), ((), SMALL, {}), ((5,), {0: "b"}, {"multi_label": True})],
)
def test_two_classes_or_unknown_counts_or_several_labels_are_trained(counts, names, values):
    resolve._check_classes(run(counts, names, **values))
