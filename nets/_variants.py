"""Variants of a network: the same function with some of its arguments bound."""

import functools
from collections.abc import Callable
from typing import Any


def variant(
    network: Callable[..., Any], *bound: Any, default_image_size: int = 224, **defaults: Any
) -> Callable[..., Any]:
    """Returns `network` with its first arguments bound and other defaults, documented as it is.

    Args:
      network: a function.
      *bound: values of its first arguments.
      default_image_size: attribute of the result: height and width of its images, in pixels.
      **defaults: values of other arguments, which a caller may still pass by keyword.
    """
    result = functools.update_wrapper(functools.partial(network, *bound, **defaults), network)
    del result.__wrapped__  # type: ignore[attr-defined]  # the signature is that of the partial
    result.default_image_size = default_image_size  # type: ignore[attr-defined]
    return result
