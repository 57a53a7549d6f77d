"""Memory of the test's process."""

import contextlib
import os
import resource


def peak_kilobytes() -> int:
    """Returns the peak since the program's start; `ru_maxrss` includes the parent's on Linux."""
    if not os.path.exists("/proc/self/status"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def reset_peak() -> int:
    """Forgets the peak of earlier tests, where Linux allows it; returns the new one, in kB."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as references:
        references.write("5")
    return peak_kilobytes()
