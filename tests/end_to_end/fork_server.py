"""Runs the scripts in forks of a process that has TensorFlow loaded already.

A process of its own each time, which can be killed like any other, without the seconds that loading
takes. A line of JSON comes in and one goes out: for a script, its process id; for
`{"wait": id, "seconds": limit}`, its exit code, or null if it is still running. See forked.py.
"""

import importlib
import json
import os
import pathlib
import runpy
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).parents[2]
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
sys.path.insert(0, str(ROOT))

# What takes the time.
for _name in ("training.run", "inference.evaluate", "inference.predict", "export.run"):
    importlib.import_module(f"classifier.{_name}")
for _name in ("folder", "mnist", "verify"):
    importlib.import_module(f"datasets.{_name}")


def child(script: str, arguments: list[str], output: str, directory: str | None = None) -> None:
    """Runs a script, `name.py` below the checkout or a module, and ends this process."""
    code = 1
    try:
        with open(output, "w", encoding="utf-8") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the server's is not the script's
        os.setsid()
        os.chdir(directory or os.curdir)
        sys.argv = [os.path.basename(script), *arguments]
        if script.endswith(".py"):
            runpy.run_path(str(ROOT / script), run_name="__main__")
        else:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def wait(process: int, seconds: float) -> int | None:
    """Returns the exit code of a child, or None if it has not ended within so many seconds."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.005)


def main() -> None:
    """Serves until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = wait(asked["wait"], asked["seconds"])
        else:
            answer = os.fork()
            if not answer:
                child(**asked)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
