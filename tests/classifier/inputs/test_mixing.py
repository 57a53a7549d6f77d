"""Mixup and CutMix: who is mixed with whom, by which share; resuming changes nothing."""

import functools

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.inputs import Mixing
from classifier.resolve.training import training_run
from classifier.training.batches import TrainingBatches
from datasets import dataset_factory
from slim import _checks

IMAGE = np.arange(8, dtype=np.float32)[:, None, None, None] * np.ones([8, 16, 20, 3], np.float32)


def batch():
    return {"image": tf.constant(IMAGE), "label": tf.range(8, dtype=tf.int64)}


@pytest.mark.parametrize("kind", ["mixup_alpha", "cutmix_alpha"])
def test_labels_are_mixed_as_the_pixels_are(kind):
    mixing = tf.function(Mixing(seed=3, clones=2, **{kind: 1.0}), autograph=False)
    for number in range(8):
        actual = mixing(tf.constant(number, tf.int64), batch())
        partners = [3, 2, 1, 0, 7, 6, 5, 4]  # each within its clone's part
        np.testing.assert_array_equal(actual["mixed_label"], partners)
        share = actual["mix"].numpy()[:, None]
        own = np.arange(8.0)[:, None]
        expected = share * own + (1 - share) * np.array(partners)[:, None]
        np.testing.assert_allclose(
            actual["image"].numpy().mean((1, 2)), np.repeat(expected, 3, 1), atol=1e-4
        )
        values = np.unique(actual["image"][0])
        assert set(values) <= {0.0, 3.0} if kind == "cutmix_alpha" else len(values) == 1


def test_shares_are_beta_distributed():
    alpha = 0.2
    mixing = tf.function(Mixing(seed=0, mixup_alpha=alpha), autograph=False)
    shares = [mixing(tf.constant(k, tf.int64), batch())["mix"][0].numpy() for k in range(600)]
    assert scipy.stats.kstest(shares, "beta", (alpha, alpha)).pvalue > 1e-3


def test_both_take_turns_at_random():
    mixing = tf.function(Mixing(seed=0, mixup_alpha=1.0, cutmix_alpha=1.0), autograph=False)
    blended = 0
    for k in range(200):
        first = mixing(tf.constant(k, tf.int64), batch())["image"][0].numpy()
        blended += len(np.unique(first)) == 1 and first.flat[0] not in (0.0, 7.0)
    assert 65 < blended < 135


@pytest.mark.slow
def test_the_flags_change_a_run(train, tmp_path):
    both = {"mixup_alpha": 0.4, "cutmix_alpha": 0.4}
    plain = train(tmp_path / "plain", seed=3)
    mixed = train(tmp_path / "mixed", seed=3, **both)
    assert (plain.code, mixed.code) == (0, 0)
    assert (tmp_path / "plain" / "metrics.jsonl").read_text().split('"time"')[0] != (
        tmp_path / "mixed" / "metrics.jsonl"
    ).read_text().split('"time"')[0]


@pytest.mark.slow
def test_resuming_mixes_the_batches_that_were_to_come(digits):
    config = options.build(
        TrainConfig,
        train_dir="unused",
        dataset_dir=str(digits),
        dataset_name="digits",
        model_name="lenet",
        batch_size=8,
        mixup_alpha=0.4,
        rand_augment=5.0,
    )
    resolved = training_run(config)
    dataset = dataset_factory.get_dataset("digits", "train", str(digits))
    whole = list(TrainingBatches(resolved, dataset)(0).take(5))
    rest = list(TrainingBatches(resolved, dataset)(3).take(2))
    for ours, expected in zip(rest, whole[3:], strict=True):
        for name in ("image", "label", "mixed_label", "mix"):
            np.testing.assert_array_equal(ours[name], expected[name])


@functools.cache
def first_images(digits, more):
    """Returns the images of the first batch with more options, a tuple of names and values."""
    flags = {"train_dir": "unused", "dataset_dir": str(digits), "dataset_name": "digits"}
    flags |= {"model_name": "lenet", "batch_size": 8, **dict(more)}
    resolved = training_run(options.build(TrainConfig, **flags))
    dataset = dataset_factory.get_dataset("digits", "train", str(digits))
    return next(iter(TrainingBatches(resolved, dataset)(0)))["image"].numpy()


@pytest.mark.parametrize(
    "changed",
    [
        {"auto_augment": "cifar10"},
        pytest.param({"rand_augment": 9}, marks=pytest.mark.slow),
        pytest.param({"rand_augment": 9, "rand_augment_layers": 4}, marks=pytest.mark.slow),
        {"random_erasing": 1},
        {"mixup_alpha": 1},
        pytest.param({"cutmix_alpha": 1}, marks=pytest.mark.slow),
        {"preprocessing_name": "none"},
        {"preprocessing_name": "cifarnet", "random_crop": False},
        {"preprocessing_name": "cifarnet", "random_flip": False},
        pytest.param(
            {"preprocessing_name": "inception", "random_crop": False}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"preprocessing_name": "inception", "random_flip": False}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"preprocessing_name": "inception", "color_distortion": "full"}, marks=pytest.mark.slow
        ),
        pytest.param({"preprocessing_name": "vgg", "random_crop": False}, marks=pytest.mark.slow),
        pytest.param({"preprocessing_name": "vgg", "random_flip": False}, marks=pytest.mark.slow),
    ],
    ids=lambda changed: "+".join(changed),
)
def test_each_option_changes_the_images(digits, changed):
    # The last of several is what changes them.
    less = tuple(changed.items())[:-1]
    difference = first_images(digits, less) - first_images(digits, tuple(changed.items()))
    assert np.abs(difference).max() > 0.1


@pytest.mark.parametrize(
    "flags, text",
    [
        ({"auto_augment": "imagenet", "rand_augment": 3.0}, "are mutually exclusive"),
        ({"rand_augment_layers": 3}, "rand_augment_layers needs rand_augment"),
        ({"rand_augment": 10.5}, "rand_augment=10.5"),
        ({"mixup_alpha": -1.0}, "mixup_alpha=-1"),
    ],
)
def test_wrong_options(flags, text):
    with pytest.raises(_checks.UserError, match=text):
        options.build(TrainConfig, train_dir="a", dataset_dir="b", **flags)
