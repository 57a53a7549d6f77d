import json
import os

import pytest

from classifier import run_directory
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from slim import _checks

INFO = ModelInfo(
    model_name="lenet",
    num_classes=2,
    label_names=("zéro", "one"),
    image_size=(28, 32),
    preprocessing_name="lenet",
    moving_average_decay=0.9,
    versions={"tensorflow": "2.21.0"},
)


def test_model_info_survives_the_disk(tmp_path):
    RunDirectory(str(tmp_path)).write_model_info(INFO)
    assert RunDirectory(str(tmp_path)).read_model_info() == INFO
    assert os.listdir(tmp_path) == ["model_info.json"]
    assert json.loads((tmp_path / "model_info.json").read_text("utf-8"))["image_size"] == [28, 32]


def test_config_survives_the_disk(tmp_path):
    RunDirectory(str(tmp_path)).write_config({"options": {"seed": 1}})
    RunDirectory(str(tmp_path)).write_config({"options": {"seed": 2}})
    assert RunDirectory(str(tmp_path)).read_config() == {"options": {"seed": 2}}


def test_an_empty_folder_says_nothing(tmp_path):
    directory = RunDirectory(str(tmp_path))
    assert directory.read_config() is None
    assert directory.read_model_info() is None
    assert directory.metrics_path == str(tmp_path / "metrics.jsonl")


def test_keys_of_a_later_version_are_ignored(tmp_path):
    values = INFO.to_dict() | {"later": {"nested": [1]}}
    run_directory.write_json(str(tmp_path / "model_info.json"), values)
    assert RunDirectory(str(tmp_path)).read_model_info() == INFO


def test_model_info_of_the_first_version_is_read(tmp_path):
    old = {"model_name": "lenet", "num_classes": 10, "label_names": [], "labels_offset": 0,
           "image_size": [28, 28], "num_channels": 1, "preprocessing_name": "lenet",
           "use_grayscale": False, "moving_average_decay": None, "dataset_name": "digits",
           "versions": {"tensorflow": "2.21.0"}}  # fmt: skip
    (tmp_path / "model_info.json").write_text(json.dumps(old))
    info = RunDirectory(str(tmp_path)).read_model_info()
    assert (info.image_size, info.quantized, info.dataset_name) == ((28, 28), False, "digits")


@pytest.mark.parametrize(
    "key, value, problem",
    [
        ("num_classes", None, r"num_classes is null, expected a whole number\."),
        ("num_classes", -3, "num_classes is -3, expected a whole number of at least 1"),
        ("num_classes", 10**9, "num_classes is 1000000000, expected a whole number of at most"),
        ("num_classes", 3, "label_names has 2 names, but num_classes is 3"),
        ("label_names", "ab", 'label_names is "ab", expected a list'),
        ("label_names", ["a", 1], r"label_names\.1 is 1, expected a string"),
        ("label_names", ["a", "\udcff"], r'label_names has "\\udcff", which is not valid Unicode'),
        ("label_names", "\x1b[2J", r'label_names is "\\u001b\[2J", expected a list'),
        ("image_size", 28, "image_size is 28, expected a list"),
        ("image_size", [28], r"image_size is \[28\], expected a list of 2 items"),
        ("image_size", [28, 0], r"image_size\.1 is 0, expected a whole number of at least 1"),
        ("image_size", [10**6, 8], r"image_size\.0 is 1000000, expected a whole number of at most"),
        ("use_grayscale", "no", 'use_grayscale is "no", expected true or false'),
        ("quantized", 0, "quantized is 0, expected true or false"),
        ("moving_average_decay", 1.5, "moving_average_decay is 1.5, expected a number of at most"),
        ("moving_average_decay", float("nan"), "NaN is not a JSON number"),
        ("num_channels", 1e3, r"num_channels is 1000\.0, expected a whole number"),
        ("versions", [], r"versions is \[\], expected an object"),
    ],
)
def test_an_invalid_value_is_an_error_that_names_its_key(tmp_path, key, value, problem):
    run_directory.write_json(str(tmp_path / "model_info.json"), INFO.to_dict() | {key: value})
    with pytest.raises(
        _checks.UserError, match=rf"model_info\.json cannot be used: {problem}"
    ) as e:
        RunDirectory(str(tmp_path)).read_model_info()
    assert str(e.value).endswith(". Restore it from a copy, or resume the training run, which"
                                 " writes it again")  # fmt: skip
    assert str(e.value).isprintable()


def test_a_missing_key_is_named(tmp_path):
    values = INFO.to_dict()
    del values["num_classes"]
    run_directory.write_json(str(tmp_path / "model_info.json"), values)
    with pytest.raises(_checks.UserError, match="the key 'num_classes' is missing"):
        RunDirectory(str(tmp_path)).read_model_info()


@pytest.mark.parametrize(
    "content, problem",
    [
        ("{", r"config\.json cannot be used: not JSON: Expecting"),
        ("[]", r"the content is \[\], expected an object"),
        ("{}", "the key 'options' is missing"),
        ('{"options": 5}', "options is 5, expected an object"),
        ('{"options": {}, "resolved": []}', r"resolved is \[\], expected an object"),
    ],
)
def test_a_damaged_config_is_named(tmp_path, content, problem):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(_checks.UserError, match=problem):
        RunDirectory(str(tmp_path)).read_config()


def test_paths_that_are_not_utf_8_survive_the_disk(tmp_path):
    path = os.fsdecode(b"caf\xe9")
    RunDirectory(str(tmp_path)).write_config({"options": {"dataset_dir": path}})
    assert RunDirectory(str(tmp_path)).read_config()["options"] == {"dataset_dir": path}


@pytest.mark.parametrize("name", ["config.json", "model_info.json"])
def test_special_file_is_an_error_without_waiting(tmp_path, name):
    os.mkfifo(tmp_path / name)
    directory = RunDirectory(str(tmp_path))
    with pytest.raises(_checks.UserError, match=rf"{name} cannot be used: not a .*\(a FIFO\)"):
        directory.read_config() if name == "config.json" else directory.read_model_info()


@pytest.mark.parametrize("path", ["", "/model.ckpt-3", "/model.ckpt-3.index"])
def test_a_checkpoint_belongs_to_its_folder(tmp_path, path):
    assert RunDirectory.of_checkpoint(f"{tmp_path}{path}") == RunDirectory(str(tmp_path))


def test_a_bare_checkpoint_name_belongs_to_the_working_directory():
    assert RunDirectory.of_checkpoint("model.ckpt-3").path == "."
