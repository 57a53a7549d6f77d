"""Bars for those who wait: on a terminal only, so that logs stay readable."""

import sys

import tqdm


def bar(total: int | None, unit: str, description: str, *, initial: int = 0) -> tqdm.tqdm:
    """Returns a bar with rate and time left; it shows nothing if stderr is no terminal.

    Args:
      total: how much there is to do; None if nobody knows.
      unit: "img" or "B"; bytes are shown as kB, MB ...
      description: a word or two before the bar.
      initial: what was done before.
    """
    return tqdm.tqdm(
        total=total,
        unit=unit,
        unit_scale=unit == "B",
        desc=description,
        initial=initial,
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
    )
