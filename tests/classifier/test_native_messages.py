"""TensorFlow's own log while the input pipeline runs."""

import os
import subprocess
import sys

import pytest

_ITERATE = """
import sys
from classifier import inputs
from datasets import dataset_factory
from preprocessing import preprocessing_factory

dataset = dataset_factory.get_dataset("digits", "train", sys.argv[1])
for size, balanced in ((28, False), (28, True), (72, False)):
    preprocess = preprocessing_factory.get_preprocessing("lenet", is_training=True)
    shape = dict(image_size=(size, size), batch_size=32)
    index = inputs.index_records(dataset) if balanced else None
    batches = inputs.training_dataset(
        dataset, preprocessing_fn=preprocess, seed=0, balanced=index, **shape
    )
    assert sum(1 for _ in batches.take(50)) == 50  # more than an epoch
    if size == 72:
        evaluated = inputs.evaluation_dataset(dataset, preprocessing_fn=preprocess, **shape)
        assert sum(1 for _ in evaluated) == 45
"""


@pytest.mark.slow
def test_the_input_pipeline_makes_tensorflow_log_no_error(digits):
    run = subprocess.run(
        [sys.executable, "-c", _ITERATE, str(digits)],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "0"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "RefCount" not in run.stderr
