"""A user's files are byte for byte the same after every script was pointed at them.

Every option that is a path, of every script, with success, failure and `kill -9`: see user_roles.py
for what is pointed at what, and `tests.user_tree` for the files.
"""

import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
from types import MappingProxyType

import commands
import forked
import pytest
import user_roles

from classifier.config import options
from tests import user_tree
from tests.datasets import sample_files

HANG = 240  # seconds; a busy machine needs some, and a FIFO without a writer never ends
# What a killed script may leave where it was to write.
LEFT_BY_KILL = (".saving-????????", "train.lock")
_SPEAKS_OF_PATHS = re.compile(r"\b(folder|file|director|path|image)", re.IGNORECASE)

CASES = {case.name: case for case in user_roles.every()}
assert len(CASES) == len(user_roles.every()), "two cases have the same name"
# One of each option, and one thing that works, except what takes seconds before it is refused.
LATE = ("train-cache", "train-checkpoint_path", "eval-eval_dir", "predict-images")
FAST = [
    case for case in (user_roles.first(*role) for role in user_roles.ROLES)
    if not case.startswith(LATE)
] + ["predict-images-photos/a"]  # fmt: skip
# What writes, where it is not refused: in new places, and in the user's run.
KILLED = [
    name
    for name, case in CASES.items()
    if case.allowed and case.codes == user_roles.DONE and not case.links
    if "plain/new" in name or "-run" in name or "plain" not in name
    if not name.startswith("train-cache-ours")
]


def _may_be_path(name, option):
    is_text = option.kind in (str, tuple[str, ...]) and not option.declared.choices
    mentions_paths = is_text and _SPEAKS_OF_PATHS.search(option.declared.help)
    return option.declared.path or (mentions_paths and name not in user_roles.NOT_PATHS)


def test_every_option_with_a_path_is_covered():
    missing = [
        f"{script} --{name}"
        for script, each in user_roles.SCRIPTS.items()
        for name, option in options.by_name(each.config_class).items()
        if _may_be_path(name, option) and (script, name) not in user_roles.ROLES
    ]
    assert not missing, "add the role to user_roles.ROLES, or the name to NOT_PATHS"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Starts scripts that accept archives other than the published ones."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(
        "from datasets import download\ndownload._problem = lambda file, path: None\n"
    )
    path = f"{site}:{commands.ROOT}"
    with forked.serve(PYTHONPATH=path) as server:
        yield server


def _run(scripts, case, places, output):
    """Starts a case."""
    words = [part.format(**places) for part in case.command]
    flags = [
        f"--{name}={str(value).format(**places)}"
        for name, value in case.flags.items()
        if value is not None
    ]
    script, *rest = words
    return scripts.start(script, *rest, *flags, output=output, directory=places["home"])


def _prepare(scripts, places, script, flags):
    it = user_roles.SCRIPTS[script]
    case = user_roles.Case(script, it.command, {**it.flags, **flags})
    started = _run(scripts, case, places, places["home"] / f"{script}.txt")
    assert scripts.wait(started) == 0, started.output.read_text()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory, scripts):
    """Places outside of the user's tree: a dataset, a run, archives."""
    place = tmp_path_factory.mktemp("elsewhere")
    places = {name: place / name for name in ("digits", "trained", "export", "archives")}
    places["home"] = place
    places["archives"].mkdir()
    for name, content in sample_files.mnist_files()[0].items():
        (places["archives"] / name).write_bytes(content)
    packed = sample_files.tar_bytes({"inception_v1.ckpt": b"a checkpoint of format V1"})
    (places["archives"] / "inception_v1_2016_08_28.tar.gz").write_bytes(packed)
    _prepare(scripts, places, "convert", {"dataset_dir": "{digits}"})
    _prepare(scripts, places, "train", {"train_dir": "{trained}", "max_number_of_steps": 2})
    return places


@pytest.fixture(scope="module")
def exported(scripts, elsewhere):
    """Exports the run."""
    flags = {"output_dir": "{export}", "input_type": "encoded_image", "formats": "frozen_pb"}
    _prepare(scripts, elsewhere, "export", flags)


class Tree:
    """A user's tree, made again after what was written in it."""

    def __init__(self, root, elsewhere):
        self._root, self._elsewhere = root, elsewhere
        self._number = 0
        self.root = None

    def fresh(self, is_written=False, links=MappingProxyType({})):
        """Returns the places for a script and the snapshot before it.

        Args:
          is_written: whether it may write to the tree, which is made again then.
          links: entries of `home/run` to replace by links: name -> path in the treasure.
        """
        if self.root is None or is_written or links:
            self.discard()
            self._number += 1
            self.root = self._root / str(self._number)
            user_tree.make(self.root, self._elsewhere["trained"], self._elsewhere["digits"])
        for name, target in links.items():
            path = self.root / "home" / "run" / name
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            path.symlink_to(self.root / "treasure" / target)
        out = self._root / f"{self._number}-out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        places = {name: self.root / name for name in ("home", "treasure")}
        return self._elsewhere | places | {"out": out}, user_tree.snapshot(self.root)

    def discard(self):
        """Removes the tree, so that the next case gets a new one."""
        if self.root is not None:
            shutil.rmtree(self.root)
            self.root = None


@pytest.fixture(scope="module")
def tree(tmp_path_factory, elsewhere):
    return Tree(tmp_path_factory.mktemp("user"), elsewhere)


def _check(tree, before, *allowed):
    """Compares the tree with what it was; `allowed` as in `user_tree.differences`."""
    differences = user_tree.differences(before, user_tree.snapshot(tree.root), *allowed)
    if differences:
        tree.discard()
    return differences


def _problems_of_output(case, code, text):
    """Yields what is wrong with how a script ended."""
    if code not in case.codes:
        yield f"exit code {code}, not one of {case.codes}"
    if "Traceback" in text:
        yield "a traceback"
    program = pathlib.PurePath(case.command[0]).name
    program = {"classifier.checkpoints": "checkpoints"}.get(program, program)
    lines = re.findall(rf"^{re.escape(program)}\b", text, re.MULTILINE)
    if code == 2 and (len(lines) != 1 if case.codes == user_roles.REFUSED else not lines):
        yield "not one line that says what is wrong"


def _check_case(scripts, tree, case):
    places, before = tree.fresh(bool(case.allowed), case.links)
    started = _run(scripts, case, places, places["out"].with_suffix(".txt"))
    code = scripts.wait(started, HANG)
    problems = []
    if code is None:
        scripts.kill(started)
        problems.append(f"still running after {HANG} s")
    text = started.output.read_text(errors="replace")
    problems += _problems_of_output(case, code, text)
    problems += _check(tree, before, case.allowed)
    assert not problems, "\n".join([*problems[:40], "--- output:", text[-2000:]])


@pytest.mark.parametrize("name", FAST)
def test_files_are_the_same_after_each_role(scripts, tree, name):
    _check_case(scripts, tree, CASES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CASES) - set(FAST)))
def test_files_are_the_same_after_success_and_failure(scripts, exported, tree, name):
    _check_case(scripts, tree, CASES[name])


SHELL_SCRIPTS = ["quickstart.sh"] + sorted(
    path.name for path in (commands.ROOT / "scripts").glob("*_on_*.sh")
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout whose Python does nothing: what happens is the shell scripts' doing."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("scripts", "requirements"):
        shutil.copytree(commands.ROOT / name, root / name)
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    with open(root / "requirements" / "base.txt", "rb") as lock:
        stamp = subprocess.run(["cksum"], stdin=lock, capture_output=True, check=True).stdout
    (python.parent.parent / "installed-base").write_bytes(stamp)
    return root


@pytest.mark.parametrize("script", ["quickstart.sh", "finetune_on_folder.sh"])
@pytest.mark.parametrize("target", ["ours/directories", "ours/links"])
def test_files_are_the_same_after_a_recipe(checkout, tree, script, target):
    _check_shell_script(checkout, tree, script, target)


@pytest.mark.slow
@pytest.mark.parametrize("script", SHELL_SCRIPTS)
@pytest.mark.parametrize("target", [*user_roles.OURS, "plain", "run", "plain/letter.txt"])
def test_files_are_the_same_after_each_recipe(checkout, tree, script, target):
    _check_shell_script(checkout, tree, script, target)


def _check_shell_script(checkout, tree, script, target):
    places, before = tree.fresh()
    folder = str(places["home"] / target)
    arguments = [str(places["home"] / "photos")] * (script == "finetune_on_folder.sh") + [folder]
    for environment in ({}, {"PYTHON": str(checkout / ".venv" / "bin" / "python")}):
        done = subprocess.run(
            ["bash", str(checkout / "scripts" / script), *arguments],
            capture_output=True, text=True, timeout=HANG, check=False, cwd=places["home"],
            env=os.environ | environment,
        )  # fmt: skip
        ok = done.returncode == 0 or target == "plain/letter.txt"
        assert ok, done.stderr
    assert not _check(tree, before)


@pytest.fixture(scope="module")
def seconds(scripts, exported, tree):
    """Returns how long a case takes that is not disturbed."""
    known = {}

    def measured(case):
        if case.name not in known:
            places, _ = tree.fresh(bool(case.allowed), case.links)
            begun = time.monotonic()
            started = _run(scripts, case, places, places["out"].with_suffix(".txt"))
            assert scripts.wait(started, HANG) in case.codes, started.output.read_text()
            known[case.name] = time.monotonic() - begun
        return known[case.name]

    return measured


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(30))
def test_files_are_the_same_after_sigkill(scripts, tree, seconds, moment):
    """Then the same command again succeeds, and they are still the same."""
    case = CASES[KILLED[moment % len(KILLED)]]
    duration = seconds(case)
    draws = random.Random(moment)
    code = None
    while code != -signal.SIGKILL:
        places, before = tree.fresh(bool(case.allowed), case.links)
        started = _run(scripts, case, places, places["out"].with_suffix(".txt"))
        time.sleep(draws.uniform(0, duration))
        code = scripts.kill(started)
    assert not _check(tree, before, case.allowed, LEFT_BY_KILL)
    again = _run(scripts, case, places, places["out"].with_suffix(".txt"))
    assert scripts.wait(again, HANG) in case.codes, again.output.read_text()
    assert not _check(tree, before, case.allowed, LEFT_BY_KILL)
