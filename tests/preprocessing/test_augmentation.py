"""AutoAugment, RandAugment and random erasing: functions of a seed, with the papers'
probabilities."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from preprocessing import augmentation, operations, policies, preprocessing_factory
from slim import _checks

RNG = np.random.RandomState(0)
IMAGE = RNG.randint(0, 256, (20, 24, 3)).astype(np.float32)
KINDS = {
    "auto_augment": {"auto_augment": "imagenet"},
    "cifar10": {"auto_augment": "cifar10"},
    "rand_augment": {"rand_augment": 9.0},
    "random_erasing": {"random_erasing": 1.0},
    "all": {"rand_augment": 5.0, "layers": 3, "random_erasing": 0.5},
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "cifar10")) for kind in KINDS]
)
def test_result_is_a_function_of_the_seed(kind):
    distort = augmentation.Augmentation(**KINDS[kind])
    traced = tf.function(distort, autograph=False)
    results = [traced(IMAGE, tf.constant([number, 3])).numpy() for number in range(12)]
    assert len({each.tobytes() for each in results}) > 3
    for number, each in enumerate(results):
        assert each.shape == IMAGE.shape
        assert each.min() >= 0
        assert each.max() <= 255
        if number < 3:
            again = distort(IMAGE, tf.constant([number, 3]))
            np.testing.assert_allclose(again, each, atol=1e-3)


def test_erased_rectangles_have_the_papers_areas():
    distort = tf.function(augmentation.Augmentation(random_erasing=0.5), autograph=False)
    white = tf.fill([60, 60, 1], 255.0)
    areas = []
    for number in range(300):
        rows, columns = np.nonzero(distort(white, tf.constant([number, 0])).numpy()[..., 0] < 255)
        if rows.size:
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert rows.size == height * width  # a full rectangle
            areas.append(height * width / 3600)
    assert 115 < len(areas) < 185  # half, within 4 standard deviations
    assert min(areas) > 0.01
    assert max(areas) < 0.36
    assert 0.15 < np.mean(areas) < 0.2


def test_operations_are_drawn_uniformly(monkeypatch):
    counts = collections.Counter()
    numbered = {
        name: lambda image, strength, i=i: tf.fill([1], float(i) + (0.25 if i else 0))
        for i, name in enumerate(operations.OPERATIONS)
    }
    monkeypatch.setattr(augmentation, "OPERATIONS", numbered)
    draw = tf.function(
        lambda seed: augmentation.rand_augment(tf.zeros([1]), seed, 9.0, 1), autograph=False
    )
    for number in range(1400):
        counts[int(draw(tf.constant([number, 1]))[0])] += 1
    assert len(counts) == 14  # all but `invert`
    expected = 1400 / 14
    assert (
        sum((n - expected) ** 2 / expected for n in counts.values()) < 34.5
    )  # chi-square, 13, 1e-3


def test_policies_name_operations_and_have_probabilities():
    for policy in policies.POLICIES.values():
        assert len(policy) == 25
        for pair in policy:
            for name, probability, level in pair:
                assert name in operations.OPERATIONS
                assert 0 <= probability <= 1
                assert 0 <= level <= policies.HIGHEST_LEVEL


@pytest.mark.parametrize("name", sorted(preprocessing_factory.PREPROCESSINGS))
def test_every_preprocessing_applies_distort(name):
    size = 64
    image = tf.constant(RNG.randint(0, 256, (64, 64, 3), np.uint8))
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)
    calls = []

    def distort(image, seed):
        calls.append((image.shape, float(tf.reduce_max(image)), seed))
        return 255.0 - image

    seed = tf.constant([1, 2])
    plain = prepare(image, size, size, seed=seed)
    changed = prepare(image, size, size, seed=seed, distort=distort)
    (shape, highest, own_seed) = calls[0]
    assert shape == (size, size, 3)
    assert 200 < highest <= 255.001
    np.testing.assert_array_equal(own_seed, seed)
    assert np.abs(changed - plain).max() > 0.5


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"auto_augment": "imagenett"}, "auto_augment='imagenett' is not known; did you mean"),
        ({"rand_augment": 11.0}, "rand_augment=11"),
        ({"random_erasing": 1.5}, "random_erasing=1.5"),
        ({"rand_augment": 1.0, "layers": 0}, "layers=0 must be positive"),
    ],
)
def test_invalid_settings_are_errors(settings, text):
    with pytest.raises(_checks.UserError, match=text):
        preprocessing_factory.get_augmentation(**settings)
