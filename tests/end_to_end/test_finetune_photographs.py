"""Automatic fine-tuning with 20 photographs a class, from published and from random weights."""

import json
import os

import numpy as np
import pytest

from classifier.checkpoints import fetch
from classifier.cli import flags
from classifier.config.training import TrainConfig
from classifier.training import run as training
from datasets import folder
from slim import checkpoints
from tests import photographs

NAME = "mobilenet_v1_1.0_224"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    if len(photographs.find()) < len(photographs.NAMES):
        pytest.skip("needs scikit-image's photographs (installed, or in SLIM_PHOTOGRAPHS)")
    directory = tmp_path_factory.mktemp("photographs")
    photographs.write(directory / "source", train=20, held_out=10)
    folder.convert(str(directory / "data"), source_dir=str(directory / "source"))
    return directory / "data"


@pytest.fixture(scope="module")
def published():
    prefix = os.path.join(fetch.cache_directory(), NAME, f"{NAME}.ckpt")
    if not os.path.exists(f"{prefix}.index"):
        pytest.skip(f"needs {prefix}; run slim-checkpoints fetch {NAME}")
    return prefix


def accuracies(dataset, train_dir, checkpoint, **values):
    values = {
        "train_dir": train_dir,
        "dataset_name": "folder",
        "dataset_dir": dataset,
        "model_name": "mobilenet_v1",
        "checkpoint_path": checkpoint,
        "finetune": "auto",
    } | values
    argv = ["train", *(f"--{name}={value}" for name, value in values.items())]
    assert flags.main(TrainConfig, training.run, "", argv) == 0
    lines = map(json.loads, (train_dir / "metrics.jsonl").read_text().splitlines())
    return [line["eval_accuracy"] for line in lines if "eval_accuracy" in line]


@pytest.mark.slow
def test_twenty_images_a_class_are_enough_with_published_weights(dataset, published, tmp_path):
    assert max(accuracies(dataset, tmp_path / "run", published)) >= 0.95


@pytest.mark.slow
def test_random_weights_are_far_worse(dataset, published, tmp_path):
    reader = checkpoints.read(published)
    rng = np.random.default_rng(0)
    values = {}
    for name in reader.variables():
        value = reader.get(name)
        if name.endswith("weights"):
            # As He et al. initialize: unit variance after a convolution and a ReLU.
            fan_in = value[..., 0].size if "depthwise" not in name else value[..., 0, 0].size
            value = rng.normal(0, np.sqrt(2 / fan_in), value.shape).astype(np.float32)
        else:
            is_one = name.endswith(("gamma", "moving_variance"))
            value = np.full_like(value, 1.0 if is_one else 0.0)
        values[name] = value
    (tmp_path / "random").mkdir()
    checkpoints.save(str(tmp_path / "random" / "model.ckpt-0"), values)
    random = accuracies(
        dataset, tmp_path / "run", tmp_path / "random", max_number_of_steps=4, eval_every_steps=4
    )
    assert max(random) < 0.75
