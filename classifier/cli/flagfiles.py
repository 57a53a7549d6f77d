"""Checks of the files of `--flagfile`, before absl opens them; no TensorFlow."""

import os
from collections.abc import Iterable, Iterator

from slim import _checks, _files

_MAX_BYTES = 1 << 20
_MAX_FILES = 100
_FLAG = "--flagfile"
_NAMES = (_FLAG, _FLAG.removeprefix("-"))
# Of the checkout, or installed as `slim/scripts`.
SCRIPTS = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "scripts"
)
_PACKAGED = os.path.join(SCRIPTS, "flagfiles")


def located(arguments: Iterable[str]) -> list[str]:
    """Returns the arguments, with names of slim's flag files replaced by their paths.

    Args:
      arguments: the command line, without the program.
    """
    result: list[str] = []
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if "--" in result:
            pass
        elif name in _NAMES and equals:
            argument = f"{name}={_located(path)}"
        elif result and result[-1] in _NAMES:
            argument = _located(argument)
        result.append(argument)
    return result


def _located(path: str) -> str:
    if path in packaged() and not os.path.lexists(path):
        return os.path.join(_PACKAGED, path)
    return path


def packaged() -> list[str]:
    """Returns the names of slim's flag files."""
    return sorted(os.listdir(_PACKAGED)) if os.path.isdir(_PACKAGED) else []


def check(arguments: Iterable[str]) -> None:
    """Checks that absl can read the flag files without blocking.

    Args:
      arguments: the command line, without the program.

    Raises:
      UserError: for the first file that cannot be read, or if more than `_MAX_FILES` are named,
        repetitions included.
    """
    pending, count = list(_named(arguments)), 0
    while pending:
        path, count = os.path.expanduser(pending.pop()), count + 1
        if count > _MAX_FILES:
            raise _checks.UserError(
                f"{_FLAG}={path!r} includes more than {_MAX_FILES} files, or itself"
            )
        try:
            text = _files.read_bounded(path, _MAX_BYTES).decode()
        except OSError as error:
            raise _checks.UserError(
                f"{_FLAG}={path!r} cannot be read: {error.strerror}."
                f" Flag files of slim: {_checks.listed(packaged())}"
            ) from None
        except UnicodeDecodeError:
            raise _checks.UserError(f"{_FLAG}={path!r} is not UTF-8") from None
        if "\0" in text:  # on a command line, no argument can contain it
            raise _checks.UserError(f"{_FLAG}={path!r} contains a NUL character")
        pending += _named(line.strip() for line in text.splitlines())


def separated(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Returns the arguments without flag files, and the paths of these."""
    direct: list[str] = []
    files: list[str] = []
    iterator = iter(arguments)
    for argument in iterator:
        name, equals, path = argument.partition("=")
        if name == "--":
            direct += [argument, *iterator]
        elif name in _NAMES:
            files.append(path if equals else next(iterator, ""))
        else:
            direct.append(argument)
    return direct, files


def _named(arguments: Iterable[str]) -> Iterator[str]:
    """Yields the flag files in arguments."""
    iterator = iter(arguments)
    for argument in iterator:
        name, equals, path = argument.partition("=")
        if name == "--":
            return
        if name in _NAMES:
            path = path if equals else next(iterator, "")
            if path:
                yield path.strip()
