"""The flags that absl itself defines, and what they do in the scripts; no TensorFlow.

They are absl's own flag objects: those of `absl.logging` act by themselves as soon as absl handles
the log, the others act in `run`.
"""

import cProfile
import os
import pdb  # noqa: T100 - for `--pdb`
import profile
import sys
import traceback
from collections.abc import Callable, Mapping

from absl import (
    app,  # noqa: F401 - defines flags
    flags,
    logging,
)

from classifier.cli import path_checks
from slim import _checks

LOGGING: Mapping[str, str] = {
    "alsologtostderr": "With --log_dir: also log to stderr.",
    "logtostderr": "With --log_dir: log only to stderr, not to the file.",
    "log_dir": "Directory to write a log file to: warnings and messages of TensorFlow and other"
    " Python libraries. Default: they are logged to stderr.",
    "verbosity": "Log level: -1 warning, 0 info, 1 debug. Default: 0 if any flag of this group is"
    " set, else -1. Alias: -v.",
    "logger_levels": "Log level of single loggers, such as tensorflow:ERROR,absl:DEBUG.",
    "stderrthreshold": "With --log_dir: also log messages of at least this level to stderr: debug,"
    " info, warning, error or fatal. Default: fatal.",
    "showprefixforinfo": "Prefix info messages with level, time and source line. Default: true.",
}
RUNNING: Mapping[str, str] = {
    "only_check_args": "Check the flags and exit.",
    "run_with_pdb": "Run in Python's debugger.",
    "pdb_post_mortem": "Start Python's debugger when an unexpected error ends the run.",
    "pdb": "Alias of --pdb_post_mortem.",
    "run_with_profiling": "Profile the Python code and print the result.",
    "profile_file": "File to write the profile to, for python -m pstats; implies"
    " --run_with_profiling.",
    "use_cprofile_for_profiling": "Profile with cProfile rather than profile. Default: true.",
}
# Read by `classifier.cli.flags`.
DRY_RUN = "dry_run"
READING: Mapping[str, str] = {
    "flagfile": "File of flags, one per line.",
    "undefok": "Names of flags to ignore if they are unknown, separated by commas.",
    "dry_run": "Print the resolved configuration, with the origin of each value, and exit without"
    " writing anything.",
    "version": "Print the version and exit.",
    "help": "Print this help and exit. Alias: -h, --helpshort, --helpfull.",
    "helpxml": "Print the flags as XML and exit.",
}
_VALUES = {
    "log_dir": "DIRECTORY",
    "verbosity": "INT",
    "logger_levels": "A,B",
    "stderrthreshold": "TEXT",
    "profile_file": "FILE",
    "flagfile": "FILE",
    "undefok": "A,B",
}
NAMES = (*LOGGING, *RUNNING, *READING, "v", "h", "helpshort", "helpfull")


def usage(name: str) -> str:
    """Returns a flag as `--help` shows it."""
    if name in _VALUES:
        return f"--{name}={_VALUES[name]}"
    return f"--{name}" if name in READING else f"--[no]{name}"


def define(values: flags.FlagValues) -> None:
    """Adds absl's flags to a set of flags, without values of an earlier command line."""
    for name in (*LOGGING, *RUNNING):
        flag = flags.FLAGS[name]
        flag.unparse()
        flags.DEFINE_flag(flag, values)
    flags.DEFINE_string("flagfile", None, READING["flagfile"], flag_values=values)
    flags.DEFINE_boolean(DRY_RUN, False, READING[DRY_RUN], flag_values=values)
    flags.FLAGS.mark_as_parsed()


def is_check() -> bool:
    """Returns whether only the flags are to be checked."""
    return bool(flags.FLAGS.only_check_args)


def configure_logging(program: str) -> None:
    """Lets absl handle the log if a flag of `LOGGING` is set.

    Args:
      program: name in the name of the log file.

    Raises:
      UserError: if the directory of the log cannot be written.
    """
    values = flags.FLAGS
    if not any(values[name].present for name in LOGGING):
        return
    if not values["verbosity"].present:
        values.verbosity = logging.INFO  # as `absl.app` does
    logging.use_absl_handler()
    if values.log_dir and not values.logtostderr:
        directory = os.path.expanduser(values.log_dir)
        path_checks.check("new_directory", "--log_dir", directory)
        os.makedirs(directory, exist_ok=True)
        logging.get_absl_handler().use_absl_log_file(os.path.splitext(program)[0], directory)


def run(work: Callable[[], int | None]) -> int | None:
    """Calls `work`, in the debugger or the profiler if a flag asks for it."""
    values = flags.FLAGS
    try:
        if values.run_with_pdb:
            return pdb.runcall(work)
        if values.run_with_profiling or values.profile_file:
            return _profiled(work)
        return work()
    except Exception as error:
        if values.pdb_post_mortem and not isinstance(error, _checks.UserError):
            traceback.print_exc()
            pdb.post_mortem(sys.exc_info()[2])
        raise


def _profiled(work: Callable[[], int | None]) -> int | None:
    values = flags.FLAGS
    profiler = (cProfile if values.use_cprofile_for_profiling else profile).Profile()
    try:
        exit_code: int | None = profiler.runcall(work)
        return exit_code
    finally:
        if values.profile_file:
            profiler.dump_stats(os.path.expanduser(values.profile_file))
        else:
            profiler.print_stats()
