"""Fixtures of the tests of training."""

import pytest

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve.training import training_run


@pytest.fixture
def resolved(digits, tmp_path):
    """Returns a function from options to a resolved run of LeNet on the digits."""

    def resolve(**values):
        defaults = {"train_dir": str(tmp_path), "dataset_name": "digits", "model_name": "lenet"}
        defaults["dataset_dir"] = str(digits)
        return training_run(options.build(TrainConfig, **defaults | values))

    return resolve
