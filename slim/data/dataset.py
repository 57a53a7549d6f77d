"""A split of a dataset: files, decoder, classes."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from slim.data import files
from slim.data.record_source import RecordSource


class Dataset:
    """One split of a dataset, ready to be read.

    Attributes:
      data_sources: paths or patterns of the TFRecord shards, in order, or one of them; see
        `files.get_data_files`.
      reader: class that reads the files. None: `tf.data.TFRecordDataset` in eager code,
        TensorFlow 1's `TFRecordReader` in a plain `tf.Graph`.
      decoder: a `TFExampleDecoder`, or an object with its methods.
      num_samples: number of records in all shards.
      items_to_descriptions: item of the decoder -> description in one line.
      name: the dataset's name, such as "digits".
      split_name: the split's name, such as "train".
      shard_counts: number of records of each shard; None if unknown, which is the default. Empty
        by default if `data_sources` is a string.
      shard_bytes: size of each shard that decides the order of training; empty, which is the
        default, for those of the files.
      record_source: reads the records if `data_sources` are not TFRecord files; None by default.
        See `record_source.RecordSource`.
      usual_samples: number of records that are expected, for a warning; None by default.
      num_classes: number of classes, including a background class if there is one.
      labels_to_names: label -> class name.
    """

    data_sources: str | Sequence[str]
    reader: Any
    decoder: Any
    num_samples: int
    items_to_descriptions: Mapping[str, str]
    name: str
    split_name: str
    shard_counts: Sequence[int | None]
    shard_bytes: Sequence[int]
    record_source: RecordSource | None
    usual_samples: int | None
    num_classes: int | None
    labels_to_names: Mapping[int, str]

    def __init__(
        self,
        data_sources: str | Sequence[str],
        reader: Any = None,
        decoder: Any = None,
        num_samples: int | None = None,
        items_to_descriptions: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Initializes the split.

        Args:
          data_sources: as the attribute, like the following ones.
          reader: a class.
          decoder: of the records.
          num_samples: number of records.
          items_to_descriptions: item -> description.
          **kwargs: the other attributes, and any further ones.

        Raises:
          ValueError: if `shard_counts` does not have one count per shard.
        """
        shards = () if isinstance(data_sources, str) else data_sources
        defaults: dict[str, Any] = {
            "name": "unnamed",
            "split_name": "unnamed",
            "shard_counts": (),
            "shard_bytes": (),
            "record_source": None,
            "usual_samples": None,
            "num_classes": None,
            "labels_to_names": {},
        }
        vars(self).update(
            defaults | kwargs,
            data_sources=data_sources,
            reader=reader,
            decoder=decoder,
            num_samples=num_samples,
            items_to_descriptions=items_to_descriptions or {},
        )
        self.shard_counts = self.shard_counts or (None,) * len(shards)
        if shards and len(self.shard_counts) != len(shards):
            raise ValueError(
                f"{self.name}/{self.split_name}: {len(shards)} data_sources"
                f" but {len(self.shard_counts)} shard_counts. Pass one count (or None) per shard"
            )

    def replace(self, **changes: Any) -> "Dataset":
        """Returns the same split with some attributes changed."""
        return type(self)(**(vars(self) | changes))

    @property
    def shard_names(self) -> tuple[str, ...]:
        """The shards' file names without their directory."""
        sources = self.data_sources
        paths = files.get_data_files(sources) if isinstance(sources, str) else sources
        return tuple(os.path.basename(path) for path in paths)
