"""Options of the augmentation of training images."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named
from slim import _checks

COLOR_DISTORTIONS = ("none", "fast", "full")
POLICIES = ("cifar10", "imagenet")

_magnitude = functools.partial(_checks.in_range, 0, 10)
_OF_PREPROCESSING = "Default: as the preprocessing does."


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationOptions(Options):
    """Augmentation."""

    random_crop: bool | None = option(
        None, f"Crop each image at random (cifarnet, inception, vgg). {_OF_PREPROCESSING}"
    )
    random_flip: bool | None = option(
        None,
        "Flip each image horizontally with probability 0.5 (cifarnet, inception, vgg)."
        f" {_OF_PREPROCESSING}",
    )
    color_distortion: str | None = option(
        None,
        f"Color distortion of each image (cifarnet, inception). {_OF_PREPROCESSING}",
        choices=COLOR_DISTORTIONS,
    )
    auto_augment: str | None = option(
        None,
        "Apply AutoAugment with the policy that was learned on this dataset. Default: no"
        " AutoAugment.",
        choices=POLICIES,
    )
    rand_augment: float | None = option(
        None, "Magnitude of RandAugment, 0 to 10. Default: no RandAugment.", check=_magnitude
    )
    rand_augment_layers: int = option(
        2, "Number of RandAugment operations per image.", check=bounds.positive
    )
    random_erasing: float = option(
        0.0,
        "Probability of filling a random rectangle of an image with noise. 0 disables.",
        check=bounds.fraction,
    )
    mixup_alpha: float = option(
        0.0,
        "Alpha of mixup: blend each image and its label with another image's, in a proportion"
        " drawn from Beta(alpha, alpha). 0 disables.",
        check=bounds.non_negative,
    )
    cutmix_alpha: float = option(
        0.0,
        "Alpha of CutMix: paste a rectangle of another image into each image, with an area"
        " drawn from Beta(alpha, alpha). 0 disables. If mixup is enabled too, each batch uses one"
        " of the two.",
        check=bounds.non_negative,
    )

    @property
    def switches(self) -> dict[str, Any]:
        """The distortions that were chosen, as arguments of the training preprocessing."""
        values = {
            "random_crop": self.random_crop,
            "random_flip": self.random_flip,
            "color_distortion": self.color_distortion,
        }
        return {name: value for name, value in values.items() if value is not None}

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.auto_augment is not None and self.rand_augment is not None:
            yield Problem(
                "{} and {} are mutually exclusive", named("auto_augment"), named("rand_augment")
            )
        if self.rand_augment is None and self.rand_augment_layers != 2:
            yield Problem(
                "{} needs {}, the magnitude", named("rand_augment_layers"), named("rand_augment")
            )
