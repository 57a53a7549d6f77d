"""Folders that the end-to-end tests share."""

import sys

import pytest

sys.path.insert(0, __file__.rpartition("/")[0])
import commands


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder with the digits, converted by the script."""
    folder = tmp_path_factory.mktemp("digits")
    commands.run("download_and_convert_data", "--dataset_name=digits", f"--dataset_dir={folder}")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory, digits):
    """A finished run of 60 steps with moving averages, a checkpoint each 20 steps."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    flags = commands.train_flags(
        folder, digits, 60, save_interval_steps=20, moving_average_decay=0.9
    )
    commands.run("train_image_classifier", *flags)
    return folder
