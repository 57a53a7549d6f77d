"""The classes of a model, by what is known of its dataset."""

import dataclasses

from classifier.config import problems
from classifier.config.problems import named
from datasets.splits import SplitFacts


@dataclasses.dataclass(frozen=True)
class Classes:
    """What is known of a dataset without its folder.

    Attributes:
      name: the dataset; None if that is not known.
      num_classes: classes in the labels; None if only its folder knows.
      num_channels: of the images; None if that is not known.
    """

    name: str | None = None
    num_classes: int | None = None
    num_channels: int | None = None

    def logits(self, labels_offset: int) -> int:
        """Returns the length of the logits.

        Raises:
          UserError: if only the folder knows it, or the offset leaves no class or has no dataset.
        """
        if self.num_classes is None:
            raise problems.error(
                "{} is required: the classes of {!r} are only known from its directory",
                named("dataset_dir"),
                self.name,
            )
        if labels_offset and self.name is None:
            raise problems.error(
                "{} needs {}: without it, the classes are those of the checkpoint's last layer",
                named("labels_offset"),
                named("dataset_name"),
            )
        return _left(self.name, self.num_classes, labels_offset)


def num_classes(dataset: SplitFacts, labels_offset: int) -> int:
    """Returns the length of the logits.

    Raises:
      UserError: if the offset leaves no class.
    """
    return _left(dataset.name, dataset.num_classes, labels_offset)


def _left(name: str | None, classes: int, labels_offset: int) -> int:
    if labels_offset >= classes:
        raise problems.error(
            "{} drops all {} classes of {!r}", named("labels_offset", labels_offset), classes, name
        )
    return classes - labels_offset


def label_names(dataset: SplitFacts, labels_offset: int) -> tuple[str, ...]:
    """Returns the classes' names in the order of the logits; a class without one is its label."""
    if not dataset.labels_to_names:
        return ()
    labels = range(labels_offset, dataset.num_classes)
    return tuple(dataset.labels_to_names.get(label, str(label)) for label in labels)
