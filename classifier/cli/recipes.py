"""Lists slim's recipes, or runs one with the installed slim.

Usage: slim-recipe [NAME [ARGUMENT ...]]

Without NAME, the recipes are listed. The arguments are those of the recipe: usually the directory
to write to, by default one in build/ of the current directory. slim-recipe NAME --help explains
them, and the recipe's environment variables.
"""

import itertools
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from classifier.cli import flagfiles, front_door
from slim import _checks


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of `argv` (default: `sys.argv`); returns its exit code."""
    arguments = (sys.argv if argv is None else argv)[1:]
    return front_door.enter("slim-recipe", lambda: _work(arguments))


def _work(arguments: Sequence[str]) -> Callable[[], None]:
    name, *rest = arguments or [""]
    if name in ("--help", "-h"):
        return lambda: print((__doc__ or "").strip())
    known = recipes()
    if not name:
        return lambda: _list(known)
    path = known[_checks.one_of("recipe", name, known)]
    return lambda: _run(path, rest)


def recipes() -> dict[str, str]:
    """Returns name -> path of the recipes, sorted."""
    names = sorted(name for name in os.listdir(flagfiles.SCRIPTS) if name.endswith(".sh"))
    paths = {name.removesuffix(".sh"): os.path.join(flagfiles.SCRIPTS, name) for name in names}
    return {name: path for name, path in paths.items() if _is_recipe(path)}


def _list(known: Mapping[str, str]) -> None:
    for name, path in known.items():
        print(f"{name}: {_summary(path)}")
    print("slim-recipe NAME runs one, slim-recipe NAME --help explains it", file=sys.stderr)


def _is_recipe(path: str) -> bool:
    with open(path, encoding="utf-8") as file:
        return any(line.startswith(". ") and '/recipe.sh" ' in line for line in file)


def _summary(path: str) -> str:
    """Returns the first paragraph of the comment at the start of a recipe."""
    with open(path, encoding="utf-8") as file:
        comment = itertools.takewhile(lambda line: line != "#\n", itertools.islice(file, 1, None))
        return " ".join(line.removeprefix("# ").rstrip() for line in comment)


def _run(path: str, arguments: Sequence[str]) -> None:
    """Replaces this process by the recipe."""
    sys.stdout.flush()
    try:
        os.execvpe("bash", ["bash", path, *arguments], {**os.environ, "PYTHON": sys.executable})
    except FileNotFoundError:
        raise _checks.UserError("The recipes need bash, which is not installed") from None


if __name__ == "__main__":
    sys.exit(main())
