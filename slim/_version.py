"""The version of slim and the TensorFlow that it needs, from the project's metadata.

Installed, these are the metadata of the distribution; in a checkout, pyproject.toml.
"""

import functools
import importlib.metadata
import os
import re
import tomllib

DISTRIBUTION = "slim-tf2"
_PROJECT = os.path.join(os.path.dirname(os.path.dirname(__file__)), "pyproject.toml")


def version() -> str:
    """Returns the version of slim."""
    return _metadata()[0]


def tensorflow_version() -> str:
    """Returns the version of TensorFlow that is needed, such as `2.21`."""
    (match,) = filter(
        None, (re.match(r"tensorflow==([\d.]+)\.\*", each) for each in _metadata()[1])
    )
    return match[1]


@functools.cache
def _metadata() -> tuple[str, list[str]]:
    """Returns version and requirements."""
    if os.path.exists(_PROJECT):
        with open(_PROJECT, "rb") as file:
            project = tomllib.load(file)["project"]
        return project["version"], project["dependencies"]
    distribution = importlib.metadata.distribution(DISTRIBUTION)
    return distribution.version, distribution.requires or []
