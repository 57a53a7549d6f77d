"""Parameters and multiply-adds of the networks, counted once; no TensorFlow here.

`network_sizes.csv` in this directory is written by `python -m nets.statistics`, and a test compares
it with the networks.
"""

import csv
import functools
import os
from collections.abc import Mapping
from typing import NamedTuple

PATH = os.path.join(os.path.dirname(__file__), "network_sizes.csv")
FIELDS = ("network", "parameters", "multiply_adds")


class Size(NamedTuple):
    """Trainable parameters, and multiply-adds for one image of the default size (or one video of 16
    frames), with the published number of classes."""

    parameters: int
    multiply_adds: int


@functools.cache
def sizes() -> Mapping[str, Size]:
    """Returns the sizes by network."""
    with open(PATH, encoding="utf-8", newline="") as file:
        return {
            row["network"]: Size(int(row["parameters"]), int(row["multiply_adds"]))
            for row in csv.DictReader(file)
        }
