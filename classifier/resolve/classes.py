"""Classes of a model, derived from its dataset."""

import dataclasses
from collections.abc import Sequence

from classifier.config import problems
from classifier.config.problems import named
from classifier.model_info import ModelInfo
from datasets import imagenet_classes
from datasets.splits import SplitMetadata

IMAGENET = "imagenet"
IMAGENET_LABELS = imagenet_classes.NUM_CLASSES + 1  # with the background


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


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """The classes of a dataset as those of a model, by name.

    Attributes:
      indices: index in the model of each label's class; -1 if the model does not have it.
      missing: names of the dataset's classes that the model does not have.
      extra: names of the model's classes that the dataset does not have.
    """

    indices: tuple[int, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def map_by_name(model_names: Sequence[str], dataset: SplitMetadata) -> ClassMap | None:
    """Returns the dataset's classes as the model's, or None if names are unknown, none is common,
    or a name has several classes."""
    indices = {name: index for index, name in enumerate(model_names)}
    names = [dataset.labels_to_names.get(label) for label in range(dataset.num_classes)]
    known = [name for name in names if name is not None]
    is_ambiguous = len(indices) < len(model_names) or len(set(known)) < len(known)
    if is_ambiguous or not indices.keys() & set(known):
        return None
    return ClassMap(
        indices=tuple(indices.get(name, -1) if name is not None else -1 for name in names),
        missing=tuple(
            name or f"label {label}" for label, name in enumerate(names) if name not in indices
        ),
        extra=tuple(name for name in model_names if name not in set(known)),
    )


def with_imagenet_names(info: ModelInfo) -> ModelInfo:
    """Returns a model without class names with ImageNet's, if its number of classes is ImageNet's.

    Args:
      info: the model; of ImageNet, or of an unknown dataset.
    """
    first = IMAGENET_LABELS - info.num_classes
    if info.label_names or first not in (0, 1) or info.dataset_name not in (None, IMAGENET):
        return info
    names = imagenet_classes.create_readable_names_for_imagenet_labels()
    labels = range(first, IMAGENET_LABELS)
    return dataclasses.replace(info, label_names=tuple(names[label] for label in labels))
