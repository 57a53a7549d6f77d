"""A split that exists only as metadata."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Dataset:
    name: str = "digits"
    split_name: str = "train"
    num_samples: int = 1437
    num_classes: int = 10
    labels_to_names: Mapping[int, str] = dataclasses.field(
        default_factory=lambda: {label: f"digit {label}" for label in range(10)}
    )
    num_channels: int | None = 1
    decoding: str = "tf_slim"
    multi_label: bool = False
    per_class: tuple[int, ...] = ()
