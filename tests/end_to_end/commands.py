"""The scripts, run as their users run them: real processes on real folders."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def command(script: str, *flags: str) -> list[str]:
    """Returns the command line of a script."""
    return [sys.executable, str(ROOT / f"{script}.py"), *flags]


def run(script: str, *flags: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess:
    """Runs a script to its end and checks how it ended."""
    done = subprocess.run(
        command(script, *flags),
        capture_output=True,
        text=True,
        timeout=900,  # of a machine that does much else
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def start(script: str, *flags: str) -> subprocess.Popen:
    """Starts a script; its output is of no interest."""
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
