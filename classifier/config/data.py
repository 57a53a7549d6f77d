"""Options of the training data."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.options import Options, option, required


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
    max_pixels: int = max_pixels_option()
    num_readers: int = option(4, "Shards read side by side.", check=bounds.positive)
    num_preprocessing_threads: int | None = option(
        None,
        "Images prepared side by side; without it, as many as the machine does best.",
        check=bounds.positive,
    )
    cache: str = option(
        "none",
        "Where to copy the shards before the first step, to read them from there: memory, or a"
        " folder on a faster disk, where the next start finds them; none does not.",
        resume="free",
    )
    data_service: str | None = option(
        None,
        "Address, grpc://host:port, of a tf.data service whose one worker makes the training"
        " batches; it has to find the files at the same paths.",
        resume="free",
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

    def conflicts(self) -> Iterator[str]:
        """Yields copies of files that another process reads."""
        if self.data_service is not None and self.cache != "none":
            yield "cache is of this process, and with data_service another one reads the files"
        if self.data_service is not None and self.balanced_sampling:
            yield "balanced_sampling is drawn in this process, and data_service reads elsewhere"
        if self.balanced_sampling and self.shuffle_buffer_mb != type(self).shuffle_buffer_mb:
            yield "shuffle_buffer_mb has nothing to act on: balanced_sampling needs no buffer"
