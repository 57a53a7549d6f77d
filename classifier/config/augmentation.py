"""Options of how training pictures are distorted."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

from classifier.config import bounds
from classifier.config.options import Options, option
from slim import _checks

COLOR_DISTORTIONS = ("none", "fast", "full")
POLICIES = ("cifar10", "imagenet")

_magnitude = functools.partial(_checks.in_range, 0, 10)


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
    auto_augment: str | None = option(
        None,
        "Change each image by one of the pairs of operations that AutoAugment found for this"
        " dataset.",
        choices=POLICIES,
    )
    rand_augment: float | None = option(
        None,
        "Magnitude, 0 to 10, of the random operations of RandAugment; without it, none.",
        check=_magnitude,
    )
    rand_augment_layers: int = option(
        2, "Operations of RandAugment on each image.", check=bounds.positive
    )
    random_erasing: float = option(
        0.0,
        "Share of the images of which a random rectangle is filled with noise.",
        check=bounds.fraction,
    )
    mixup_alpha: float = option(
        0.0,
        "Mix each image and its label with another's, by a share from Beta(alpha, alpha); 0: not.",
        check=bounds.non_negative,
    )
    cutmix_alpha: float = option(
        0.0,
        "Put a rectangle of another image into each, by a share from Beta(alpha, alpha); 0: not."
        " With mixup_alpha too, each batch gets one of the two.",
        check=bounds.non_negative,
    )

    @property
    def switches(self) -> dict[str, Any]:
        """The distortions that were chosen, as arguments of the training preprocessing."""
        chosen = {
            "random_crop": self.random_crop,
            "random_flip": self.random_flip,
            "color_distortion": self.color_distortion,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def conflicts(self) -> Iterator[str]:
        """Yields what does not go together."""
        if self.auto_augment is not None and self.rand_augment is not None:
            yield "auto_augment and rand_augment exclude each other: leave one of them out"
        if self.rand_augment is None and self.rand_augment_layers != 2:
            yield "rand_augment_layers needs rand_augment, the magnitude"
