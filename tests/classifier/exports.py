"""Options of an export in one line."""

import importlib.util

import pytest

from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.config.formats import FORMATS


def config(run, folder, **values):
    """Returns the options of an export from `run` to `folder`."""
    flags = {"checkpoint_path": str(run), "output_dir": str(folder)}
    return options.build(ExportConfig, **flags | values)


def is_installed(name):
    """Returns whether what a format needs is installed, without importing it.

    An import of OpenVINO sends statistics, unless `runtimes.openvino` does it.
    """
    return all(map(importlib.util.find_spec, FORMATS[name].packages))


def needs(name):
    """Skips a test if what a format needs is not installed."""
    if not is_installed(name):
        pytest.skip(f"needs {' and '.join(FORMATS[name].packages.values())}")
