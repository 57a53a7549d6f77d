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


def needs(name):
    """Skips a test if what a format needs is not installed."""
    for module, package in FORMATS[name].packages.items():
        if importlib.util.find_spec(module) is None:  # an import of OpenVINO sends statistics
            pytest.skip(f"needs {package}")
