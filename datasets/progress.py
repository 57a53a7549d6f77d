"""Bars for those who wait; where stderr is no terminal, a line now and then."""

import sys

import tqdm

_SECONDS = 60.0  # between lines, and before the first


def bar(total: int | None, unit: str, description: str, *, initial: int = 0) -> tqdm.tqdm:
    """Returns a bar with rate and time left.

    If stderr is no terminal, it is a line of text each minute, and none of what takes less.

    Args:
      total: how much there is to do; None if nobody knows.
      unit: "img" or "B"; bytes are shown as kB, MB ...
      description: a word or two before the bar.
      initial: what was done before.
    """
    settings = {"dynamic_ncols": True}
    if not sys.stderr.isatty():
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
        **settings,
    )


class _Lines:
    """Takes what is meant to overwrite a line of a terminal, and writes lines to stderr."""

    def write(self, text: str) -> None:
        line = text.strip()
        if line:
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        sys.stderr.flush()
