"""Exit codes of the scripts."""

import enum


class ExitCode(enum.IntEnum):
    """The exit codes; `run` functions return one of these, or None for DONE."""

    DONE = 0
    FAILED = 1  # a valid command failed: full disk, damaged data, NaN loss
    WRONG_USE = 2  # an invalid flag, directory or file
    PREEMPTED = 75  # a signal ended training after it saved; the same command resumes
    HUNG_UP = 129  # stopped by SIGHUP (closed terminal), with nothing to save
    INTERRUPTED = 130  # stopped by SIGINT (Ctrl-C), likewise
    NO_READER = 141  # stdout was closed (`| head`): as after SIGPIPE
    TERMINATED = 143  # stopped by SIGTERM, with nothing to save
