"""A directory of links: images of three of six shapes each, linked from the three classes."""

import itertools

import numpy as np
import PIL.Image

CLASSES = ("bar", "block", "cross", "dot", "ring", "stripe")
_SHAPES = {
    "bar": ["....", "####", "####", "...."],
    "block": ["####", "####", "####", "####"],
    "cross": ["#..#", ".##.", ".##.", "#..#"],
    "dot": ["....", ".##.", ".##.", "...."],
    "ring": ["####", "#..#", "#..#", "####"],
    "stripe": ["#.#.", "#.#.", "#.#.", "#.#."],
}


def image(labels, random):
    """Returns a gray image of 28 x 28 pixels with noise and a shape for each label."""
    pixels = random.integers(0, 120, [28, 28])
    for label in labels:
        shape = np.array([[each == "#" for each in row] for row in _SHAPES[CLASSES[label]]])
        top, left = 9 * (label // 3), 9 * (label % 3)
        drawn = np.kron(shape, np.ones([2, 2])) > 0
        pixels[top : top + 8, left : left + 8][drawn] += random.integers(40, 135)
    return PIL.Image.fromarray(pixels.astype(np.uint8)).convert("RGB")


def write(directory, count=120, seed=3):
    """Writes `directory/images` and, with links to it, `directory/classes`; returns the latter."""
    random, sets = np.random.default_rng(seed), list(itertools.combinations(range(6), 3))
    (directory / "images").mkdir(parents=True)
    for name in CLASSES:
        (directory / "classes" / name).mkdir(parents=True)
    for number in range(count):
        labels, path = sets[number % len(sets)], directory / "images" / f"{number:03d}.png"
        image(labels, random).save(path)
        for label in labels:
            (directory / "classes" / CLASSES[label] / path.name).symlink_to(path)
    return directory / "classes"
