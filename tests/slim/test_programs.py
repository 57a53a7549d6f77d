"""Commands in messages are those that the user can type."""

import pytest

from slim import _programs


@pytest.mark.parametrize(
    "is_installed, expected",
    [
        (False, "python download_and_convert_data.py --dataset_name=mnist '--dataset_dir=my data'"),
        (True, "slim-data --dataset_name=mnist '--dataset_dir=my data'"),
    ],
)
def test_command_is_that_of_the_installation(monkeypatch, is_installed, expected):
    monkeypatch.setattr(_programs, "_IS_INSTALLED", is_installed)
    command = _programs.command("slim-data", dataset_name="mnist", dataset_dir="my data")
    assert command == expected


def test_arguments_precede_flags():
    command = _programs.command("slim-checkpoints", "diff", model_name="lenet")
    assert command == "python -m classifier.checkpoints diff --model_name=lenet"
