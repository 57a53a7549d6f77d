"""The option that limits images before they are decoded."""

from typing import Any

from classifier.config import bounds
from classifier.config.options import option
from slim._image_limits import MAX_PIXELS


def max_pixels_option(**declaration: Any) -> Any:
    """Returns the option `max_pixels`, which is the same wherever an image enters."""
    return option(
        MAX_PIXELS,
        "Largest number of pixels of an image; one with more is refused before it is decoded.",
        check=bounds.positive,
        **declaration,
    )
