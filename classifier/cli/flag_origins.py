"""Where the value of each option of a command line comes from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from classifier.cli import flagfiles
from classifier.config import options
from classifier.config.origins import DEFAULT

Texts = Mapping[str, Any]


def origins(
    known: Mapping[str, options.Option],
    config: Any,
    arguments: Sequence[str],
    read: Callable[[Sequence[str]], Texts],
) -> dict[str, str]:
    """Returns the origin of each option: "flag", "flagfile PATH", "argument" or "default".

    Args:
      known: the options by name.
      config: their values.
      arguments: the command line, without the program.
      read: function from arguments to the texts of the flags that they set.
    """
    direct, files = flagfiles.separated(flagfiles.located(arguments))
    texts, by_flag = read(arguments), read(direct)
    by_file = {path: read([f"--flagfile={path}"]) for path in files}
    result = {}
    for name, value in options.flatten(config).items():
        in_files = [path for path in files if name in by_file[path]]
        default = known[name].default
        if name in texts and (by_flag.get(name) == texts[name] or not in_files):
            result[name] = "flag"
        elif name in texts:
            result[name] = f"flagfile {in_files[-1]}"
        elif value == (list(default) if isinstance(default, tuple) else default):
            result[name] = DEFAULT
        else:
            result[name] = "argument"  # positional
    return result
