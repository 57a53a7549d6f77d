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


def test_what_a_later_version_adds_is_left_out():
    assert ModelInfo.from_dict(INFO.to_dict() | {"later": 1}) == INFO


def test_a_field_that_is_missing_is_named(tmp_path):
    values = INFO.to_dict()
    del values["num_classes"]
    run_directory.write_json(str(tmp_path / "model_info.json"), values)
    with pytest.raises(
        _checks.UserError, match=r"model_info\.json: not what describes a model: .*num_c"
    ):
        RunDirectory(str(tmp_path)).read_model_info()


def test_a_field_of_another_kind_is_refused():
    with pytest.raises(_checks.UserError, match="not what describes a model: 'int' object"):
        ModelInfo.from_dict(INFO.to_dict() | {"image_size": 28})


@pytest.mark.parametrize(
    "content, problem",
    [("{", r"config\.json is damaged \(Expecting"), ("[]", "does not hold a JSON object")],
)
def test_a_damaged_file_is_named(tmp_path, content, problem):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(_checks.UserError, match=problem):
        RunDirectory(str(tmp_path)).read_config()


@pytest.mark.parametrize("path", ["", "/model.ckpt-3", "/model.ckpt-3.index"])
def test_a_checkpoint_belongs_to_its_folder(tmp_path, path):
    assert RunDirectory.of_checkpoint(f"{tmp_path}{path}") == RunDirectory(str(tmp_path))


def test_a_bare_checkpoint_name_belongs_to_the_working_directory():
    assert RunDirectory.of_checkpoint("model.ckpt-3").path == "."
