"""Evaluation of models whose logits say nothing: all equal, or no numbers."""

import json

import numpy as np
import pytest

from datasets import dataset_info
from tests.classifier import originals

GIVEN = {"model_name": "lenet", "dataset_name": "digits"}


@pytest.fixture
def lenet(tmp_path):
    """Returns checkpoints of LeNet that gives every class the same logit."""

    def write(logit):
        values = originals.network_values("lenet")
        values["LeNet/fc4/weights"] = np.zeros([1024, 10], np.float32)
        values["LeNet/fc4/biases"] = np.full([10], logit, np.float32)
        return originals.write(tmp_path / "model.ckpt-1", values)

    return write


def test_equal_logits_predict_the_lowest_class(evaluate, lenet, digits, tmp_path):
    done = evaluate(lenet(1.0), eval_json=tmp_path / "eval.json", **GIVEN)
    assert done.code == 0
    actual = json.loads((tmp_path / "eval.json").read_text())
    counts = np.array(dataset_info.read(str(digits)).splits["validation"].per_class)
    expected = counts[0] / counts.sum(), counts[:5].sum() / counts.sum()
    assert (actual["accuracy"], actual["recall_at_k"]) == pytest.approx(expected)
    assert actual["macro_recall"] == pytest.approx(1 / 10)
    assert "close to chance" in "".join(done.out)


def test_nan_logits_are_an_error(evaluate, lenet, tmp_path):
    done = evaluate(lenet(np.nan), eval_json=tmp_path / "eval.json", **GIVEN)
    assert (done.code, len(done.err)) == (1, 1)
    assert "the logits of batch 0 are not finite" in done.err[0]
    assert not (tmp_path / "eval.json").exists()
