"""What a split of a dataset is: its files, its decoder and the facts about it."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One split of a dataset, ready to be read.

    Attributes:
      name: the dataset's name, such as "digits".
      split_name: the split's name, such as "train".
      data_sources: paths of the TFRecord shards, in the order of their numbers.
      shard_counts: records of each shard; None where nobody has recorded the number.
      decoder: a `TFExampleDecoder`, or an object with its methods.
      num_samples: records of all shards together.
      num_classes: classes in the labels, the background class included if there is one.
      labels_to_names: label -> class name.
      items_to_descriptions: item of the decoder -> one line about it.
    """

    name: str
    split_name: str
    data_sources: tuple[str, ...]
    shard_counts: tuple[int | None, ...]
    decoder: Any
    num_samples: int
    num_classes: int
    labels_to_names: Mapping[int, str] = dataclasses.field(default_factory=dict)
    items_to_descriptions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.shard_counts) != len(self.data_sources):
            raise ValueError(
                f"{self.name}/{self.split_name}: {len(self.data_sources)} data_sources"
                f" but {len(self.shard_counts)} shard_counts; give one count (or None) a shard"
            )

    @property
    def shard_names(self) -> tuple[str, ...]:
        """The shards' file names without their directory."""
        return tuple(os.path.basename(path) for path in self.data_sources)
