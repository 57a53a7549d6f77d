"""The scripts, run in this process or, where signals and environments matter, in their own."""

import contextlib
import importlib
import io
import json
import pathlib
import subprocess
import sys
from unittest import mock

ROOT = pathlib.Path(__file__).parents[2]

STEPS, EVAL_STEPS = 50, 30
# The options of `trained`, the run that the tests share.
RUN = {
    "save_interval_steps": 10,
    "eval_every_epochs": EVAL_STEPS / 89.8125,  # steps per epoch
    "moving_average_decay": 0.9,
    "log_every_n_steps": 10,
}


def command(script: str, *flags: str) -> list[str]:
    """Returns the command line of a script."""
    return [sys.executable, str(ROOT / f"{script}.py"), *flags]


def run(script: str, *flags: str, code: int = 0) -> subprocess.CompletedProcess:
    """Runs a script's `main` in this process, which has TensorFlow loaded.

    Args:
      script: the script.
      *flags: its command line.
      code: the expected exit code.

    Returns:
      the exit code, and stdout and stderr as text.
    """
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with (
        mock.patch.object(sys, "argv", [f"{script}.py", *flags]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        exit_code = int(importlib.import_module(script).main())
    output = []
    for stream in (stdout, stderr):
        stream.seek(0)
        output.append(stream.read())
    assert exit_code == code, f"{exit_code}\n{output[0]}\n{output[1]}"
    return subprocess.CompletedProcess(flags, exit_code, *output)


def error(script: str, *flags: str, code: int = 2) -> str:
    """Runs a script that fails, and returns its error message, which has to be one line."""
    lines = run(script, *flags, code=code).stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def run_process(script: str, *flags: str) -> subprocess.CompletedProcess:
    """Runs a script in a process of its own, which has to succeed."""
    finished = subprocess.run(
        command(script, *flags),
        capture_output=True,
        text=True,
        timeout=900,  # of a busy machine
        check=False,
    )
    assert finished.returncode == 0, f"{finished.returncode}\n{finished.stdout}\n{finished.stderr}"
    return finished


def start(script: str, *flags: str) -> subprocess.Popen:
    """Starts a script in a process of its own and discards its output."""
    return subprocess.Popen(
        command(script, *flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def train_flags(train_dir: object, digits: object, steps: int, **more: object) -> list[str]:
    """Returns the flags of a short run on the digits."""
    options = {
        "train_dir": train_dir,
        "dataset_name": "digits",
        "dataset_dir": digits,
        "model_name": "lenet",
        "batch_size": 16,
        "max_number_of_steps": steps,
        "optimizer": "momentum",
        "learning_rate": 0.01,
        "save_summaries_secs": 0,
    } | more
    return [f"--{name}={value}" for name, value in options.items()]


def evaluate(checkpoint: object, digits: object, report: pathlib.Path) -> tuple[dict, str]:
    """Returns the evaluation script's report on the validation split, and its output."""
    finished = run(
        "eval_image_classifier",
        f"--checkpoint_path={checkpoint}",
        f"--dataset_dir={digits}",
        "--dataset_split_name=validation",
        f"--eval_json={report}",
        f"--eval_dir={report.with_suffix('.events')}",  # several processes share the run
    )
    return json.loads(report.read_text()), finished.stdout


def checkpoint_steps(train_dir: pathlib.Path) -> set[int]:
    """Returns the steps of a directory's checkpoints."""
    return {int(path.stem.rpartition("-")[2]) for path in train_dir.glob("model.ckpt-*.index")}


def snapshot(directory: pathlib.Path) -> dict[str, bytes]:
    """Returns the files of a directory and their contents."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
