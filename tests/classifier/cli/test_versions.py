import importlib.metadata
import importlib.util
import subprocess
import sys
import tomllib

import pytest

import slim
from classifier.cli import flags, versions
from classifier.config.evaluation import EvalConfig
from slim import _checks, _version
from tests import source_tree

PROJECT = tomllib.loads((source_tree.ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture
def installed(monkeypatch):
    """Sets the TensorFlow distributions that are installed."""

    def install(**distributions):
        def version(name):
            if name not in distributions:
                raise importlib.metadata.PackageNotFoundError(name)
            return distributions[name]

        monkeypatch.setattr(versions.importlib.metadata, "version", version)

    return install


def test_the_version_is_the_projects():
    assert slim.__version__ == PROJECT["version"]
    assert f"tensorflow=={_version.tensorflow_version()}.*" in PROJECT["dependencies"]


def test_an_installed_distribution_has_its_own_metadata(monkeypatch):
    class Installed:
        version, requires = "9.8", ["absl-py>=2", "tensorflow==3.4.*"]

    monkeypatch.setattr(_version, "_PROJECT", "/nowhere/pyproject.toml")
    monkeypatch.setattr(_version.importlib.metadata, "distribution", lambda name: Installed)
    _version._metadata.cache_clear()
    try:
        assert (_version.version(), _version.tensorflow_version()) == ("9.8", "3.4")
    finally:
        _version._metadata.cache_clear()


@pytest.mark.parametrize("script", source_tree.SCRIPTS)
def test_every_script_prints_the_version_without_tensorflow(script):
    code = (
        "import runpy, sys; sys.modules['tensorflow'] = None; sys.argv[1:] = ['--version'];"
        f"runpy.run_path({script!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source_tree.ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f": slim {PROJECT['version']}, TensorFlow " in done.stdout


@pytest.mark.parametrize("name", ["tensorflow", "tensorflow-cpu"])
def test_the_tensorflow_that_is_needed_passes(installed, name):
    installed(**{name: f"{_version.tensorflow_version()}.3"})
    versions.check_tensorflow()


@pytest.mark.parametrize("version", ["2.2.1", "2.210.0", "2.20.0", "3.0"])
def test_another_tensorflow_is_reported_before_it_is_loaded(installed, capsys, version):
    installed(tensorflow=version)
    assert flags.main(EvalConfig, None, "", ["eval.py"]) == 2
    assert capsys.readouterr().err == (
        f"eval.py: TensorFlow 2.21 is needed, {version} is installed. Run: pip install"
        " 'tensorflow==2.21.*'\n"
    )


def test_a_missing_tensorflow_is_reported(installed, monkeypatch):
    installed()
    monkeypatch.setattr(versions.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(_checks.UserError, match=r"TensorFlow 2\.21 is needed, none is installed"):
        versions.check_tensorflow()


def test_a_tensorflow_without_metadata_passes(installed, monkeypatch):
    installed()
    monkeypatch.setattr(versions.importlib.util, "find_spec", lambda name: object())
    versions.check_tensorflow()
    assert versions.summary().endswith("TensorFlow not installed")
