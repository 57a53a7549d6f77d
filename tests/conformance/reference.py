"""What is known of each network from the original, and the recipe for weights and inputs.

See README.md here for where it comes from and when it may change.
"""

import functools
import gzip
import json
import math
import pathlib
import zlib
from typing import Any

import numpy as np

FOLDER = pathlib.Path(__file__).parent
LAYOUTS = FOLDER / "layouts"
GOLDENS = FOLDER / "goldens"
TRAINING = FOLDER / "training"


def read_json(path: pathlib.Path) -> Any:
    """Returns the content of a `.json.gz` file."""
    return json.loads(gzip.decompress(path.read_bytes()))


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a `.json.gz` file; equal content gives equal bytes."""
    text = json.dumps(content, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def names(folder: pathlib.Path) -> list[str]:
    """Returns the networks that have a file in a folder."""
    return sorted(path.name.split(".")[0] for path in folder.iterdir())


@functools.cache
def layout(name: str) -> dict[str, Any]:
    """Returns the layout of a network."""
    path = LAYOUTS / f"{name}.json.gz"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: python -m tests.conformance.record {name}")
    return read_json(path)


def golden(name: str) -> dict[str, np.ndarray]:
    """Returns the outputs of a network for the recipe's weights and input."""
    with np.load(GOLDENS / f"{name}.npz") as arrays:
        return dict(arrays)


def training(name: str) -> dict[str, Any]:
    """Returns the numbers of one training step from the recipe's weights."""
    return read_json(TRAINING / f"{name}.json.gz")


def weights(name: str, shape: list[int]) -> np.ndarray:
    """Returns the recipe's value of a variable, which depends on its name and shape alone."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    leaf = name.rpartition("/")[2]
    if leaf in ("gamma", "moving_variance"):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if leaf in ("biases", "beta", "moving_mean") or len(shape) < 2:
        return (0.1 * random.standard_normal(shape)).astype(np.float32)
    fan_in = math.prod(shape[:-2] if leaf == "depthwise_weights" else shape[:-1])
    return (np.sqrt(2 / fan_in) * random.standard_normal(shape)).astype(np.float32)


def images(shape: list[int]) -> np.ndarray:
    """Returns the recipe's input."""
    return np.random.RandomState(7).uniform(-1, 1, shape).astype(np.float32)
