"""How a script ends."""

import enum


class ExitCode(enum.IntEnum):
    """What the shell is told; `run` functions return one of these, or None for DONE."""

    DONE = 0
    FAILED = 1  # the run was asked for correctly and failed
    WRONG_USE = 2  # a flag, a folder or a file is not as it has to be
    PREEMPTED = 75  # a signal ended the run after it had saved: run the same command again
    INTERRUPTED = 130  # Ctrl-C before there was anything to save
    NO_READER = 141  # nobody reads the output any more (`| head`): as after SIGPIPE
