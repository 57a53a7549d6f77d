"""Directories that the end-to-end tests share. A test that writes to one copies it first."""

import shutil
import sys

import pytest

from tests import shared

sys.path.insert(0, __file__.rpartition("/")[0])
import commands


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The dataset digits, converted by the script."""

    def convert(place):
        flags = ("--dataset_name=digits", f"--dataset_dir={place / 'digits'}")
        commands.run("download_and_convert_data", *flags)

    return shared.directory(tmp_path_factory, "converted", convert) / "digits"


@pytest.fixture(scope="session")
def trained_with_output(tmp_path_factory, digits):
    """A complete run with moving averages, checkpoints and evaluations, and its output."""

    def train(place):
        flags = commands.train_flags(place / "run", digits, commands.STEPS, **commands.RUN)
        output = commands.run("train_image_classifier", *flags).stdout
        (place / "output.txt").write_text(output)

    place = shared.directory(tmp_path_factory, "complete_run", train)
    return place / "run", (place / "output.txt").read_text()


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
