"""The features of a dataset's images, for comparisons."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from classifier import inputs
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from datasets import progress
from slim.data.dataset import Dataset

_MIN_NORM = 1e-12


class FeatureBatch(NamedTuple):
    """Features of some images.

    Attributes:
      features: float32 [images, channels].
      labels: labels of the dataset, int64 [images], or [images, classes] with a 1 for each of
        several labels.
      shards: index of each image's shard, int64 [images].
      records: index of its record in the shard, int64 [images].
      filenames: name of each source file; empty strings if the dataset has none.
    """

    features: np.ndarray
    labels: np.ndarray
    shards: np.ndarray
    records: np.ndarray
    filenames: Sequence[str]


def read(
    classifier: InferenceModel,
    dataset: Dataset,
    batch_size: int,
    skipped: inputs.BadImages | None = None,
) -> Iterator[FeatureBatch]:
    """Yields the features of a split, in the order of the records.

    Args:
      classifier: the model.
      dataset: the split.
      batch_size: number of images of a batch.
      skipped: collects the images that cannot be decoded, which then do not stop the iteration.

    Raises:
      RunError: if an image cannot be decoded.
    """
    spec = tf.TensorSpec([None, *classifier.image_shape], tf.float32)
    network = tf.function(classifier.features, autograph=False, input_signature=[spec])
    batches = inputs.evaluation_dataset(
        dataset,
        preprocessing_fn=preprocessing.preprocessing_fn(classifier.info, is_training=False),
        image_size=classifier.image_size,
        batch_size=batch_size,
        num_classes=dataset.num_classes,
        skipped=skipped,
    )
    with (
        inputs.translate_errors(dataset),
        progress.bar(dataset.num_samples, "img", "features") as bar,
    ):
        for batch in batches:
            mask = batch["mask"].numpy()
            names = batch["filename"].numpy()[mask] if "filename" in batch else [b""] * mask.sum()
            yield FeatureBatch(
                network(batch["image"]).numpy()[mask],
                *(batch[key].numpy()[mask] for key in ("label", "shard", "record")),
                [name.decode(errors="surrogateescape") for name in names],
            )
            bar.update(int(mask.sum()))


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Returns features of length 1, float32 [images, channels]; zeros stay zeros."""
    features = features.astype(np.float32).reshape(len(features), -1)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.ascontiguousarray(features / np.maximum(norms, _MIN_NORM))
