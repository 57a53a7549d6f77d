"""The Dockerfiles, which the tests cannot build: what they copy, install and run."""

import fnmatch
import importlib
import json
import re
import tomllib

import pytest

from classifier.cli import flags
from classifier.config.serving import ServeConfig
from tests import source_tree

ROOT = source_tree.ROOT
PATHS = sorted((ROOT / "docker").glob("*.Dockerfile"))


def instructions(path):
    """Returns the instructions of a Dockerfile, as pairs of name and arguments."""
    text = re.sub(r"\\\n", " ", path.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_dockerfile_uses_what_the_project_has(path):
    steps = instructions(path)
    assert dict(steps)["FROM"] == "python:3.13-slim"
    assert dict(steps)["USER"].isdecimal()
    sources = [arguments.split()[0] for name, arguments in steps if name == "COPY"]
    ignored = (ROOT / ".dockerignore").read_text().split()
    for source in sources:
        assert (ROOT / source).exists()
        assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored)
    installed = re.findall(r"--requirement (\S+)", path.read_text())
    assert installed == [source for source in sources if source.endswith(".txt")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = ("README.md", *project["license-files"], "setup.py", "slim", "scripts")
    assert not set(needed) & set(ignored)
    command, *_ = json.loads(dict(steps)["ENTRYPOINT"])
    module, _, function = project["scripts"][command].partition(":")
    module = re.sub(r"^slim\.(scripts\.)?", "", module)
    assert callable(getattr(importlib.import_module(module), function))


def test_the_server_in_a_container_accepts_its_flags(tmp_path):
    (tmp_path / "model.ckpt-1.index").touch()
    steps = dict(instructions(ROOT / "docker" / "serve.Dockerfile"))
    command = [*json.loads(steps["ENTRYPOINT"]), f"--model={tmp_path}"]
    config = flags.parse(ServeConfig, command)
    assert (config.run.address, config.run.port) == ("", int(steps["EXPOSE"]))
    assert json.loads(steps["CMD"]) == ["--model=/model"]
    assert f":{steps['EXPOSE']}/healthz" in steps["HEALTHCHECK"]
