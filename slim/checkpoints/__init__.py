"""Checkpoints keyed by variable name, in the format of TensorFlow 1's Saver.

Names are loaded on first use: finding checkpoints and waiting for them needs no TensorFlow.
"""

import importlib
from typing import Any

_HOMES = {
    "Checkpoints": "_manager",
    "CheckpointGone": "_reading",
    "Mismatch": "_restore",
    "Reader": "_reading",
    "RestoreReport": "_restore",
    "Restored": "_manager",
    "SavedVariable": "_reading",
    "Source": "_restore",
    "UnfitError": "_restore",
    "assign_from_checkpoint": "_assign",
    "assign_from_checkpoint_fn": "_assign",
    "assign_from_values": "_assign",
    "assign_from_values_fn": "_assign",
    "best": "_best",
    "checkpoints_iterator": "_follow",
    "compare": "_restore",
    "find": "_find",
    "find_all": "_find",
    "latest": "_find",
    "read": "_reading",
    "restore": "_restore",
    "save": "_writing",
    "snapshot": "_writing",
    "step_of": "_listing",
    "verify": "_reading",
    "wait_for_new_checkpoint": "_follow",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
