"""The classes of ILSVRC2012; no TensorFlow here."""

import functools
import pathlib
from collections.abc import Mapping

_FILE = pathlib.Path(__file__).parent / "embedded" / "imagenet_classes.txt"
NUM_CLASSES = 1000  # of images; TF-Slim's labels have the background before them


@functools.cache
def synsets() -> Mapping[str, str]:
    """Returns the words of each class by its WordNet id, in the order of the classes.

    They are "tench, Tinca tinca" and so on, after WordNet 3.0.
    """
    return dict(line.split("\t") for line in _FILE.read_text("utf-8").splitlines())


def create_readable_names_for_imagenet_labels() -> dict[int, str]:
    """Returns label -> words of the class, with "background" for label 0."""
    return dict(enumerate(["background", *synsets().values()]))
