"""Detection preprocessing: boxes follow the image."""

import numpy as np
import pytest
import tensorflow as tf

from preprocessing import ssd_vgg_preprocessing as ssd
from preprocessing.vgg_preprocessing import MEANS
from slim import _checks

BOXES = np.float32([[0.1, 0.2, 0.4, 0.5], [0.5, 0.55, 0.95, 0.9], [0.62, 0.05, 0.8, 0.3]])
LABELS = np.array([7, 8, 9])
HEIGHT, WIDTH = 120, 200


def synthetic_image():
    """Returns a black image with each object in its own color."""
    image = np.zeros([HEIGHT, WIDTH, 3], np.uint8)
    for number, box in enumerate(BOXES):
        top, left, bottom, right = np.round(box * [HEIGHT, WIDTH, HEIGHT, WIDTH]).astype(int)
        image[top:bottom, left:right, number] = 200
    return image


def painted(image, number):
    """Returns an object's box according to its pixels, as fractions of the sides."""
    rows, columns = np.nonzero((np.asarray(image) + np.float32(MEANS))[..., number] > 160)
    sides = np.tile(image.shape[:2], 2)
    return np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]) / sides


def check(detection, tolerance=0.035):
    """Asserts that the boxes are those of the pixels."""
    labels, boxes = np.asarray(detection.labels), np.asarray(detection.boxes)
    for label, box in zip(labels, boxes, strict=True):
        np.testing.assert_allclose(painted(detection.image, label - 7), box, atol=tolerance)


@tf.function(autograph=False)
def train(number, image=None):
    image = synthetic_image() if image is None else image
    return ssd.preprocess_for_train(
        image, tf.constant(LABELS), tf.constant(BOXES), 100, 100, seed=tf.stack([number, 5])
    )


def test_training_boxes_match_their_pixels():
    counts, parts, flips = [], set(), 0
    for number in range(80):
        detection = train(tf.constant(number))
        assert detection.image.shape == (100, 100, 3)
        check(detection)
        top, left, bottom, right = detection.frame.numpy()
        flips += left > right
        parts.add((top, min(left, right)))
        counts.append(len(detection.labels))
        left, right = sorted([left, right])
        centers = (BOXES[:, :2] + BOXES[:, 2:]) / 2
        inside = ((centers >= [top, left]) & (centers <= [bottom, right])).all(1)
        np.testing.assert_array_equal(detection.labels, LABELS[inside])
        back = ssd.from_frame(detection.boxes, detection.frame).numpy()
        clipped = np.clip(BOXES[inside], [top, left] * 2, [bottom, right] * 2)
        np.testing.assert_allclose(back, clipped, atol=1e-5)
        if number < 2:
            again = train(tf.constant(number))
            np.testing.assert_array_equal(again.image, detection.image)
    assert min(counts) >= 1
    assert len(set(counts)) > 1
    assert len(parts) > 40
    assert 22 < flips < 58


def test_parts_have_the_minimum_overlap(monkeypatch):
    monkeypatch.setattr(ssd, "OVERLAPS", (0.5,))
    draw = tf.function(ssd.random_part, autograph=False)
    parts = 0
    for number in range(60):
        part = draw(tf.constant(BOXES), tf.constant([number, 0])).numpy()
        if tuple(part) != (0, 0, 1, 1):
            parts += 1
            assert max(jaccard(part, box) for box in BOXES) >= 0.5 - 1e-6
            assert 0.099 < np.prod(part[2:] - part[:2]) <= 1
    assert parts > 10


def jaccard(a, b):
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def test_overlaps_equal_those_of_numpy():
    parts = np.float32([[0, 0, 1, 1], [0.1, 0.1, 0.5, 0.6], [0.9, 0.9, 1, 1]])
    expected = [[jaccard(part, box) for box in BOXES] for part in parts]
    np.testing.assert_allclose(ssd.overlaps(tf.constant(parts), tf.constant(BOXES)), expected, 1e-5)


def test_image_without_objects_is_not_cropped():
    none = tf.zeros([0, 4])
    for number in range(10):
        detection = ssd.preprocess_for_train(
            synthetic_image(), tf.zeros([0], tf.int64), none, 60, 60, seed=tf.constant([number, 1])
        )
        assert detection.boxes.shape == (0, 4)
        assert sorted(detection.frame.numpy()) == [0, 0, 1, 1]


@pytest.mark.parametrize("resize", ssd.RESIZES)
def test_evaluation_boxes_match_their_pixels(resize):
    detection = ssd.preprocess_for_eval(synthetic_image(), LABELS, BOXES, 100, 100, resize=resize)
    assert detection.image.shape == ((HEIGHT, WIDTH, 3) if resize == "none" else (100, 100, 3))
    check(detection)
    counts = {"warp": 3, "pad": 3, "none": 3, "central_crop": 2}
    assert len(detection.labels) == counts[resize]
    if resize != "central_crop":
        np.testing.assert_allclose(
            ssd.from_frame(detection.boxes, detection.frame), BOXES, atol=1e-6
        )
    if resize == "pad":
        np.testing.assert_allclose(detection.image[:19], 0, atol=1e-4)


def test_switched_off_distortions_equal_evaluation():
    arguments = (synthetic_image(), LABELS, BOXES, 100, 100)
    plain = ssd.preprocess_for_eval(*arguments)
    for number in range(6):
        off = ssd.preprocess_for_train(
            *arguments, seed=tf.constant([number, 0]), random_crop=False, random_flip=False
        )
        np.testing.assert_array_equal(off.image, plain.image)
        np.testing.assert_array_equal(off.boxes, plain.boxes)


def test_unknown_resize_is_an_error():
    with pytest.raises(_checks.UserError, match="resize='padd' is not known; did you mean 'pad'"):
        ssd.preprocess_for_eval(synthetic_image(), LABELS, BOXES, 10, 10, resize="padd")
