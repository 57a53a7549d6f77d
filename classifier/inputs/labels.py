"""How the labels of a record become the labels of a batch: one class an image, or several."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from classifier.inputs import errors
from slim.data import dataset as dataset_lib

Example = dict[str, tf.Tensor]


class Labels(Protocol):
    """The labels of a split, by the kind of its records.

    Attributes:
      item: item of the decoder.
      can_be_stacked: whether `of_example` also accepts several examples, stacked.
    """

    item: str
    can_be_stacked: bool

    def of_example(self, value: tf.Tensor, example: Example) -> tf.Tensor:
        """Returns the label of an example from its decoded item."""

    def check(self, batch: Example) -> Example:
        """Returns a batch whose labels are those of the network's classes; others raise.

        It runs on the host: on a device, a wrong label would silently become NaN or a loss of 0.
        """


def labels_of(dataset: dataset_lib.Dataset, offset: int, num_classes: int) -> Labels:
    """Returns the labels of a split.

    Args:
      dataset: the split.
      offset: subtracted from the labels.
      num_classes: classes of the network.
    """
    return _kind_of(dataset)(dataset, offset, num_classes)


def label_item(dataset: dataset_lib.Dataset) -> str:
    """Returns the decoder's item with the label, or with the labels, of an image."""
    return _kind_of(dataset).item


def _kind_of(dataset: dataset_lib.Dataset) -> "type[SingleLabels] | type[MultipleLabels]":
    several = MultipleLabels.item in dataset.decoder.list_items()
    return MultipleLabels if several else SingleLabels


@dataclasses.dataclass(frozen=True)
class _Labels:
    dataset: dataset_lib.Dataset
    offset: int
    num_classes: int

    def _raise_if(
        self, is_bad: tf.Tensor, label: Callable[[], tf.Tensor], example: Callable[[str], tf.Tensor]
    ) -> None:
        """Raises in the pipeline for a label that the network has no class for."""
        offset = errors.option("labels_offset", self.offset)
        ending = (
            f") is out of range: the model has {self.num_classes} classes, so with {offset} labels"
            f" must be {self.offset} to {self.num_classes - 1 + self.offset}. "
        )
        first = max(self.offset, 1)
        too_low = f"If the labels start at 0, set {errors.option('labels_offset', 0)}"
        too_high = (
            f"If the labels start at {first}, number the class names from {first}, with lines"
            f" '{first}:name' in labels.txt or {errors.option('labels_file')}, and set"
            f" {errors.option('labels_offset', first)}"
        )
        has_name = "filename" in self.dataset.decoder.list_items()
        errors.raise_if(
            is_bad,
            lambda: [
                errors.MISTAKE,
                "Label ",
                tf.strings.as_string(label()),
                *([" of '", example("filename"), "'"] if has_name else []),
                " (",
                tf.gather(tf.constant(self.dataset.shard_names), example("shard")),
                ", record ",
                tf.strings.as_string(example("record")),
                ending,
                tf.where(label() < self.offset, too_low, too_high),
            ],
        )


class SingleLabels(_Labels):
    """One class an image: a batch has int64 [batch]."""

    item = "label"
    can_be_stacked = True

    def of_example(self, value: tf.Tensor, example: Example) -> tf.Tensor:
        """Returns the class, int64 [] or that of each example, int64 [number]."""
        del example
        return tf.cast(value, tf.int64) - self.offset

    def check(self, batch: Example) -> Example:
        """Returns the batch, or raises for its first wrong label."""
        labels = batch["label"]
        is_bad = (labels < 0) | (labels >= self.num_classes)
        first = tf.argmax(is_bad)
        self._raise_if(
            tf.reduce_any(is_bad),
            lambda: tf.gather(labels, first) + self.offset,
            lambda key: tf.gather(batch[key], first),
        )
        return batch


class MultipleLabels(_Labels):
    """Any number of classes an image: a batch has ones at them, int64 [batch, classes]."""

    item = "labels"
    can_be_stacked = False

    def of_example(self, value: tf.Tensor, example: Example) -> tf.Tensor:
        """Returns 1 for each of the labels, int64 [classes]; raises for a wrong one."""
        labels = tf.cast(value, tf.int64) - self.offset
        is_bad = (labels < 0) | (labels >= self.num_classes)
        self._raise_if(
            tf.reduce_any(is_bad),
            lambda: tf.boolean_mask(value, is_bad)[0],
            lambda key: example[key],
        )
        # Of a wrong label nothing may be read before the error stops the pipeline.
        kept = tf.boolean_mask(labels, ~is_bad)
        none = tf.zeros([self.num_classes], tf.int64)
        return tf.tensor_scatter_nd_max(none, kept[:, tf.newaxis], tf.ones_like(kept))

    def check(self, batch: Example) -> Example:
        """Returns the batch: its examples were checked."""
        return batch
