"""Events for TensorBoard: metrics, histograms of variables and activations, and sparsity."""

import glob
import json
import types

import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier import network
from classifier.checkpoints import sources
from classifier.inference import model
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from classifier.training.batches import TrainingBatches
from classifier.training.hooks.activations import Activations
from classifier.training.hooks.tensorboard import EventHook
from classifier.training.loss import training_loss
from datasets import dataset_factory
from slim import checkpoints, learning
from slim.events import histogram
from tests.slim.small_net import built, images, small_net


def summaries(directory):
    """Returns {(name, step): (plugin, array)} of the event files in a directory."""
    return {
        (value.tag, event.step): (
            value.metadata.plugin_data.plugin_name,
            tf.make_ndarray(value.tensor),
        )
        for path in glob.glob(f"{directory}/events*")
        for record in tf.data.TFRecordDataset(path)
        for event in [tf.compat.v1.Event.FromString(record.numpy())]
        for value in event.summary.value
    }


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=[40, 5]).astype(np.float32),
        np.arange(301, dtype=np.float32) ** 2,
    ],
)
def test_a_histogram_equals_numpys(values):
    counts, edges = np.histogram(values, 30)
    buckets = histogram(values).numpy()
    np.testing.assert_allclose(buckets[:, 0], edges[:-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(buckets[:, 1], edges[1:], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(buckets[:, 2], counts)


def test_histograms_of_equal_half_precision_and_non_finite_values():
    equal = histogram(tf.fill([7], 3.0)).numpy()
    assert equal[:, 2].sum() == 7
    assert (equal[0, 0], equal[-1, 1]) == (2.5, 3.5)
    assert histogram(tf.constant([1, 2], tf.bfloat16)).numpy()[:, 2].sum() == 2
    bad = histogram([np.nan, np.inf, 1.0, 2.0]).numpy()
    assert (bad[0, 0], bad[-1, 1], bad[:, 2].sum()) == (1, 2, 2)
    assert histogram([np.nan]).numpy()[:, 2].sum() == 0


def test_a_run_writes_the_summaries_of_tf_slim(train, resolved, tmp_path, digits):
    assert train(tmp_path, save_summaries_secs=600).code == 0
    events = summaries(tmp_path)
    info = RunDirectory(str(tmp_path)).read_model_info()
    reader = checkpoints.read(str(tmp_path / "model.ckpt-2"))
    classifier = model.InferenceModel(info, sources.open_checkpoint(str(tmp_path)))
    for name, value in classifier.values().items():
        plugin, buckets = events[name, 2]
        assert plugin == "histograms"
        assert buckets[:, 2].sum() == value.size
        assert buckets[0, 0] == pytest.approx(reader.get(name).min())
        assert buckets[-1, 1] == pytest.approx(reader.get(name).max())
    dataset = dataset_factory.get_dataset("digits", "train", str(digits))
    batch = TrainingBatches(resolved(batch_size=8), dataset).batch(1)["image"]
    relu = classifier.output("conv1", tf.constant(batch)).numpy()
    plugin, buckets = events["activations/conv1", 2]
    assert plugin == "histograms"
    assert buckets[:, 2].sum() == relu.size
    assert buckets[-1, 1] == pytest.approx(relu.max(), rel=1e-4)
    plugin, sparsity = events["sparsity/conv1", 2]
    assert plugin == "scalars"
    assert 0.05 < sparsity == pytest.approx((relu == 0).mean(), abs=1e-3)
    logits = classifier.output("Logits", tf.constant(batch)).numpy()
    assert events["activations/Logits", 2][1][:, 2].sum() == logits.size
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    last = {
        name: float(value) for (name, step), (kind, value) in events.items() if kind == "scalars"
    }
    assert last["learning_rate"] == pytest.approx(line["learning_rate"])
    cross_entropy = last["losses/softmax_cross_entropy_loss/value"]
    assert last["Losses/clone_loss"] == cross_entropy
    assert last["total_loss"] == pytest.approx(cross_entropy + last["Losses/regularization_loss"])
    weights = [value for name, value in classifier.values().items() if name.endswith("/weights")]
    penalty = sum(0.00004 * (value**2).sum() / 2 for value in weights)
    assert last["Losses/regularization_loss"] == pytest.approx(penalty, rel=0.01)
    assert last["global_step/sec"] > 0
    assert {name for name in last if name.startswith("train/")} == {
        "train/accuracy",
        "train/data_wait",
        "train/gradient_norm",
    }


def test_points_are_written_at_the_interval_and_at_the_end(tmp_path):
    now = [0.0]

    def activations(store, step, images):
        now[0] += 5  # must not count as time of the steps
        return {}

    hook = EventHook(str(tmp_path), 10, activations, lambda _: {"image": None}, lambda: now[0])
    run = learning.Run(types.SimpleNamespace(store=slim.VariableStore(seed=0)), None, 0, 8)
    hook.begin(run)
    for step in range(1, 9):
        run.step = step
        now[0] += 4
        hook.after_steps(run, {"loss": np.array([float(step)])})
    hook.end(run)
    events = summaries(tmp_path)
    losses = {step: float(value) for (name, step), (_, value) in events.items() if "loss" in name}
    assert losses == {3: 3.0, 6: 6.0, 8: 8.0}
    rates = [float(value) for (name, _), (_, value) in events.items() if "sec" in name]
    assert rates == [0.25] * 3


@pytest.mark.slow
def test_the_auxiliary_loss_has_its_own_scalar():
    info = ModelInfo(
        model_name="inception_v3",
        num_classes=3,
        image_size=(107, 107),
        preprocessing_name="inception",
    )
    loss = training_loss(network.training_network(info, weight_decay=0.0), 3)
    specs = (tf.TensorSpec([2, 107, 107, 3]), tf.TensorSpec([2], tf.int64))
    numbers = {}

    def traced(images, labels):
        total, metrics = loss(images, labels)
        numbers.update(metrics)
        return total

    slim.VariableStore(seed=0).build(traced, *specs)
    assert set(numbers) == {
        "accuracy",
        "losses/aux_loss/value",
        "losses/softmax_cross_entropy_loss/value",
        "Losses/clone_loss",
    }


def test_activations_are_in_training_mode_and_update_nothing():
    store = built()
    before = {name: value.numpy() for name, value in store.named_variables.items()}

    def network(images):
        return None, {"out": small_net(images)}

    batch = images(6)
    activations = Activations(network, 4)(store, 3, batch)
    for name, value in store.named_variables.items():
        np.testing.assert_array_equal(before[name], value.numpy())
    with store.as_default():
        expected = small_net(tf.constant(batch[:4]), is_training=True).numpy()
    buckets, zeros = activations["out"]
    assert buckets.numpy()[:, 2].sum() == expected.size
    assert float(buckets[0, 0]) == pytest.approx(expected.min(), rel=1e-4)
    assert float(buckets[-1, 1]) == pytest.approx(expected.max(), rel=1e-4)
    assert float(zeros) == 0
    # The pass in training mode updated them, so the comparison above could have failed.
    after = store.named_variable("Net/conv1/BatchNorm/moving_mean").numpy()
    assert (after != before["Net/conv1/BatchNorm/moving_mean"]).any()
