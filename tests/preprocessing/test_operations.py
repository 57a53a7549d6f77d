"""The operations against Pillow's."""

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageOps
import pytest
import tensorflow as tf

from preprocessing import operations

RNG = np.random.RandomState(0)
# Low frequencies in a narrow range, so that stretching and equalizing have something to do.
PIXELS = np.asarray(
    PIL.Image.fromarray(RNG.randint(30, 200, (6, 8, 3), np.uint8)).resize((40, 30), 3)
)
PICTURE = PIL.Image.fromarray(PIXELS)

PILLOW = {
    "identity": lambda strength: PICTURE,
    "auto_contrast": lambda strength: PIL.ImageOps.autocontrast(PICTURE),
    "equalize": lambda strength: PIL.ImageOps.equalize(PICTURE),
    "invert": lambda strength: PIL.ImageOps.invert(PICTURE),
    "solarize": lambda strength: PIL.ImageOps.solarize(PICTURE, round(256 * (1 - abs(strength)))),
    "posterize": lambda strength: PIL.ImageOps.posterize(PICTURE, 8 - round(4 * abs(strength))),
    "color": lambda strength: PIL.ImageEnhance.Color(PICTURE).enhance(1 + 0.9 * strength),
    "contrast": lambda strength: PIL.ImageEnhance.Contrast(PICTURE).enhance(1 + 0.9 * strength),
    "brightness": lambda strength: PIL.ImageEnhance.Brightness(PICTURE).enhance(1 + 0.9 * strength),
    "sharpness": lambda strength: PIL.ImageEnhance.Sharpness(PICTURE).enhance(1 + 0.9 * strength),
    "rotate": lambda strength: _turned(np.deg2rad(30 * strength)),
    "shear_x": lambda strength: _moved(1, 0.3 * strength, 0, 0, 1, 0),
    "shear_y": lambda strength: _moved(1, 0, 0, 0.3 * strength, 1, 0),
    "translate_x": lambda strength: _moved(1, 0, 0.45 * 40 * strength, 0, 1, 0),
    "translate_y": lambda strength: _moved(1, 0, 0, 0, 1, 0.45 * 30 * strength),
}
MOVING = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def _moved(a, b, c, d, e, f):
    """Returns the picture whose pixel (x, y) is the one nearest to (ax + by + c, dx + ey + f)."""
    # Pillow counts from the pixels' corners.
    corners = (a, b, c + 0.5 - (a + b) / 2, d, e, f + 0.5 - (d + e) / 2)
    kind = PIL.Image.Transform.AFFINE
    return PICTURE.transform(PICTURE.size, kind, corners, fillcolor=(128, 128, 128))


def _turned(angle):
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.array([19.5, 14.5])
    c, f = middle - turn @ middle
    return _moved(*turn[0], c, *turn[1], f)


def ours(name, strength, pixels=PIXELS):
    return operations.OPERATIONS[name](
        tf.constant(pixels, tf.float32), tf.constant(strength)
    ).numpy()


def test_every_operation_has_an_oracle():
    assert PILLOW.keys() == operations.OPERATIONS.keys()


@pytest.mark.parametrize("strength", [-1.0, -0.5, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_equal_to_pillow(name, strength):
    wanted = np.asarray(PILLOW[name](strength), np.float32)
    difference = np.abs(ours(name, strength) - wanted)
    if name in MOVING:
        # Where two pixels are equally near, rounding decides.
        assert (difference > 0).any(-1).mean() < 0.09
    else:
        assert difference.max() <= 2  # Pillow rounds


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_gray_pictures_keep_their_channel_and_constant_ones_their_range(name):
    assert ours(name, 0.7, PIXELS[..., :1]).shape == (30, 40, 1)
    for value in (0, 128, 255):
        found = ours(name, 1.0, np.full((9, 9, 3), value, np.uint8))
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert found.max() <= 255
