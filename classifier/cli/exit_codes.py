"""How a script ends."""

import enum


class ExitCode(enum.IntEnum):
    """The exit codes; `run` functions return one of these, or None for DONE."""

    DONE = 0
    FAILED = 1  # the command was correct and failed: a full disk, damaged data, a NaN loss
    WRONG_USE = 2  # a flag, a directory or a file is not as it has to be
    PREEMPTED = 75  # a signal ended training after it had saved: run the same command again
    HUNG_UP = 129  # stopped by SIGHUP, as when the terminal is closed, with nothing to save
    INTERRUPTED = 130  # stopped by SIGINT (Ctrl-C), likewise
    NO_READER = 141  # stdout was closed (`| head`): as after SIGPIPE
    TERMINATED = 143  # stopped by SIGTERM, with nothing to save
