"""Reads mutated archives, in a separate process: `fuzz_archives.py archives FIRST COUNT DIR`.

The output is that of `fuzz_worker`; the archive that crashed the process is kept as well.
"""

import collections
import faulthandler
import json
import os
import random
import shutil
import sys
import time

from datasets import archives
from slim import _checks
from tests import memory
from tests.datasets import archive_mutations

SECONDS, MEGABYTES = 10, 2000  # of processor time and memory, per archive
_HANG_SECONDS = 120  # of wall-clock time, since the machine may be busy
LIMITS = archives.Limits(members=1000, bytes=100_000_000)


def attempt(number, directory):
    """Returns the outcome for one archive, and the problem or an empty string."""
    kind = archive_mutations.KINDS[number % len(archive_mutations.KINDS)]
    data = archive_mutations.mutated(kind, random.Random(number))
    path, target = (os.path.join(directory, name) for name in ("trying.bin", "target"))
    shutil.rmtree(target, ignore_errors=True)
    with open(path, "wb") as file:
        file.write(data)
    with open(os.path.join(directory, "trying.txt"), "w") as file:
        file.write(f"{number} {kind}")
    faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
    start = time.process_time()
    before = outside(directory)
    results, problem = {}, ""
    reads = {
        "extract": lambda: archives.extract(path, target, LIMITS),
        "read_all": lambda: archives.read_all(path, LIMITS),
        "list": lambda: (archives.list_zip if kind == "zip" else archives.list_tar)(path, LIMITS),
    }
    for name, read in reads.items():
        try:
            results[name] = read()
        except _checks.RunError as error:
            message = str(error)
            if path not in message or not message.isprintable() or len(message) > 600:
                problem = f"{name} reports {message[:700]!r}"
        except Exception as error:
            problem = f"{name} raised {error!r}"
    problem = problem or check(results, kind, target)
    if outside(directory) != before:
        problem = "something was written elsewhere"
    if time.process_time() - start > SECONDS:
        problem = f"it took {time.process_time() - start:.1f} s"
    peak = memory.peak_kilobytes() >> 10
    if peak > MEGABYTES:
        problem = f"{peak} MB"
    outcome = "accepted" if "extract" in results else "rejected"
    return ("failed", f"{number} {kind}: {problem}") if problem else (outcome, "")


def check(results, kind, target):
    """Returns the problem with the extracted files, or an empty string."""
    names = results.get("extract")
    if names is None:
        return ""
    if sorted(names) != sorted(results.get("read_all", ())):
        return "extract and read_all differ"
    on_disk = {
        os.path.relpath(os.path.join(root, name), target)
        for root, _, files in os.walk(target)
        for name in files
    }
    if on_disk != set(names):
        return f"extracted {sorted(on_disk)}, reported {names}"
    for name, content in results["read_all"].items():
        with open(os.path.join(target, name), "rb") as file:
            if file.read() != content:
                return f"{name} differs"
    if kind in ("tar", "zip") and len(results.get("list", ())) != len(names):
        return "the listing differs"
    return ""


def outside(directory):
    """Returns the names of the files outside the target."""
    parent = os.path.dirname(directory)
    around = [name for name in os.listdir(parent) if not name.startswith("worker")]
    here = [name for name in os.listdir(directory) if name != "target"]
    return sorted(here), sorted(around), sorted(os.listdir("/"))


def main(attempt=attempt):
    """Runs `attempt(number, directory)` for each of the numbers and prints the outcomes."""
    first, count, directory = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    outcomes, failures = collections.Counter(), []
    for number in range(first, first + count):
        outcome, message = attempt(number, directory)
        outcomes[outcome] += 1
        failures += [message] * bool(message)
    print(json.dumps({"outcomes": outcomes, "failures": failures}))


if __name__ == "__main__":
    main()
