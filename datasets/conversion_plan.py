"""What a conversion is to write: images, classes and how they become records."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import tfrecords
from datasets.items import Split


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A dataset to be written.

    Attributes:
      name: name of the dataset.
      classes: class names; the position is the label.
      num_channels: 1 or 3.
      splits: split name -> split.
      inputs: identifies the input files (see `conversion.inputs_of`); if it has changed, an
        interrupted conversion starts over.
      formats: names of "jpeg" and "png" in the records.
      source: URL or directory of the images.
      source_files: `local_images.summary` of the source.
      attribution: authors and license.
      options: the user's options that decide the content of the records.
      background: whether class 0 is a background class, which needs no images.
      upright: whether to apply the EXIF orientation; not if boxes or published results refer to the
        stored pixels.
      jpeg_only: whether to convert all images to JPEG.
      sha256: name of the feature for the checksum of the encoded image; empty for none.
      features: returns the further features of a record from its item's `extra`.
      multi_label: whether the items have any number of labels each.
    """

    name: str
    classes: Sequence[str]
    num_channels: int
    splits: Mapping[str, Split]
    inputs: Sequence[str]
    formats: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"jpeg": "jpeg", "png": "png"}
    )
    source: str = ""
    source_files: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    attribution: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    background: bool = False
    upright: bool = True
    jpeg_only: bool = False
    sha256: str = ""
    features: Callable[..., Mapping[str, tfrecords.Value]] = dict
    multi_label: bool = False
