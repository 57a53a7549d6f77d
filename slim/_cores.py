"""The cores of this machine; no TensorFlow here."""

import os


def usable_cores() -> int:
    """Returns how many cores this process may use; a container or a batch system may give fewer
    than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
