"""Opens a split of a dataset, with a limit on the size of its images."""

from datasets import dataset_factory
from slim.data.dataset import Dataset


def open_dataset(name: str, split_name: str, dataset_dir: str, max_pixels: int) -> Dataset:
    """Returns a split, ready to be read.

    Args:
      name: of the dataset.
      split_name: of the split.
      dataset_dir: directory with its files.
      max_pixels: maximum number of pixels of an image.

    Raises:
      UserError: if it is missing or damaged.
    """
    dataset = dataset_factory.get_dataset(name, split_name, dataset_dir)
    return dataset.replace(decoder=dataset.decoder.with_max_pixels(max_pixels))
