"""CPU cores; no TensorFlow here."""

import os


def usable_cores() -> int:
    """Returns the number of cores available to this process, which a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
