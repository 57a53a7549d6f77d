"""A split of a dataset: files, decoder, classes."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from slim.data import files


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """One split of a dataset, ready to be read.

    Attributes:
      name: the dataset's name, such as "digits".
      split_name: the split's name, such as "train".
      data_sources: paths of the TFRecord shards, in order; may be initialized with one path or
        pattern, see `files.get_data_files`.
      shard_counts: number of records of each shard; None if unknown, which is the default.
      decoder: a `TFExampleDecoder`, or an object with its methods.
      num_samples: number of records in all shards.
      num_classes: number of classes, including a background class if there is one.
      labels_to_names: label -> class name.
      items_to_descriptions: item of the decoder -> description in one line.
    """

    name: str = "unnamed"
    split_name: str = "unnamed"
    data_sources: Sequence[str]
    shard_counts: Sequence[int | None] = ()
    decoder: Any
    num_samples: int
    num_classes: int
    labels_to_names: Mapping[int, str] = dataclasses.field(default_factory=dict)
    items_to_descriptions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.data_sources, str):
            object.__setattr__(self, "data_sources", tuple(files.get_data_files(self.data_sources)))
        if not self.shard_counts:
            object.__setattr__(self, "shard_counts", (None,) * len(self.data_sources))
        if len(self.shard_counts) != len(self.data_sources):
            raise ValueError(
                f"{self.name}/{self.split_name}: {len(self.data_sources)} data_sources"
                f" but {len(self.shard_counts)} shard_counts. Pass one count (or None) per shard"
            )

    @property
    def shard_names(self) -> tuple[str, ...]:
        """The shards' file names without their directory."""
        return tuple(os.path.basename(path) for path in self.data_sources)
