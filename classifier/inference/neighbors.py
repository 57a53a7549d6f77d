"""The images of a dataset whose features are closest to an image's."""

import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np

from classifier import inputs
from classifier.inference import dataset_features
from classifier.inference.dataset_features import unit_rows
from classifier.inference.model import InferenceModel
from classifier.label_kinds import label_text
from datasets import dataset_factory
from datasets.location import Location
from slim import _checks
from slim.data.dataset import Dataset

_CHUNK_BYTES = 32 << 20  # of the features compared at once


class Neighbor(NamedTuple):
    """An image of a dataset.

    Attributes:
      file: name of its source file; its shard and record if the dataset has no names.
      label: name of its class; the names of several ones.
      similarity: cosine of the angle between its features and the image's, at most 1.
    """

    file: str
    label: str
    similarity: float


class Index:
    """The features of a dataset, for search.

    Args:
      classifier: the model.
      dataset: the split.
      batch_size: number of images of a batch.
      file: empty file that the features are written to and read from, since they may not fit in
        memory.

    Raises:
      RunError: if an image cannot be decoded.
    """

    def __init__(
        self, classifier: InferenceModel, dataset: Dataset, batch_size: int, file: IO[bytes]
    ) -> None:
        names = [dataset.labels_to_names.get(i, str(i)) for i in range(dataset.num_classes)]
        self._names: list[str] = []
        self._classes: list[str] = []
        self._file = file
        for batch in dataset_features.read(classifier, dataset, batch_size):
            rows = unit_rows(batch.features)
            self._file.write(rows.data)
            self._width = rows.shape[1]
            self._names += [
                name or f"{dataset.shard_names[shard]}:{record}"
                for name, shard, record in zip(
                    batch.filenames, batch.shards, batch.records, strict=True
                )
            ]
            self._classes += [label_text(label, names) for label in batch.labels]
        self._file.flush()

    def __len__(self) -> int:
        return len(self._names)

    def nearest(self, features: np.ndarray, count: int) -> list[list[Neighbor]]:
        """Returns the nearest images, the nearest first; of equal ones the first of the dataset.

        Args:
          features: of the images, float32 [images, channels].
          count: number of neighbors of each, at most the size of the dataset.
        """
        queries = unit_rows(features)
        count = min(count, len(self))
        best = np.full([len(queries), count], -np.inf, np.float32)
        places = np.zeros([len(queries), count], np.int64)
        step = max(1, _CHUNK_BYTES // (4 * self._width))
        for start in range(0, len(self), step):
            number = min(step, len(self) - start)
            rows = np.memmap(
                self._file, np.float32, "r", 4 * start * self._width, (number, self._width)
            )
            values = np.concatenate([best, queries @ rows.T], axis=1)
            indices = np.concatenate(
                [places, np.broadcast_to(np.arange(start, start + number), (len(queries), number))],
                axis=1,
            )
            order = np.argsort(-values, axis=1, kind="stable")[:, :count]
            best, places = (np.take_along_axis(each, order, 1) for each in (values, indices))
        return [
            [self._neighbor(place, value) for place, value in zip(*row, strict=True)]
            for row in zip(places, best, strict=True)
        ]

    def _neighbor(self, place: int, similarity: float) -> Neighbor:
        return Neighbor(self._names[place], self._classes[place], float(similarity))


@contextlib.contextmanager
def open_neighbors(
    classifier: InferenceModel, dataset_dir: str, split_name: str, max_pixels: int, batch_size: int
) -> Iterator[Index]:
    """Returns the index of a dataset, which is removed after the block.

    Args:
      classifier: the model.
      dataset_dir: directory of the dataset; without dataset_info.json it is the model's.
      split_name: such as "train".
      max_pixels: maximum number of pixels of an image.
      batch_size: number of images of a batch.

    Raises:
      UserError: if the dataset is missing or damaged, or its name is unknown.
      RunError: if an image cannot be decoded.
    """
    name = dataset_factory.recorded_name(dataset_dir) or classifier.info.dataset_name
    if name is None:
        raise _checks.UserError(
            f"{dataset_dir} has no dataset_info.json, and the name of the model's dataset is"
            " unknown. Convert the dataset, or use the checkpoint of a run"
        )
    dataset = inputs.open_dataset(
        Location(name, dataset_dir, multi_label=classifier.info.multi_label),
        split_name,
        max_pixels,
        classifier.info,
    )
    with tempfile.TemporaryFile() as file:
        yield Index(classifier, dataset, batch_size, file)
