"""Options of the training data."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.image_limits import max_pixels_option
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named

AUTO_OFFSET = -1
AUTO_BATCH = -1
# Of `auto`: maximum batch size per clone, and minimum number of steps per epoch.
MAX_AUTO_BATCH, MIN_AUTO_STEPS = 256, 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingDataOptions(Options):
    """Data."""

    dataset_name: str = option(
        "imagenet", "Name of the dataset.", table="datasets", resume="refused"
    )
    dataset_split_name: str = option("train", "Split to train on.", resume="refused")
    dataset_dir: str | None = option(
        None,
        "Directory of the dataset: TFRecord files, or for folder also images, SRC/<class>/<image>,"
        " or a zip or tar of them; for list, the directory that its paths refer to (default: that"
        " of the list).",
        path="dataset",
    )
    labels_offset: int = option(
        0,
        "Number to subtract from each label; 1 drops the background class of ImageNet. auto: 1 for"
        " ImageNet and a network that was published with 1000 classes (VGG, ResNet v1), else 0.",
        check=bounds.non_negative,
        auto=AUTO_OFFSET,
    )
    multi_label: bool | None = option(
        None,
        "Several labels an image: the classes' probabilities are sigmoids. Default: as the"
        " dataset's dataset_info.json says, else false.",
        resume="free",  # the resolved value is compared
    )
    batch_size: int = option(
        32,
        "Batch size per clone; auto: the largest power of two whose step fits the memory, at most"
        f" {MAX_AUTO_BATCH}, with at least {MIN_AUTO_STEPS} steps per epoch.",
        check=bounds.positive,
        auto=AUTO_BATCH,
    )
    max_pixels: int = max_pixels_option()
    num_readers: int = option(4, "Number of shards to read in parallel.", check=bounds.positive)
    num_preprocessing_threads: int | None = option(
        None,
        "Number of images to preprocess in parallel. Default: chosen automatically.",
        check=bounds.positive,
        tf_slim=4,
    )
    cache: str = option(
        "none",
        "Copy the shards before training and read the copies: memory, or a directory on a faster"
        " disk, whose copies later runs reuse. none disables.",
        resume="free",
    )
    data_service: str | None = option(
        None,
        "Address, grpc://host:port, of a tf.data service whose single worker prepares the training"
        " batches, or several addresses, separated by commas, to prepare them in turn. The workers"
        " must see the dataset at the same path. Default: batches are prepared by this process.",
        resume="free",
    )
    shuffle_buffer_mb: int = option(
        512,
        "Maximum size of the shuffle buffer of encoded images, in MB.",
        check=bounds.positive,
        resume="refused",
    )
    balanced_sampling: bool = option(
        False,
        "Sample all classes equally often, repeating images of small classes.",
        resume="refused",
    )

    @property
    def is_batch_automatic(self) -> bool:
        """Whether the batch size is still to be found."""
        return self.batch_size == AUTO_BATCH

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.dataset_dir is None and self.dataset_name != "list":
            yield Problem("{} is required: Directory of the dataset", named("dataset_dir"))
        service, balanced = named("data_service"), named("balanced_sampling")
        if self.data_service is not None and self.cache != "none":
            yield Problem(
                "{} has no effect with {}: another process reads the files", named("cache"), service
            )
        if self.data_service is not None and self.balanced_sampling:
            yield Problem(
                "{} cannot be used with {}: it samples in this process", balanced, service
            )
        if self.balanced_sampling and self.is_changed("shuffle_buffer_mb"):
            yield Problem(
                "{} has no effect with {}, which needs no buffer",
                named("shuffle_buffer_mb"),
                balanced,
            )
