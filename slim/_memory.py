"""Memory of this machine and this process; no TensorFlow here."""

import os
from collections.abc import Iterator


def available_bytes(root: str = "/") -> int | None:
    """Returns the bytes that this process may still allocate, or None if unknown.

    They are the machine's available memory, or what a control group, such as a container's, leaves
    of its limit. Linux only.

    Args:
      root: of `proc` and `sys`.
    """
    try:
        with open(os.path.join(root, "proc/meminfo"), encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        available = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    return max(0, min([available, *_left_by_groups(root)]))


def resident_bytes() -> int | None:
    """Returns the memory of this process, or None if unknown. Linux only."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def _left_by_groups(root: str) -> Iterator[int]:
    """Yields what each control group of this process leaves, in versions 2 and 1."""
    try:
        with open(os.path.join(root, "proc/self/cgroup"), encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers == "":
            place, names = "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            place = "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # A limit of a group also applies to the groups in it. Inside a container, the group at the
        # root is the container's, whatever the path.
        parts = path.strip("/").split("/")
        for depth in range(len(parts), -1, -1):
            directory = os.path.join(root, place, *parts[:depth])
            limit, usage = (_number(os.path.join(directory, name)) for name in names[:2])
            if limit is not None and usage is not None:
                yield limit - usage + _reclaimable(directory, names[2])


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):  # absent, or without a limit: "max"
        return None


def _reclaimable(directory: str, name: str) -> int:
    """Returns the bytes of cached files, which count as usage but can be dropped."""
    try:
        with open(os.path.join(directory, "memory.stat"), encoding="ascii") as file:
            return int(dict(line.split(maxsplit=1) for line in file)[name])
    except (OSError, KeyError, ValueError):
        return 0
