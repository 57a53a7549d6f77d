"""The operations against Pillow's."""

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageOps
import pytest
import tensorflow as tf

from preprocessing import operations

RNG = np.random.RandomState(0)
# Low frequencies in a narrow range, so that stretching and equalizing have an effect.
PIXELS = np.asarray(
    PIL.Image.fromarray(RNG.randint(30, 200, (6, 8, 3), np.uint8)).resize((40, 30), 3)
)
IMAGE = PIL.Image.fromarray(PIXELS)

PILLOW = {
    "identity": lambda strength: IMAGE,
    "auto_contrast": lambda strength: PIL.ImageOps.autocontrast(IMAGE),
    "equalize": lambda strength: PIL.ImageOps.equalize(IMAGE),
    "invert": lambda strength: PIL.ImageOps.invert(IMAGE),
    "solarize": lambda strength: PIL.ImageOps.solarize(IMAGE, round(256 * (1 - abs(strength)))),
    "posterize": lambda strength: PIL.ImageOps.posterize(IMAGE, 8 - round(4 * abs(strength))),
    "color": lambda strength: PIL.ImageEnhance.Color(IMAGE).enhance(1 + 0.9 * strength),
    "contrast": lambda strength: PIL.ImageEnhance.Contrast(IMAGE).enhance(1 + 0.9 * strength),
    "brightness": lambda strength: PIL.ImageEnhance.Brightness(IMAGE).enhance(1 + 0.9 * strength),
    "sharpness": lambda strength: PIL.ImageEnhance.Sharpness(IMAGE).enhance(1 + 0.9 * strength),
    "rotate": lambda strength: _rotated(np.deg2rad(30 * strength)),
    "shear_x": lambda strength: _moved(1, 0.3 * strength, 0, 0, 1, 0),
    "shear_y": lambda strength: _moved(1, 0, 0, 0.3 * strength, 1, 0),
    "translate_x": lambda strength: _moved(1, 0, 0.45 * 40 * strength, 0, 1, 0),
    "translate_y": lambda strength: _moved(1, 0, 0, 0, 1, 0.45 * 30 * strength),
}
MOVING = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def _moved(a, b, c, d, e, f):
    """Returns an image whose pixel (x, y) is the one nearest to (ax + by + c, dx + ey + f)."""
    # Pillow's coordinates start at the pixels' corners.
    corners = (a, b, c + 0.5 - (a + b) / 2, d, e, f + 0.5 - (d + e) / 2)
    kind = PIL.Image.Transform.AFFINE
    return IMAGE.transform(IMAGE.size, kind, corners, fillcolor=(128, 128, 128))


def _rotated(angle):
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.array([19.5, 14.5])
    c, f = middle - turn @ middle
    return _moved(*turn[0], c, *turn[1], f)


def ours(name, strength, pixels=PIXELS):
    return operations.OPERATIONS[name](
        tf.constant(pixels, tf.float32), tf.constant(strength)
    ).numpy()


def test_every_operation_is_compared_with_pillow():
    assert PILLOW.keys() == operations.OPERATIONS.keys()


@pytest.mark.parametrize("strength", [-1.0, -0.5, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_operation_equals_pillows(name, strength):
    expected = np.asarray(PILLOW[name](strength), np.float32)
    difference = np.abs(ours(name, strength) - expected)
    if name in MOVING:
        # Rounding decides between two equally near pixels.
        assert (difference > 0).any(-1).mean() < 0.09
    else:
        assert difference.max() <= 2  # Pillow rounds


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_grayscale_and_constant_images_are_supported(name):
    assert ours(name, 0.7, PIXELS[..., :1]).shape == (30, 40, 1)
    for value in (0, 128, 255):
        image = ours(name, 1.0, np.full((9, 9, 3), value, np.uint8))
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 255
