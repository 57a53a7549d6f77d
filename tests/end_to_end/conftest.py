"""Directories that the end-to-end tests share. A test that writes to one copies it first."""

import shutil
import sys

import pytest

sys.path.insert(0, __file__.rpartition("/")[0])
import commands


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The dataset digits, converted by the script."""
    directory = tmp_path_factory.mktemp("digits")
    commands.run("download_and_convert_data", "--dataset_name=digits", f"--dataset_dir={directory}")
    return directory


@pytest.fixture(scope="session")
def trained_with_output(tmp_path_factory, digits):
    """A complete run with moving averages, checkpoints and evaluations, and its output."""
    run = tmp_path_factory.mktemp("trained") / "run"
    flags = commands.train_flags(run, digits, commands.STEPS, **commands.RUN)
    return run, commands.run("train_image_classifier", *flags).stdout


@pytest.fixture(scope="session")
def trained(trained_with_output):
    """The run directory of `trained_with_output`."""
    return trained_with_output[0]


@pytest.fixture
def run(trained, tmp_path):
    """A copy of `trained` that a test may change."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture(scope="session")
def exported_with_output(tmp_path_factory, trained):
    """An export of `trained` in the default formats, and the script's output."""
    export = tmp_path_factory.mktemp("export")
    flags = (f"--checkpoint_path={trained}", f"--output_dir={export}")
    return export, commands.run("export_inference_graph", *flags).stdout
