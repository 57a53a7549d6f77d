"""The scripts in this process, and data for them."""

import contextlib
import io
import shutil

import pytest

from classifier.cli import flags
from classifier.config.evaluation import EvalConfig
from classifier.config.training import TrainConfig
from tests import shared
from tests.classifier import several_labels


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder with the digits."""

    def fill(place):
        from datasets import download_and_convert  # here, for it loads TensorFlow

        download_and_convert.convert("digits", str(place))

    return shared.directory(tmp_path_factory, "digits", fill)


@pytest.fixture(scope="session")
def lenet_run(tmp_path_factory):
    """A folder as training leaves it: LeNet of the digits, with the recipe's weights."""
    from tests.classifier.export.test_formats import make_run

    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    folder = tmp_path_factory.mktemp("lenet_run")
    return make_run(folder, label_names=names, dataset_name="digits")


@pytest.fixture(scope="session")
def lenet_classifier(lenet_run):
    """The model of `lenet_run`."""
    from classifier.checkpoints import sources
    from classifier.inference.model import InferenceModel
    from classifier.run_directory import RunDirectory

    return InferenceModel(
        RunDirectory(str(lenet_run)).read_model_info(), sources.open_checkpoint(str(lenet_run))
    )


class Answer:
    """How a command ended: `code`, and `out` and `err` as lists of lines."""

    def __init__(self, code, captured):
        self.code = int(code)
        self.out = captured.out.splitlines()
        self.err = [line for line in captured.err.splitlines() if not line.startswith("E0000")]


@pytest.fixture
def evaluate(capsys, digits):
    """Runs the evaluation script on the digits; flags as keywords."""
    from classifier.inference import evaluate

    def run(checkpoint_path, **more):
        values = {
            "checkpoint_path": checkpoint_path,
            "dataset_dir": digits,
            "dataset_split_name": "validation",
        } | more
        argv = ["eval", *(f"--{name}={value}" for name, value in values.items())]
        return Answer(flags.main(EvalConfig, evaluate.run, "", argv), capsys.readouterr())

    return run


def _train(digits, train_dir, **more):
    """Returns the exit code of a training run of two steps on the digits."""
    from classifier.training import run as training

    values = {
        "train_dir": train_dir,
        "dataset_name": "digits",
        "dataset_dir": digits,
        "model_name": "lenet",
        "batch_size": 8,
        "max_number_of_steps": 2,
        "optimizer": "momentum",
        "save_summaries_secs": 0,
    } | more
    argv = ["train", *(f"--{name}={value}" for name, value in values.items())]
    return flags.main(TrainConfig, training.run, "", argv)


@pytest.fixture
def train(capsys, digits):
    """Runs the training script on the digits for some steps; flags as keywords."""

    def run(train_dir, **more):
        code = _train(digits, train_dir, **more)
        return Answer(code, capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def trained(digits, tmp_path_factory):
    """The directory of a run of two steps, eight images each; not to be changed."""

    def fill(place):
        with contextlib.redirect_stdout(io.StringIO()):
            assert _train(digits, place / "run") == 0

    return shared.directory(tmp_path_factory, "trained", fill) / "run"


@pytest.fixture
def existing_run(trained, tmp_path):
    """A copy of `trained`, `run` in the test's directory."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture(scope="session")
def labels_data(tmp_path_factory):
    """A dataset with three of six labels an image: 90 images for training, 30 for validation."""

    def fill(place):
        from datasets import folder  # here, for it loads TensorFlow

        source = several_labels.write(place / "source", count=120)
        folder.convert(
            str(place / "data"), source_dir=str(source), multi_label=True, validation_fraction=0.25
        )

    return shared.directory(tmp_path_factory, "labels_data", fill) / "data"


@pytest.fixture(scope="session")
def labels_run(labels_data, tmp_path_factory):
    """The directory of a run on `labels_data` that has learned something; not to be changed."""

    def fill(place):
        more = {"dataset_name": "folder", "use_grayscale": True, "max_number_of_steps": 60}
        more |= {"batch_size": 30, "eval_every_steps": 30, "log_every_n_steps": 10}
        more |= {"train_image_size": 16}
        more |= {"optimizer": "adam", "learning_rate": 0.001}
        with contextlib.redirect_stdout(io.StringIO()):
            assert _train(labels_data, place / "run", **more) == 0

    return shared.directory(tmp_path_factory, "labels_run", fill) / "run"
