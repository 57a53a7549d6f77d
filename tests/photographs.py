"""A small set of classes from the photographs that scikit-image and scikit-learn ship.

A class is a photograph; its images are distorted crops. Each photograph is divided into a grid of
cells like a chessboard: training images come from the black ones, held-out images from the white
ones, so that no pixel is in both.

    python -m tests.photographs DIRECTORY
"""

import importlib.util
import os
import pathlib
import sys

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageFilter

# Photographs of scikit-image and scikit-learn whose quarters show the same thing: nobody would
# recognize a portrait or a street by its other quarters.
NAMES = (
    *("brick.png", "cell.png", "chelsea.png", "coffee.png", "coins.png", "flower.jpg", "grass.png"),
    *("gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png"),
    *("page.png", "retina.jpg", "rocket.jpg"),
)
_GRID = 2
_SIDE = 160


def find() -> dict[str, pathlib.Path]:
    """Returns class name -> file, of the photographs that are installed.

    The directory in the variable SLIM_PHOTOGRAPHS comes before the installed packages.
    """
    directories = [os.environ.get("SLIM_PHOTOGRAPHS", "")]
    for package, place in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            directories.append(os.path.join(os.path.dirname(spec.origin), place))
    paths = {}
    for name in NAMES:
        existing = [os.path.join(d, name) for d in directories if d]
        existing = [path for path in existing if os.path.isfile(path)]
        if existing:
            paths[name.partition(".")[0]] = pathlib.Path(existing[0])
    return paths


def write(directory: pathlib.Path, train: int, held_out: int, seed: int = 0) -> int:
    """Writes DIRECTORY/{train,validation}/CLASS/*.jpg and returns the number of classes.

    Args:
      directory: new or empty.
      train: images per class from the black cells.
      held_out: images per class from the white cells.
      seed: of crops and distortions.
    """
    photographs = find()
    for number, (name, path) in enumerate(photographs.items()):
        with PIL.Image.open(path) as file:
            photograph = file.convert("RGB")
        for parity, (split, count) in enumerate((("train", train), ("validation", held_out))):
            place = directory / split / name
            place.mkdir(parents=True)
            rng = np.random.default_rng([seed, number, parity])
            for index in range(count):
                image = _distorted(_crop(photograph, parity, rng), rng)
                image.save(place / f"{index:03d}.jpg", quality=int(rng.integers(60, 95)))
    return len(photographs)


def _crop(photograph: PIL.Image.Image, parity: int, rng: np.random.Generator) -> PIL.Image.Image:
    """Returns a random square of a random cell of one color."""
    cells = [(x, y) for x in range(_GRID) for y in range(_GRID) if (x + y) % 2 == parity]
    column, row = cells[rng.integers(len(cells))]
    width, height = (side / _GRID for side in photograph.size)
    side = min(width, height) * rng.uniform(0.7, 1.0)
    x = column * width + rng.uniform(0, width - side)
    y = row * height + rng.uniform(0, height - side)
    # Whole pixels inside of the cell: interpolation must not read a neighbor's.
    box = [int(np.ceil(x)), int(np.ceil(y)), int(x + side), int(y + side)]
    return photograph.crop(box).resize((_SIDE, _SIDE), PIL.Image.Resampling.BICUBIC)


def _distorted(image: PIL.Image.Image, rng: np.random.Generator) -> PIL.Image.Image:
    """Returns a mirrored, turned, blurred, noisy version in other light."""
    if rng.random() < 0.5:
        image = image.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.rotate(rng.uniform(-15, 15), PIL.Image.Resampling.BICUBIC, expand=False)
    edge = _SIDE // 8  # without the corners that turning leaves black
    image = image.crop((edge, edge, _SIDE - edge, _SIDE - edge))
    for enhance in (PIL.ImageEnhance.Brightness, PIL.ImageEnhance.Contrast, PIL.ImageEnhance.Color):
        image = enhance(image).enhance(rng.uniform(0.6, 1.5))
    image = image.filter(PIL.ImageFilter.GaussianBlur(rng.uniform(0, 1.0)))
    pixels = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(0, 12), (*image.size, 3))
    return PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    print(write(pathlib.Path(sys.argv[1]), train=20, held_out=20), "classes")
