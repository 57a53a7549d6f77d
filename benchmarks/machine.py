"""Description of the machine, for the results of a benchmark."""

import os
import pathlib
import platform
import subprocess
from typing import Any

from deployment import bfloat16
from slim import _cores

# Instructions of x86 and Arm processors that decide which kernels run.
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimddp", "bf16")


def describe() -> dict[str, Any]:
    """Returns processor, cores, instructions, oneDNN's setting and the commit."""
    processor, instructions = _processor()
    return {
        "processor": processor,
        "cores": _cores.usable_cores(),
        "instructions": instructions,
        "bfloat16": bfloat16.is_native(on_gpu=False),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "TensorFlow's default"),
        "python": platform.python_version(),
        "commit": _commit(),
    }


def sentence(machine: dict[str, Any]) -> str:
    """Returns the description without the commit, which the results have."""
    return (
        f"{machine['processor']} ({', '.join(machine['instructions'])}),"
        f" {machine['cores']} cores, Python {machine['python']},"
        f" TF_ENABLE_ONEDNN_OPTS={machine['onednn']}"
    )


def _processor() -> tuple[str, list[str]]:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    pairs = (line.partition(":") for line in lines)
    values = {key.strip().lower(): value.strip() for key, _, value in pairs}
    flags = values.get("flags", values.get("features", "")).split()
    return values.get("model name", platform.machine()), [i for i in _INSTRUCTIONS if i in flags]


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    root = pathlib.Path(__file__).parents[1]
    try:
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()
