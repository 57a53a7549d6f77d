"""Progress bars of long work that has no log lines of its own."""

import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from classifier.export import checks, tflite
from classifier.inference.metrics import Evaluator
from classifier.inference.precise_batch_norm import PreciseBatchNorm


@pytest.mark.parametrize("work", ["evaluate", "compare", "batch norm", "calibrate"])
def test_long_work_without_steps_of_its_own_has_a_bar(work, lenet_classifier, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    images = np.zeros([2, 28, 28, 1], np.float32)
    if work == "evaluate":
        batch = {"image": images, "label": np.array([0, 1]), "mask": np.array([True, True])}
        Evaluator(lenet_classifier)(tf.data.Dataset.from_tensors(batch).repeat(3), 3)
    elif work == "compare":
        trial = types.SimpleNamespace(
            random=[images], real=[images] * 2, copies=1, samples=types.SimpleNamespace(images=[0])
        )
        checks._logits(lambda batch: batch, trial)
    elif work == "batch norm":
        recalibrate = PreciseBatchNorm.__new__(PreciseBatchNorm)
        recalibrate._averages, recalibrate._step = {}, lambda *_: {}
        recalibrate([{"image": images}] * 3, 3)
    else:
        monkeypatch.setattr(tflite.samples, "preprocessed", lambda *_: np.repeat(images, 3, 0))
        job = types.SimpleNamespace(
            options=types.SimpleNamespace(input_type="float_image"),
            classifier=lenet_classifier,
            calibration=None,
            lite_batch_size=2,
        )
        assert len(list(tflite._calibration(job))) == 3
    assert re.search(rf"{work}: .*/3 \[.*batch/s", capsys.readouterr().err)
