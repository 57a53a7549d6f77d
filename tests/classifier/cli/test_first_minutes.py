"""What the scripts print without arguments, in color, and when a package is missing."""

import os
import pty
import re
import runpy
import shlex
import sys

import pytest

from classifier.cli import flags, import_errors
from classifier.config import options
from classifier.config.conversion import DataConfig
from tests import source_tree
from tests.flags_page import SCRIPTS

COLOR = "\x1b["


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_without_arguments_prints_a_short_usage(capsys, monkeypatch, script):
    path = source_tree.ROOT / f"{script}.py"
    monkeypatch.setattr(sys, "argv", [str(path)])
    assert runpy.run_path(str(path))["main"]() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) <= 7
    required = [each.name for each in options.by_name(SCRIPTS[script]).values() if each.required]
    assert all(f"--{name}=" in err for name in required)
    example = re.search("(?m)^Example: (.*)$", err)[1]
    *_, arguments = re.split(r"\.py |slim-serve |classifier\.serve ", example)
    monkeypatch.setattr(flags.path_checks, "check", lambda *_: None)  # the example's files
    flags.parse(SCRIPTS[script], [script, *shlex.split(arguments)])


@pytest.mark.parametrize(
    "environment, start",
    [
        ({}, f"{COLOR}1;31md.py:{COLOR}0m Unknown flag --wrong"),
        ({"NO_COLOR": "1"}, "d.py: Unknown flag --wrong"),
        ({"TERM": "dumb"}, "d.py: Unknown flag --wrong"),
    ],
)
def test_errors_are_red_on_a_terminal(monkeypatch, environment, start):
    for name, value in ({"NO_COLOR": "", "TERM": "xterm"} | environment).items():
        monkeypatch.setenv(name, value)
    parent, child = pty.openpty()
    with os.fdopen(child, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        flags.main(DataConfig, None, "", ["d.py", "--wrong"], needs_tensorflow=False)
        shown = os.read(parent, 10_000).decode()
    os.close(parent)
    assert shown.startswith(start)


def test_help_has_no_color_in_a_file(capsys):
    flags.main(DataConfig, None, "Data.", ["d.py", "--help"])
    assert COLOR not in capsys.readouterr().out


def test_failed_imports_name_the_package(tmp_path, monkeypatch, capsys):
    (tmp_path / "halfpackage.py").write_text("import absent_dependency")
    (tmp_path / "broken.py").write_text("from sys import absent")
    monkeypatch.syspath_prepend(tmp_path)
    argv = ["d.py", "--dataset_name=digits", f"--dataset_dir={tmp_path}/d"]

    def error(module):
        assert (
            flags.main(DataConfig, lambda _: __import__(module), "", argv, needs_tensorflow=False)
            == 1
        )
        return capsys.readouterr().err

    missing = "absent_dependency is not installed; install it with: pip install absent_dependency"
    assert error("halfpackage") == f"d.py: {missing}\n"
    broken = ImportError("cannot load libx.so", name="yaml._yaml")
    assert import_errors.describe(broken) == (
        "PyYAML is installed, but cannot be imported: cannot load libx.so. Install it again:"
        " pip install --force-reinstall PyYAML"
    )
    assert import_errors.describe(ImportError("a fault of slim", name="nets.absent")) is None
