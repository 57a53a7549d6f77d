"""Code to copy that prepares a picture as evaluation does, with Pillow and NumPy alone."""

from classifier import images, model

_OPENED = """\
picture = np.asarray(Image.open("picture.jpg").convert("{mode}"), np.float32)
picture = picture.reshape(*picture.shape[:2], {channels})
"""
_GREY = """\
picture = picture @ np.float32([[0.2989], [0.587], [0.114]])
"""
# As TensorFlow 1 did it: without half pixels, and without a filter where a picture shrinks.
_RESIZED = """\
for axis, new in enumerate(size):
    old = picture.shape[axis]
    place = np.arange(new, dtype=np.float32) * np.float32(old / new)
    low = place.astype(int)
    high, share = np.minimum(low + 1, old - 1), (place - low).reshape([-1] + [1] * (2 - axis))
    picture = picture.take(low, axis) * (1 - share) + picture.take(high, axis) * share
"""
_SIZE = """\
size = {height}, {width}
"""
_SMALLEST_SIDE = """\
sides = np.float32(picture.shape[:2])
size = np.maximum(sides * (256 / sides.min()), 256).astype(int)
"""
_PADDED = """\
lacking = np.maximum(0, np.subtract([{height}, {width}], picture.shape[:2]))
picture = np.pad(picture, [*zip(lacking // 2, lacking - lacking // 2), (0, 0)])
"""
_CENTRE = """\
top, left = np.subtract(picture.shape[:2], [{height}, {width}]) // 2
picture = picture[top : top + {height}, left : left + {width}]
"""
_WITHOUT_BORDER = """\
top, left = (int((side - 0.875 * side) / 2) for side in picture.shape[:2])
picture = picture[top : picture.shape[0] - top, left : picture.shape[1] - left]
"""
_STANDARDIZED = """\
picture = (picture - picture.mean()) / max(picture.std(), picture.size**-0.5)
"""
# What each preprocessing does, from values of 0 to 255.
_STEPS = {
    "cifarnet": (_GREY, _PADDED, _CENTRE, _STANDARDIZED),
    "inception": (_GREY, _WITHOUT_BORDER, _SIZE, _RESIZED, "picture = picture / 127.5 - 1\n"),
    "lenet": (_GREY, _PADDED, _CENTRE, "picture = (picture - 128) / 128\n"),
    "none": (_GREY, _SIZE, _RESIZED),
    "vgg": (
        _SMALLEST_SIDE,
        _RESIZED,
        _CENTRE,
        "picture = picture - np.float32([123.68, 116.78, 103.94])\n",
        _GREY,
    ),
}


def prepared(classifier: model.InferenceModel, batch_size: int) -> str:
    """Returns lines that read `picture.jpg` and make `images` of it; they need NumPy as `np` and
    Pillow's `Image`.

    Args:
      classifier: whose preprocessing they follow, with `info` and `image_size`.
      batch_size: how often the picture stands in `images`.
    """
    info, channels = classifier.info, images.decoded_channels(classifier.info)
    height, width = classifier.image_size
    steps = [
        step
        for step in (_OPENED, *_STEPS[images.own_preprocessing(info)])
        if step != _GREY or info.use_grayscale
    ]
    code = "".join(steps).format(
        mode="RGB" if channels == 3 else "L", channels=channels, height=height, width=width
    )
    return f"{code}images = np.stack([picture] * {batch_size}).astype(np.float32)"
