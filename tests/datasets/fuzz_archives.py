"""Reads mutated archives, in a process of its own: `fuzz_archives.py archives FIRST COUNT DIR`.

Prints what `fuzz_worker` prints, and like it leaves the archive that ended the process.
"""

import collections
import faulthandler
import json
import os
import random
import resource
import shutil
import sys
import time

from datasets import archives
from slim import _checks
from tests.datasets import archive_mutations

SECONDS, MEGABYTES = 10, 2000  # of processor time, for one archive
_HANG_SECONDS = 120  # of any time: the machine may be busy
LIMITS = archives.Limits(members=1000, bytes=100_000_000)


def attempt(number, directory):
    """Returns the outcome of one archive, and what is wrong with it."""
    kind = archive_mutations.KINDS[number % len(archive_mutations.KINDS)]
    data = archive_mutations.mutated(kind, random.Random(number))
    path, target = (os.path.join(directory, name) for name in ("trying.bin", "target"))
    shutil.rmtree(target, ignore_errors=True)
    with open(path, "wb") as file:
        file.write(data)
    with open(os.path.join(directory, "trying.txt"), "w") as file:
        file.write(f"{number} {kind}")
    faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
    begun = time.process_time()
    before = outside(directory)
    found, problem = {}, ""
    reads = {
        "extract": lambda: archives.extract(path, target, LIMITS),
        "read_all": lambda: archives.read_all(path, LIMITS),
        "list": lambda: (archives.list_zip if kind == "zip" else archives.list_tar)(path, LIMITS),
    }
    for name, read in reads.items():
        try:
            found[name] = read()
        except _checks.RunError as error:
            told = str(error)
            if path not in told or not told.isprintable() or len(told) > 600:
                problem = f"{name} says {told[:700]!r}"
        except Exception as error:
            problem = f"{name} raised {error!r}"
    problem = problem or check(found, kind, target)
    if outside(directory) != before:
        problem = "something was written elsewhere"
    if time.process_time() - begun > SECONDS:
        problem = f"it took {time.process_time() - begun:.1f} s"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    if peak > MEGABYTES:
        problem = f"{peak} MB"
    outcome = "accepted" if "extract" in found else "refused"
    return ("failed", f"{number} {kind}: {problem}") if problem else (outcome, "")


def check(found, kind, target):
    """Returns what is wrong with what has come out, or an empty string."""
    names = found.get("extract")
    if names is None:
        return ""
    if sorted(names) != sorted(found.get("read_all", ())):
        return "extract and read_all differ"
    on_disk = {
        os.path.relpath(os.path.join(root, name), target)
        for root, _, files in os.walk(target)
        for name in files
    }
    if on_disk != set(names):
        return f"extracted {sorted(on_disk)}, reported {names}"
    for name, content in found["read_all"].items():
        with open(os.path.join(target, name), "rb") as file:
            if file.read() != content:
                return f"{name} differs"
    if kind in ("tar", "zip") and len(found.get("list", ())) != len(names):
        return "the listing differs"
    return ""


def outside(directory):
    """Returns what lies around the target."""
    parent = os.path.dirname(directory)
    around = [name for name in os.listdir(parent) if not name.startswith("worker")]
    here = [name for name in os.listdir(directory) if name != "target"]
    return sorted(here), sorted(around), sorted(os.listdir("/"))


def main():
    first, count, directory = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    outcomes, failures = collections.Counter(), []
    for number in range(first, first + count):
        outcome, message = attempt(number, directory)
        outcomes[outcome] += 1
        failures += [message] * bool(message)
    print(json.dumps({"outcomes": outcomes, "failures": failures}))


if __name__ == "__main__":
    main()
