"""Options that say where a dataset's images are, and how they are divided into splits."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named

# Endings of the names of archives; images are read from the former in place, and the latter are
# reported when they are opened.
ARCHIVES = (".zip", ".tar")
COMPRESSED_ARCHIVES = (".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions(Options):
    """Images read in place, and other files."""

    dataset_file: str | None = option(
        None,
        "List of images, for the dataset list: a .csv, .tsv, .jsonl or .parquet file with the"
        " columns path, label and, optionally, split. Default: none.",
        path="file",
        resume="refused",
    )
    labels_file: str | None = option(
        None,
        "Class names in the order of their labels: a name per line, labels.txt or label_map.pbtxt."
        " Default: the file in dataset_dir; for images read in place, the sorted names.",
        path="file",
        resume="refused",
    )
    file_pattern: str | None = option(
        None,
        "Names of the TFRecord files in dataset_dir, such as %s.tfrecord, where %s stands for the"
        " split. Default: the dataset's own.",
        resume="refused",
    )
    validation_fraction: float | None = option(
        None,
        "Fraction of each class to hold out for validation, of images read in place. Default: 0.1.",
        check=bounds.fraction,
        resume="refused",
    )
    split_seed: int = option(
        0,
        "Seed of the validation split and of the order of images read in place.",
        check=bounds.non_negative,
        resume="refused",
    )
    folds: int | None = option(
        None,
        "Number of parts of the images read in place, for cross-validation: one is the validation"
        " split, the others are trained on. Default: no cross-validation.",
        check=bounds.at_least_two,
        resume="refused",
    )
    fold: int | None = option(
        None,
        "The part that is held out, from 0 to --folds - 1.",
        check=bounds.non_negative,
        resume="refused",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        folds, fold = named("folds"), named("fold")
        if (self.folds is None) != (self.fold is None):
            yield Problem("{} and {} need each other", folds, fold)
        elif self.folds is not None and self.fold is not None and self.fold >= self.folds:
            yield Problem(
                "{} must be below {}", named("fold", self.fold), named("folds", self.folds)
            )
        if self.folds is not None and self.validation_fraction is not None:
            yield Problem("{} and {} are mutually exclusive", folds, named("validation_fraction"))
        if self.file_pattern is not None and "%s" not in self.file_pattern:
            yield Problem("{} needs %s, for the split", named("file_pattern", self.file_pattern))
        if self.file_pattern is not None and self.dataset_file is not None:
            yield Problem(
                "{} and {} are mutually exclusive", named("file_pattern"), named("dataset_file")
            )
