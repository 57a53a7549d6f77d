"""Reads the records of each network, mostly obtained from TF-Slim, and generates the recipe's
weights and inputs.

README.md documents the records' origin and when they may change.
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


def has_layout(name: str) -> bool:
    """Returns whether a network has a recorded layout."""
    return (LAYOUTS / f"{name}.json.gz").exists()


def missing_layout(name: str) -> str:
    """Returns how to record the layout of a network that has none."""
    return (
        f"{name} has no recorded layout, so its names and shapes may change unnoticed; record it"
        f" with: python -m tests.conformance.record {name}"
    )


def is_from_tf_slim(name: str) -> bool:
    """Returns whether a network's layout was obtained from TF-Slim."""
    return has_layout(name) and layout(name)["origin"] == "original"


@functools.cache
def layout(name: str) -> dict[str, Any]:
    """Returns the recorded layout of a network.

    Raises:
      FileNotFoundError: if there is none; the message has the command that records it.
    """
    if not has_layout(name):
        raise FileNotFoundError(missing_layout(name))
    return read_json(LAYOUTS / f"{name}.json.gz")


def golden(name: str) -> dict[str, np.ndarray]:
    """Returns TF-Slim's outputs of a network for the recipe's weights and input."""
    with np.load(GOLDENS / f"{name}.npz") as arrays:
        return dict(arrays)


def training(name: str) -> dict[str, Any]:
    """Returns TF-Slim's numbers of one training step from the recipe's weights."""
    return read_json(TRAINING / f"{name}.json.gz")


def weights(name: str, shape: list[int]) -> np.ndarray:
    """Returns the recipe's value of a variable, a function of its name and shape."""
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
