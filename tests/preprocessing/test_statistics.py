"""Over 10,000 draws, training's random numbers are distributed as in TF-Slim.

The images are chosen so that the random numbers can be computed from the result. The bounds are
those of tests at a significance of one in a thousand; the seeds are fixed, and so is the outcome.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from preprocessing import cifarnet_preprocessing, inception_preprocessing, vgg_preprocessing

DRAWS = 10_000
KOLMOGOROV = 1.95  # limit of sqrt(n) * D

pytestmark = pytest.mark.slow


def draw(function, number=DRAWS):
    """Returns the results of a function of a seed, stacked."""
    seeds = tf.data.Dataset.range(number).map(
        lambda i: function(tf.stack([tf.cast(i, tf.int32), 5])), num_parallel_calls=2
    )
    return np.stack(list(seeds.as_numpy_iterator()))


def assert_uniform(values, low, high):
    values = (np.sort(values) - low) / (high - low)
    steps = np.arange(len(values) + 1) / len(values)
    distance = max(np.abs(values - steps[:-1]).max(), np.abs(values - steps[1:]).max())
    assert distance * np.sqrt(len(values)) < KOLMOGOROV
    assert values[0] >= -1e-3
    assert values[-1] <= 1 + 1e-3


def assert_same(ours, theirs):
    """Compares two samples by the largest difference of their distribution functions."""
    places = np.sort(np.concatenate([ours, theirs]))
    parts = [np.searchsorted(np.sort(each), places, "right") / len(each) for each in (ours, theirs)]
    distance = np.abs(parts[0] - parts[1]).max()
    assert distance * np.sqrt(len(ours) * len(theirs) / (len(ours) + len(theirs))) < KOLMOGOROV


def assert_even(values, kinds):
    """Chi-square of counts that should be equal; its square root's tail is nearly normal."""
    counts = np.array([np.sum(values == kind) for kind in kinds])
    assert counts.sum() == len(values), "unexpected value"
    expected, degrees = len(values) / len(kinds), len(kinds) - 1
    chi_square = ((counts - expected) ** 2 / expected).sum()
    limit = degrees * (1 - 2 / (9 * degrees) + 3.09 * np.sqrt(2 / (9 * degrees))) ** 3
    assert chi_square < limit


def ramp(height, width):
    """Returns an image whose first channels are the row and the column, 0 to 1."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return tf.constant(np.stack([y / height, x / width, y * 0], -1))


def test_inceptions_crops_are_distributed_as_in_tf_slim():
    height, width, size = 150, 200, 16
    image = ramp(height, width)
    crop = functools.partial(
        inception_preprocessing.preprocess_for_train,
        random_flip=False,
        color_distortion="none",
    )
    results = draw(lambda seed: crop(image, size, size, seed=seed)[:: size - 1, :: size - 1, :2])
    results = results / 2 + 0.5
    pixels = np.array([height, width])
    begin = np.rint(results[:, 0, 0] * pixels)
    sides = np.rint((results[:, 1, 1] - results[:, 0, 0]) * size / (size - 1) * pixels)

    def tf_slim(_):
        return tf.raw_ops.SampleDistortedBoundingBoxV2(
            image_size=tf.constant([height, width, 3]),
            bounding_boxes=tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            min_object_covered=0.1,
            seed=1,
            seed2=2,
            aspect_ratio_range=(0.75, 1.33),
            area_range=(0.05, 1.0),
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        ).bboxes[0, 0]

    boxes = draw(tf_slim)
    expected_begin = np.rint(boxes[:, :2] * pixels)
    expected = np.rint(boxes[:, 2:] * pixels) - expected_begin
    assert_same(sides.prod(axis=1), expected.prod(axis=1))
    assert_same(sides[:, 1] / sides[:, 0], expected[:, 1] / expected[:, 0])
    for axis in (0, 1):
        assert_same(begin[:, axis], expected_begin[:, axis])
    aspect = sides[:, 1] / sides[:, 0]
    assert (aspect > 0.7).all()
    assert (aspect < 1.4).all()


def colors(pixels, mode):
    """Returns the results of inception's color distortion of a small image, in [0, 1]."""
    height, width = pixels.shape[:2]
    train = functools.partial(
        inception_preprocessing.preprocess_for_train, random_crop=False, random_flip=False
    )
    image = tf.constant(pixels, tf.float32)
    results = draw(
        lambda seed: train(
            image, height, width, seed=seed, color_distortion=mode, fast_mode=mode == "fast"
        )
    )
    return results / 2 + 0.5


@pytest.mark.parametrize("mode", ["fast", "full"])
def test_inceptions_brightness_and_saturation_are_uniform(mode):
    red = colors(np.full((2, 2, 3), [0.5, 0.25, 0.25]), mode)[:, 0, 0]
    largest = red.max(axis=1)
    assert_uniform(largest - 0.5, -32 / 255, 32 / 255)
    assert_uniform((largest - red.min(axis=1)) / 0.25, 0.5, 1.5)


def test_inceptions_hue_is_uniform():
    red = colors(np.full((2, 2, 3), [0.5, 0.25, 0.25]), "full")[:, 0, 0]
    hue = tf.image.rgb_to_hsv(red).numpy()[:, 0]
    assert_uniform((hue + 0.5) % 1.0 - 0.5, -0.2, 0.2)


def test_inceptions_contrast_is_uniform():
    halves = np.full((2, 2, 3), 0.4)
    halves[1] = 0.6
    results = colors(halves, "full")
    assert_uniform((results[:, 1, 0, 0] - results[:, 0, 0, 0]) / 0.2, 0.5, 1.5)


def test_flips_have_probability_one_half():
    image = ramp(8, 8)
    for train in (
        functools.partial(
            inception_preprocessing.preprocess_for_train,
            random_crop=False,
            color_distortion="none",
        ),
        functools.partial(
            vgg_preprocessing.preprocess_for_train,
            random_crop=False,
            resize_side_min=8,
            resize_side_max=8,
        ),
        functools.partial(
            cifarnet_preprocessing.preprocess_for_train,
            random_crop=False,
            color_distortion="none",
        ),
    ):
        results = draw(lambda seed, train=train: train(image, 8, 8, seed=seed)[0, ::7, 1])
        assert_even(results[:, 0] > results[:, 1], (False, True))


def test_vggs_side_and_position_are_uniform():
    height, width, size = 300, 400, 64
    image = 255 * ramp(height, width)
    train = functools.partial(vgg_preprocessing.preprocess_for_train, random_flip=False)
    results = draw(lambda seed: train(image, size, size, seed=seed)[:: size - 1, :: size - 1, :2])
    results = (results + np.array(vgg_preprocessing.MEANS[:2], np.float32)) / 255
    step = (results[:, 1, 1] - results[:, 0, 0]) / (size - 1)
    sides = np.rint(1 / step).astype(int)
    assert_even(sides[:, 0], range(256, 513))
    places = np.rint(results[:, 0, 0] * sides)
    for axis in (0, 1):
        assert_uniform((places[:, axis] + 0.5) / (sides[:, axis] - size + 1), 0, 1)


def test_cifarnets_shifts_are_uniform():
    image = tf.constant(np.indices((32, 32)).sum(0)[..., np.newaxis] * [1.0, 1, 1], tf.float32)
    train = functools.partial(
        cifarnet_preprocessing.preprocess_for_train,
        random_flip=False,
        color_distortion="none",
    )
    results = draw(lambda seed: train(image, 32, 32, seed=seed)[:, :, 0])
    # The padding is the darkest: rows and columns of padding only.
    dark = results <= results.min(axis=(1, 2), keepdims=True)
    for across in (1, 2):
        lines = dark.all(axis=across)
        assert_even(lines[:, :4].sum(axis=1) - lines[:, -4:].sum(axis=1), range(-4, 5))
