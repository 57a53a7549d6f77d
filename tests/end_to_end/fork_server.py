"""Runs the training script in forks of a process that has TensorFlow loaded already.

A process of its own each time, which can be killed like any other, without the seconds that loading
takes: a line of JSON with the arguments and the file for the output comes in, the child's id goes
out; a line with an id comes in, the child's exit code goes out.
"""

import json
import os
import pathlib
import sys
import traceback

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import train_image_classifier


def child(arguments: list[str], output: str) -> None:
    """Runs the script and ends this process."""
    code = 1
    try:
        with open(output, "w", encoding="utf-8") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.argv = ["train_image_classifier.py", *arguments]
        code = train_image_classifier.main()
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Serves until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        if isinstance(asked, int):
            answer = os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1])
        else:
            answer = os.fork()
            if not answer:
                child(asked["arguments"], asked["output"])
        print(answer, flush=True)


if __name__ == "__main__":
    main()
