"""Classes of a model, derived from its dataset."""

import dataclasses

from classifier.config import problems
from classifier.config.problems import named
from datasets.splits import SplitMetadata


@dataclasses.dataclass(frozen=True)
class Classes:
    """Classes of a dataset whose files are not available.

    Attributes:
      name: name of the dataset. None: unknown.
      num_classes: number of labels. None: known only from the dataset's directory.
      num_channels: channels of the images. None: unknown.
    """

    name: str | None = None
    num_classes: int | None = None
    num_channels: int | None = None

    def logits(self, labels_offset: int) -> int:
        """Returns the number of logits.

        Raises:
          UserError: if it depends on the dataset's directory, the offset removes all classes, or
            the dataset has no name to which an offset could apply.
        """
        if self.num_classes is None:
            raise problems.error(
                "{} is required to read the classes of {!r}",
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


def num_classes(dataset: SplitMetadata, labels_offset: int) -> int:
    """Returns the number of logits.

    Raises:
      UserError: if the offset removes all classes.
    """
    return _left(dataset.name, dataset.num_classes, labels_offset)


def num_logits(classes: int, name: str | None, option: int | None) -> int:
    """Returns the number of logits: the option's, else one per class.

    Args:
      classes: number of classes in the dataset.
      name: name of the dataset. None: unknown.
      option: value of the option `num_classes`.

    Raises:
      UserError: if the option is smaller than the number of classes.
    """
    if option is not None and option < classes:
        raise problems.error(
            "{} is less than the {} classes of {}. Increase or remove it",
            named("num_classes", option),
            classes,
            f"dataset {name!r}" if name else "the checkpoint",
        )
    return option or classes


def _left(name: str | None, classes: int, labels_offset: int) -> int:
    if labels_offset >= classes:
        raise problems.error(
            "{} removes all {} classes of {!r}",
            named("labels_offset", labels_offset),
            classes,
            name,
        )
    return classes - labels_offset


def label_names(dataset: SplitMetadata, labels_offset: int, num_logits: int) -> tuple[str, ...]:
    """Returns the class names in the order of the logits; unnamed classes have their label."""
    if not dataset.labels_to_names:
        return ()
    labels = range(labels_offset, labels_offset + num_logits)
    return tuple(dataset.labels_to_names.get(label, str(label)) for label in labels)
