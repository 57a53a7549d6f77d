"""Opens a split of a dataset, with a limit on the size of its images."""

import dataclasses

from classifier.model_info import ModelInfo
from datasets import dataset_factory
from datasets.location import Location
from slim import _decodings
from slim.data.dataset import Dataset


def open_dataset(location: Location, split_name: str, max_pixels: int, info: ModelInfo) -> Dataset:
    """Returns a split, ready to be read.

    Args:
      location: of the dataset.
      split_name: of the split.
      max_pixels: maximum number of pixels of an image.
      info: the model that reads it: its decoding, and whether its images have several labels.

    Raises:
      UserError: if it is missing or damaged.
    """
    metadata = dataset_factory.metadata_at(location, split_name)
    if info.multi_label:
        metadata = dataclasses.replace(metadata, multi_label=True)
    dataset = dataset_factory.open_split(metadata)
    decoder = dataset.decoder.with_max_pixels(max_pixels)
    if not _decodings.are_equal_on(metadata.decoding, info.decoding):
        decoder = decoder.with_decoding(info.decoding)
    source = dataset.record_source
    return dataset.replace(
        decoder=decoder, record_source=source and source.with_max_pixels(max_pixels)
    )
