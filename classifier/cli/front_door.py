"""Errors, signals and closed outputs of every script: one line and an exit code."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterable

from classifier.cli import broken_pipe, disk_errors, import_errors, stopping
from classifier.cli.exit_codes import ExitCode
from classifier.config import problems
from slim import _checks, _json, _terminal, signals

_NOTHING_LEFT = "No incomplete files remain. Run the same command again"


def enter(program: str, prepare: Callable[[], Callable[[], int | None] | None]) -> int:
    """Runs a script.

    Args:
      program: name at the start of each line.
      prepare: reads the flags, loads TensorFlow and returns the work, or None if there is none. A
        signal ends it at once; the work cleans up first.

    Returns:
      the exit code: see `ExitCode`. User mistakes, failed runs and signals are reported on stderr,
      one line each.
    """
    code: int = ExitCode.FAILED
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names need not be UTF-8
    with stopping.before_work(program):
        try:
            code = _outcome(program, prepare)
            print(end="", flush=True)  # else Python fails to when it exits
        except BrokenPipeError:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                broken_pipe.discard(stream)
            return ExitCode.NO_READER
        except OSError as error:  # of stdout itself
            broken_pipe.discard(sys.stdout)
            code = code or ExitCode.FAILED
            _report(program, [f"could not write to the output: {error.strerror}"], code)
    return code


def _outcome(program: str, prepare: Callable[[], Callable[[], int | None] | None]) -> int:
    try:
        work = prepare()
        if work is None:
            return ExitCode.DONE
        with signals.raise_on_signals():
            return work() or ExitCode.DONE
    except _checks.UserError as error:
        return _report(program, problems.as_flags(error).splitlines(), ExitCode.WRONG_USE)
    except signals.Stopped as stopped:
        notes = getattr(stopped, "__notes__", None) or [_NOTHING_LEFT]
        code = ExitCode(128 + stopped.signal)
        return _report(program, [". ".join([str(stopped), *notes])], code)
    except KeyboardInterrupt:
        return _report(program, ["interrupted"], ExitCode.INTERRUPTED)
    except BrokenPipeError:
        raise
    except Exception as error:
        message = disk_errors.describe(error)
        if message is None and isinstance(error, ImportError):
            message = import_errors.describe(error)
        if message is None and not isinstance(error, _checks.RunError):
            raise
        return _report(program, (message or problems.as_flags(error)).splitlines(), ExitCode.FAILED)


def _report(program: str, lines: Iterable[str], code: ExitCode | int) -> int:
    """Prints lines on stderr, unless that was closed."""
    try:
        for line in lines:
            start = _terminal.styled(f"{program}:", _terminal.RED, sys.stderr)
            print(start, _json.printable(line), file=sys.stderr)
    except BrokenPipeError:
        raise
    except OSError:
        with contextlib.suppress(OSError):
            broken_pipe.discard(sys.stderr)
    return code
