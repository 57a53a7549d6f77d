"""Variants of a network: the same function with some arguments fixed, under a name of its own."""

import functools
from collections.abc import Callable
from typing import Any


def variant(network: Callable[..., Any], name: str, **fixed: Any) -> Callable[..., Any]:
    """Returns `network` with other defaults; a caller may still give those arguments by keyword.

    Args:
      network: a function with `default_image_size`.
      name: of the result.
      **fixed: the arguments.
    """
    result = functools.partial(network, **fixed)
    result.__name__ = result.__qualname__ = name  # type: ignore[attr-defined]
    result.__module__ = network.__module__
    result.__doc__ = f"Builds `{network.__name__}` with other defaults for {', '.join(fixed)}."
    result.default_image_size = network.default_image_size  # type: ignore[attr-defined]
    return result
