"""The commands of slim as a user types them, in a checkout or installed."""

import os
import shlex

_IS_INSTALLED = os.path.isdir(os.path.join(os.path.dirname(__file__), "scripts"))
_IN_A_CHECKOUT = {
    "slim-checkpoints": "python -m classifier.checkpoints",
    "slim-data": "python download_and_convert_data.py",
    "slim-serve": "python -m classifier.serve",
}


def command(name: str, *arguments: str, **options: str) -> str:
    """Returns a command line.

    Args:
      name: the installed command.
      *arguments: positional arguments.
      **options: values of flags.
    """
    program = name if _IS_INSTALLED else _IN_A_CHECKOUT[name]
    flags = [f"--{option}={value}" for option, value in options.items()]
    return " ".join([program, *map(shlex.quote, [*arguments, *flags])])
