"""Where a dataset is, and how it is divided into splits. No TensorFlow."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Location:
    """A dataset on disk.

    Attributes:
      name: value of `--dataset_name`.
      directory: directory of its shards or images, or an archive of images; of a list, the
        directory that its paths refer to. None: that of the list.
      file: list of images.
      file_pattern: names of the shards, where they differ from the dataset's own; `%s` stands for
        the split.
      labels_file: names of the classes, in the order of their labels.
      validation_fraction: fraction of images read in place to hold out. None: 0.1.
      split_seed: decides which images read in place are held out, and their order.
      folds: number of parts for cross-validation; None: no cross-validation.
      fold: the part that is held out, from 0.
      multi_label: whether an image that is read in place may have several labels.
    """

    name: str
    directory: str | None = None
    file: str | None = None
    file_pattern: str | None = None
    labels_file: str | None = None
    validation_fraction: float | None = None
    split_seed: int = 0
    folds: int | None = None
    fold: int = 0
    multi_label: bool = False
