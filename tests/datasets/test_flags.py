"""From the command line of download_and_convert_data.py to the converters. No TensorFlow."""

import pytest

import download_and_convert_data
from classifier.cli import flags
from classifier.config import options
from classifier.config.conversion import DataConfig
from classifier.config.training import TrainConfig
from datasets import dataset_factory, download_and_convert
from slim import _checks

VALUES = {
    "source_dir": ".",
    "dataset_file": "LICENSE",
    "labels_file": "LICENSE",
    "validation_fraction": 0.25,
    "split_seed": 7,
    "multi_label": True,
    "on_bad_image": "skip",
    "max_pixels": 1000,
    "small_object_area_threshold": 0.5,
    "foreground_class_of_interest": "dog",
}


def parse(*argv):
    return flags.parse(DataConfig, ["convert", "--dataset_dir=new", *argv])


def test_all_options_reach_the_converters(monkeypatch):
    calls = []
    monkeypatch.setattr(
        download_and_convert, "run", lambda *args, **kwargs: calls.append((args, kwargs))
    )
    argv = [f"--{name}={value}" for name, value in VALUES.items()]
    download_and_convert_data._run(parse("--dataset_name=folder", *argv))
    assert calls == [((), {"dataset_name": "folder", "dataset_dir": "new", **VALUES})]
    all_options = {name for spec in dataset_factory.DATASETS.values() for name in spec.options}
    assert (
        all_options
        == set(VALUES)
        == set(options.by_name(DataConfig)) - {"dataset_name", "dataset_dir"}
    )


def test_options_default_to_none(monkeypatch):
    config = parse("--dataset_name=mnist")
    assert all(getattr(config, name) is None for name in VALUES)


@pytest.mark.parametrize(
    "flag, expected",
    [
        ("--source_dir=nowhere", "--source_dir='nowhere' does not exist"),
        ("--validation_fraction=2", "--validation_fraction=2.0 must lie between 0 and 1"),
        ("--split_seed=-1", "--split_seed=-1 must not be negative"),
        ("--on_bad_image=drop", "--on_bad_image='drop' is not known. Known: error, skip"),
        ("--max_pixels=0", "--max_pixels=0 must be positive"),
        ("--small_object_area_threshold=5", "--small_object_area_threshold=5.0 must lie between"),
        ("--dataset_name=verfy", "--dataset_name='verfy' is not known; did you mean 'verify'"),
    ],
)
def test_invalid_values_are_rejected(flag, expected):
    with pytest.raises(_checks.UserError, match=expected):
        parse("--dataset_name=folder", flag)


def test_verify_is_not_a_dataset_for_training(tmp_path):
    with pytest.raises(_checks.UserError, match="dataset_name='verify' is not known"):
        flags.parse(
            TrainConfig,
            [
                "train",
                f"--train_dir={tmp_path}/r",
                f"--dataset_dir={tmp_path}",
                "--model_name=lenet",
            ]
            + ["--dataset_name=verify"],
        )
