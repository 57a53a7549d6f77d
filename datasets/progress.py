"""Progress bars; if stderr is not a terminal, a line per minute instead."""

import sys

import tqdm

from slim import _terminal

_SECONDS = 60.0  # between lines, and before the first


def bar(
    total: int | None,
    unit: str,
    description: str,
    *,
    initial: int = 0,
    leave: bool | None = True,
) -> tqdm.tqdm:
    """Returns a progress bar with the rate and the remaining time.

    If stderr is not a terminal, it prints one line per minute, and nothing for shorter work.

    Args:
      total: number of units; None if unknown.
      unit: "img", "batch", "step" or "B"; bytes are shown as kB, MB ...
      description: short text before the bar.
      initial: number of units that are already done.
      leave: whether the bar stays on the terminal in the end; None: unless it is below another.
    """
    settings = {"dynamic_ncols": True}
    if not _terminal.is_terminal(sys.stderr):
        settings = {
            "file": _Lines(),
            "delay": _SECONDS,
            "mininterval": _SECONDS,
            "maxinterval": _SECONDS,
            "bar_format": "{l_bar}{n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
            if total
            else None,
        }
    return tqdm.tqdm(
        total=total,
        unit=unit,
        unit_scale=unit == "B",
        desc=description,
        initial=initial,
        leave=leave,
        **settings,
    )


class _Lines:
    """A stream that turns updates of a terminal line into separate lines on stderr."""

    def write(self, text: str) -> None:
        line = text.strip()
        if line:
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        sys.stderr.flush()
