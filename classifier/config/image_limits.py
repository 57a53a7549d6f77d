"""The option that limits the size of images."""

from typing import Any

from classifier.config import bounds
from classifier.config.options import option
from slim._image_limits import MAX_PIXELS


def max_pixels_option(**declaration: Any) -> Any:
    """Declares the option `max_pixels`, which is the same wherever images are decoded."""
    return option(
        MAX_PIXELS,
        "Maximum number of pixels of an image; larger ones count as undecodable.",
        check=bounds.positive,
        **declaration,
    )
