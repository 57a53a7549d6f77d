"""Options of how training pictures are distorted."""

import dataclasses

from classifier.options import Options, option

COLOR_DISTORTIONS = ("none", "fast", "full")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationOptions(Options):
    """Augmentation."""

    random_crop: bool | None = option(
        None,
        "Cut a random part out of each image (cifarnet, inception, vgg); without it, as the"
        " preprocessing does.",
    )
    random_flip: bool | None = option(
        None,
        "Mirror every other image (cifarnet, inception, vgg); without it, as the preprocessing"
        " does.",
    )
    color_distortion: str | None = option(
        None,
        "How to change the colours (cifarnet, inception); without it, as the preprocessing does.",
        choices=COLOR_DISTORTIONS,
    )
