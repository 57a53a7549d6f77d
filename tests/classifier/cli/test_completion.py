"""Completion in the shells themselves, each on a pseudo-terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
import tomllib

import pytest

from classifier.checkpoints.__main__ import COMMANDS
from classifier.cli import completion, completion_scripts
from classifier.config import options
from tests import source_tree

START = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
# What is typed before a tab -> what the line becomes.
LINES = {
    "slim-train --model_na": "slim-train --model_name=",
    "slim-train --model_name=inception_re": "slim-train --model_name=inception_resnet_v2",
    "slim-train --model_name inception_re": "slim-train --model_name inception_resnet_v2",
    "slim-train --noresta": "slim-train --norestart",
    "slim-train --list_ne": "slim-train --list_networks",
    "slim-export --formats=saved_model,onn": "slim-export --formats=saved_model,onnx",
    "slim-eval --train_dir=ru": "slim-eval --train_dir=runs/",
    "slim-eval --dry_": "slim-eval --dry_run",
    "slim-predict --model=mobilenet_v1_1.0_22": "slim-predict --model=mobilenet_v1_1.0_224",
    "slim-predict phot": "slim-predict photo.png",
    "slim-checkpoints insp": "slim-checkpoints inspect",
    "slim-checkpoints convert --out": "slim-checkpoints convert --output=",
    "slim-checkpoints list mobilenet_v1_07": "slim-checkpoints list mobilenet_v1_075",
    "slim-recipe quick": "slim-recipe quickstart",
    "slim-completion zs": "slim-completion zsh",
}


def script(capsys, shell):
    assert completion.main(["slim-completion", shell]) == 0
    return capsys.readouterr().out


def test_each_command_and_flag_is_completed(capsys):
    project = tomllib.loads((source_tree.ROOT / "pyproject.toml").read_text())["project"]
    assert {name for name in completion.CONFIGS if name.startswith("slim-checkpoints ")} == {
        f"slim-checkpoints {name}" for name in COMMANDS
    }
    for shell in completion_scripts.SHELLS:
        text = script(capsys, shell)
        assert set(project["scripts"]) <= set(re.findall(r"slim-\w+", text))
        for config_class in completion.CONFIGS.values():
            for name in options.by_name(config_class):
                assert re.search(rf"(--|-l ){name}\b", text)


@pytest.fixture
def folder(tmp_path):
    """What the lines name."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "photo.png").touch()
    return tmp_path


@pytest.mark.parametrize("shell", START)
def test_a_tab_completes_the_line(capsys, folder, shell):
    if shutil.which(START[shell][0]) is None:
        pytest.skip(f"{shell} is not installed")
    path = folder / "completion"
    path.write_text(script(capsys, shell))
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "HOME": str(folder), "INPUTRC": "/dev/null"}
    process = subprocess.Popen(
        START[shell],
        cwd=folder,
        env=environment | {"EDITOR": "emacs", "VISUAL": ""},
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
    )
    os.close(child)
    os.write(parent, f". {path}\r".encode())
    deadline = time.monotonic() + 60
    lines, shown = [], b""
    for count, line in enumerate(LINES, start=1):
        # After the tab, Ctrl-A and Ctrl-E put the line into a command that writes it to a file.
        os.write(parent, f"{line}\t\x01printf '%s\\n' '\x05' >> lines\r".encode())
        while len(lines) < count and time.monotonic() < deadline:
            if select.select([parent], [], [], 0.02)[0]:
                shown += os.read(parent, 10_000)
            if (folder / "lines").exists():
                lines = (folder / "lines").read_text().splitlines()
    process.kill()
    process.wait()
    os.close(parent)
    removed = " =/" if shell == "zsh" else " "  # zsh removes them when another key follows
    completed = [line.rstrip(removed) for line in lines]
    assert completed == [line.rstrip(removed) for line in LINES.values()], shown[-2000:]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_lists_the_completions(capsys, folder):
    (folder / "completion").write_text(script(capsys, "fish"))
    commands = [f'complete -C "{line}"; echo' for line in LINES]
    done = subprocess.run(
        ["fish", "--no-config", "-c", "\n".join([". completion", *commands])],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    blocks = done.stdout.split("\n\n")
    for (line, completed), block in zip(LINES.items(), blocks, strict=False):
        words = [each.partition("\t")[0] for each in block.splitlines()]
        last = completed.split(" ")[-1]
        assert {last, last.rstrip("="), last.rpartition("=")[2]} & set(words), (line, block)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "Usage: slim-completion bash|zsh|fish"),
        (["tcsh"], "shell='tcsh' is not known"),
        (["zsh", "x"], "Unexpected argument 'x'; the shell is the only one"),
    ],
)
def test_wrong_arguments_are_errors(capsys, arguments, message):
    assert completion.main(["slim-completion", *arguments]) == 2
    assert message in capsys.readouterr().err
