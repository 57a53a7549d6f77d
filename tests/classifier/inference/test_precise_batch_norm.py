"""Batch norm's statistics estimated anew, for a second evaluation."""

import json

import numpy as np
import pytest
import tensorflow as tf

from classifier.inference import precise_batch_norm
from slim import _checks
from tests.classifier.export.test_formats import classifier_of, make_run

# A run that ends long before batch norm's averages settle, which takes 10,000 steps.
SHORT = {
    "model_name": "mobilenet_v1_025", "preprocessing_name": "lenet", "train_image_size": "32,32",
    "optimizer": "adam", "learning_rate": 0.01, "opt_epsilon": 1e-7, "batch_size": 32,
    "max_number_of_steps": 60,
}  # fmt: skip


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    name = "mobilenet_v1_025"
    return classifier_of(make_run(tmp_path_factory.mktemp("run"), name, 3, label_names=()))


def images_of(classifier, number):
    shape = [2, *classifier.image_shape]
    return tf.random.stateless_uniform(shape, seed=[0, number], minval=-1)


@pytest.mark.slow
def test_the_evaluation_says_both(train, evaluate, tmp_path):
    run = tmp_path / "run"
    assert train(run, **SHORT).code == 0
    flags = {"eval_json": tmp_path / "eval.json", "eval_dir": tmp_path / "eval"}
    done = evaluate(run, recalibrate_batch_norm=5, **flags)
    assert done.code == 0, done.err
    actual = json.loads((tmp_path / "eval.json").read_text())
    assert actual["recalibrated_accuracy"] > actual["accuracy"] + 0.3
    before, after = (f"validation accuracy {actual[name]:.3f} (360 of 360 images)"
                     for name in ("accuracy", "recalibrated_accuracy"))  # fmt: skip
    begins = "With batch norm statistics of 5 batches of 100 images of train instead of its"
    place = next(n for n, line in enumerate(done.out) if line.startswith(begins))
    assert done.out.index(before) < place < done.out.index(after)
    assert done.out[-1].startswith("warning: batch norm's moving averages have not converged")
    (path,) = (tmp_path / "eval").iterdir()
    written = {value.tag for event in tf.compat.v1.train.summary_iterator(str(path))
               for value in event.summary.value}  # fmt: skip
    assert "validation/recalibrated_accuracy" in written

    alone = evaluate(run, **flags | {"eval_json": tmp_path / "alone.json"})
    assert before in alone.out
    assert "recalibrated_accuracy" not in json.loads((tmp_path / "alone.json").read_text())


def test_they_are_the_means_of_the_batches_own(classifier):
    batches = [
        tf.random.stateless_uniform([8, 32, 32, 3], seed=[0, number], minval=-1)
        for number in (1, 2)
    ]
    precise_batch_norm.PreciseBatchNorm(classifier)([{"image": image} for image in batches])
    variables = classifier.store.named_variables
    kernel = variables["MobilenetV1/Conv2d_0/weights"]
    convolved = [tf.nn.conv2d(image, kernel, 2, "SAME").numpy() for image in batches]
    mean, variance = (variables[f"MobilenetV1/Conv2d_0/BatchNorm/moving_{name}"].numpy()
                      for name in ("mean", "variance"))  # fmt: skip
    places = convolved[0].size / convolved[0].shape[-1]
    np.testing.assert_allclose(mean, np.mean([c.mean((0, 1, 2)) for c in convolved], 0), atol=1e-6)
    unbiased = [c.var((0, 1, 2)) * places / (places - 1) for c in convolved]
    np.testing.assert_allclose(variance, np.mean(unbiased, 0), rtol=1e-5)


def test_nothing_else_changes(classifier):
    before = {name: v.numpy() for name, v in classifier.store.named_variables.items()}
    precise_batch_norm.PreciseBatchNorm(classifier)([{"image": images_of(classifier, 3)}])
    changed = {name for name, value in before.items()
               if not np.array_equal(value, classifier.store.named_variables[name])}  # fmt: skip
    assert changed == {name for name in before if "/moving_" in name}


def test_a_network_without_batch_norm(lenet_run, evaluate):
    done = evaluate(lenet_run, recalibrate_batch_norm=5)
    assert done.code == 2
    assert done.err == ["eval: --recalibrate_batch_norm has no effect: lenet has no batch norm"]
    with pytest.raises(_checks.UserError, match="recalibrate_batch_norm has no effect"):
        precise_batch_norm.PreciseBatchNorm(classifier_of(lenet_run))
