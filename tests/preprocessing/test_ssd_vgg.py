"""Detection preprocessing: where the picture goes, the boxes go."""

import numpy as np
import pytest
import tensorflow as tf

from preprocessing import ssd_vgg_preprocessing as ssd
from preprocessing.vgg_preprocessing import MEANS
from slim import _checks

BOXES = np.float32([[0.1, 0.2, 0.4, 0.5], [0.5, 0.55, 0.95, 0.9], [0.62, 0.05, 0.8, 0.3]])
LABELS = np.array([7, 8, 9])
HEIGHT, WIDTH = 120, 200


def picture():
    """Returns black with each object painted in a colour of its own."""
    image = np.zeros([HEIGHT, WIDTH, 3], np.uint8)
    for number, box in enumerate(BOXES):
        top, left, bottom, right = np.round(box * [HEIGHT, WIDTH, HEIGHT, WIDTH]).astype(int)
        image[top:bottom, left:right, number] = 200
    return image


def painted(image, number):
    """Returns the box of an object as its pixels show it, in shares of the sides."""
    rows, columns = np.nonzero((np.asarray(image) + np.float32(MEANS))[..., number] > 160)
    sides = np.tile(image.shape[:2], 2)
    return np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]) / sides


def check(found, tolerance=0.035):
    for label, box in zip(np.asarray(found.labels), np.asarray(found.boxes), strict=True):
        np.testing.assert_allclose(painted(found.image, label - 7), box, atol=tolerance)


@tf.function(autograph=False)
def train(number, image=None):
    image = picture() if image is None else image
    return ssd.preprocess_for_train(
        image, tf.constant(LABELS), tf.constant(BOXES), 100, 100, seed=tf.stack([number, 5])
    )


def test_training_boxes_follow_their_pixels():
    kept, parts, flips = [], set(), 0
    for number in range(80):
        found = train(tf.constant(number))
        assert found.image.shape == (100, 100, 3)
        check(found)
        top, left, bottom, right = found.frame.numpy()
        flips += left > right
        parts.add((top, min(left, right)))
        kept.append(len(found.labels))
        left, right = sorted([left, right])
        centres = (BOXES[:, :2] + BOXES[:, 2:]) / 2
        inside = ((centres >= [top, left]) & (centres <= [bottom, right])).all(1)
        np.testing.assert_array_equal(found.labels, LABELS[inside])
        back = ssd.from_frame(found.boxes, found.frame).numpy()
        cut = np.clip(BOXES[inside], [top, left] * 2, [bottom, right] * 2)
        np.testing.assert_allclose(back, cut, atol=1e-5)
        if number < 2:
            again = train(tf.constant(number))
            np.testing.assert_array_equal(again.image, found.image)
    assert min(kept) >= 1
    assert len(set(kept)) > 1
    assert len(parts) > 40
    assert 22 < flips < 58


def test_parts_overlap_as_much_as_was_asked_for(monkeypatch):
    monkeypatch.setattr(ssd, "OVERLAPS", (0.5,))
    draw = tf.function(ssd.random_part, autograph=False)
    cut = 0
    for number in range(60):
        part = draw(tf.constant(BOXES), tf.constant([number, 0])).numpy()
        if tuple(part) != (0, 0, 1, 1):
            cut += 1
            assert max(jaccard(part, box) for box in BOXES) >= 0.5 - 1e-6
            assert 0.099 < np.prod(part[2:] - part[:2]) <= 1
    assert cut > 10


def jaccard(a, b):
    common = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def test_overlaps_equal_numpys():
    parts = np.float32([[0, 0, 1, 1], [0.1, 0.1, 0.5, 0.6], [0.9, 0.9, 1, 1]])
    wanted = [[jaccard(part, box) for box in BOXES] for part in parts]
    np.testing.assert_allclose(ssd.overlaps(tf.constant(parts), tf.constant(BOXES)), wanted, 1e-5)


def test_a_picture_without_objects_stays_whole():
    none = tf.zeros([0, 4])
    for number in range(10):
        found = ssd.preprocess_for_train(
            picture(), tf.zeros([0], tf.int64), none, 60, 60, seed=tf.constant([number, 1])
        )
        assert found.boxes.shape == (0, 4)
        assert sorted(found.frame.numpy()) == [0, 0, 1, 1]


@pytest.mark.parametrize("resize", ssd.RESIZES)
def test_evaluation_boxes_follow_their_pixels(resize):
    found = ssd.preprocess_for_eval(picture(), LABELS, BOXES, 100, 100, resize=resize)
    assert found.image.shape == ((HEIGHT, WIDTH, 3) if resize == "none" else (100, 100, 3))
    check(found)
    sides = {"warp": 3, "pad": 3, "none": 3, "central_crop": 2}
    assert len(found.labels) == sides[resize]
    if resize != "central_crop":
        np.testing.assert_allclose(ssd.from_frame(found.boxes, found.frame), BOXES, atol=1e-6)
    if resize == "pad":
        np.testing.assert_allclose(found.image[:19], 0, atol=1e-4)


def test_switches():
    given = (picture(), LABELS, BOXES, 100, 100)
    plain = ssd.preprocess_for_eval(*given)
    for number in range(6):
        off = ssd.preprocess_for_train(
            *given, seed=tf.constant([number, 0]), random_crop=False, random_flip=False
        )
        np.testing.assert_array_equal(off.image, plain.image)
        np.testing.assert_array_equal(off.boxes, plain.boxes)


def test_an_unknown_resize():
    with pytest.raises(_checks.UserError, match="resize='padd' is not known; did you mean 'pad'"):
        ssd.preprocess_for_eval(picture(), LABELS, BOXES, 10, 10, resize="padd")
