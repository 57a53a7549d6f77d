"""The build of the wheel: imports between the packages that it relocates."""

import importlib.util
import pathlib

import pytest

_ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def setup():
    spec = importlib.util.spec_from_file_location("slim_setup", _ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "source, relocated",
    [
        ("from nets import vgg\n", "from slim.nets import vgg\n"),
        ("if x:\n    from datasets.a import b\n", "if x:\n    from slim.datasets.a import b\n"),
        ("from nets import (\n    a,\n)\n", "from slim.nets import (\n    a,\n)\n"),
        ("from slim import nets\nimport slim\n", "from slim import nets\nimport slim\n"),
        ("from netsuite import a\n", "from netsuite import a\n"),
        ('"""Says `from nets import x`."""\n', '"""Says `from nets import x`."""\n'),
        ("from . import order\n", "from . import order\n"),
    ],
)  # fmt: skip
def test_imports_of_relocated_packages_are_rewritten_to_slim(setup, source, relocated):
    assert setup.relocate_imports(source, "m.py") == relocated


@pytest.mark.parametrize(
    "source, message",
    [
        ("import nets.vgg\n", "m.py:1: write `from PACKAGE import MODULE` instead"),
        ("import os, datasets\n", "m.py:1: write `from PACKAGE import MODULE` instead"),
        ("x = 1; from nets import vgg\n", "m.py:1: put this import on a line of its own"),
        ("table = ['nets.vgg']\n", "m.py:1: 'nets.vgg' is not relocated"),
    ],
)
def test_unsupported_imports_are_build_errors(setup, source, message):
    with pytest.raises(SystemExit, match=message):
        setup.relocate_imports(source, "m.py")


def test_every_package_of_the_checkout_is_installed_under_slim(setup, monkeypatch):
    monkeypatch.chdir(_ROOT)
    directories = setup.package_directories()
    assert directories["slim.nets.mobilenet"] == "nets/mobilenet"
    assert directories["slim.scripts"] == "scripts"
    assert all(name == "slim" or name.startswith("slim.") for name in directories)
    with_code = {path.parent.relative_to(_ROOT).as_posix() for path in _ROOT.rglob("__init__.py")}
    ours = {each for each in with_code if each.split("/")[0] in (*setup.RELOCATED, "slim")}
    assert ours | {"scripts", "scripts/cluster"} == set(directories.values())


def test_source_distribution_has_the_scripts():
    lines = (_ROOT / "MANIFEST.in").read_text("utf-8").splitlines()
    (patterns,) = [line.split()[1:] for line in lines if line.startswith("include ")]
    assert "*.py" in patterns, "setup.py copies the scripts of the root"


def test_description_has_absolute_links_or_none(setup):
    readme = "![A](docs/a.png)\n[B](docs/b.md#c) [D](https://d.org/) [E](#e)\n"
    assert setup.description(readme, "https://github.com/o/slim") == (
        "![A](https://github.com/o/slim/raw/HEAD/docs/a.png)\n"
        "[B](https://github.com/o/slim/blob/HEAD/docs/b.md#c) [D](https://d.org/) [E](#e)\n"
    )
    assert setup.description(readme, "") == "\nB [D](https://d.org/) [E](#e)\n"
