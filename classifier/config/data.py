"""Options of the training data."""

import dataclasses

from classifier.config import bounds
from classifier.options import Options, option, required


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingDataOptions(Options):
    """Data."""

    dataset_name: str = option(
        "imagenet", "Name of the dataset.", table="datasets", resume="refused"
    )
    dataset_split_name: str = option("train", "Split of the dataset to train on.", resume="refused")
    dataset_dir: str = required("Folder with the dataset's files.", path="folder")
    labels_offset: int = option(
        0,
        "Subtracted from each label: 1 leaves out ImageNet's background class (VGG, ResNet v1).",
        check=bounds.non_negative,
    )
    batch_size: int = option(32, "Images of a step and clone.", check=bounds.positive)
    num_readers: int = option(4, "Shards read side by side.", check=bounds.positive)
    num_preprocessing_threads: int | None = option(
        None,
        "Images prepared side by side; without it, as many as the machine does best.",
        check=bounds.positive,
    )
    shuffle_buffer_mb: int = option(
        512,
        "Most memory for encoded images waiting to be drawn in random order, in MB.",
        check=bounds.positive,
        resume="refused",
    )
    balanced_sampling: bool = option(
        False,
        "Draw every class as often as the others, repeating the images of those with few.",
        resume="refused",
    )
