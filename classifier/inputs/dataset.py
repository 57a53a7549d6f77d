"""Opens a split of a dataset, with a limit on the size of its images."""

from datasets import dataset_factory
from slim import _decodings
from slim._decodings import Decoding
from slim.data.dataset import Dataset


def open_dataset(
    name: str, split_name: str, dataset_dir: str, max_pixels: int, decoding: Decoding
) -> Dataset:
    """Returns a split, ready to be read.

    Args:
      name: of the dataset.
      split_name: of the split.
      dataset_dir: directory with its files.
      max_pixels: maximum number of pixels of an image.
      decoding: of the model that reads it.

    Raises:
      UserError: if it is missing or damaged.
    """
    metadata = dataset_factory.get_metadata(name, split_name, dataset_dir)
    dataset = dataset_factory.open_split(metadata)
    decoder = dataset.decoder.with_max_pixels(max_pixels)
    if not _decodings.are_equal_on(metadata.decoding, decoding):
        decoder = decoder.with_decoding(decoding)
    return dataset.replace(decoder=decoder)
