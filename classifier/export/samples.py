"""Real pictures to compare an export with its checkpoint on, and to calibrate it with."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from classifier import inputs
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.model_info import ModelInfo
from datasets import dataset_factory
from slim.data.dataset import Dataset

# Of the draw: always the same images.
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Samples:
    """Pictures as they are before preprocessing.

    Attributes:
      name: what they are, for messages.
      pictures: each uint8 [height, width, channels].
      labels: class of each, by its place in the logits; None if they are not of the model's
        classes.
    """

    name: str
    pictures: Sequence[np.ndarray]
    labels: np.ndarray | None = None


def embedded(info: ModelInfo, count: int) -> Samples:
    """Returns the project's own digits, with the channels that a model's pictures have."""
    name, files = dataset_factory.example_images(count)
    pictures = [tf.io.decode_png(file, channels=1).numpy() for file in files]
    return Samples(name, [_with_channels(each, info) for each in pictures])


def drawn(dataset: Dataset, info: ModelInfo, count: int) -> Samples:
    """Returns pictures of a split by chance, always the same and none of them twice.

    Args:
      dataset: the split.
      info: whose classes they are.
      count: how many at most; fewer if the split has fewer.

    Raises:
      UserError: if a shard is damaged or a label is none of the model's.
    """
    batches = inputs.training_dataset(
        dataset,
        preprocessing_fn=_undistorted,
        image_size=info.image_size,
        batch_size=1,
        seed=_SEED,
        labels_offset=info.labels_offset,
        num_classes=info.num_classes,
    )
    pictures, labels = [], []
    with inputs.translate_errors(dataset):
        for batch in batches.take(min(count, dataset.num_samples)):
            pictures.append(_with_channels(batch["image"][0].numpy(), info))
            labels.append(int(batch["label"][0]))
    return Samples(f"{dataset.name} {dataset.split_name}", pictures, np.array(labels))


def prepared(samples: Samples, classifier: InferenceModel) -> np.ndarray:
    """Returns the pictures as the network takes them, float32 [n, height, width, channels]; as
    videos in which nothing moves, [n, frames, height, width, channels], where it takes those."""
    prepare = preprocessing.picture_fn(classifier.info, classifier.image_size)
    spec = tf.TensorSpec([None, None, preprocessing.decoded_channels(classifier.info)], tf.uint8)
    function = tf.function(prepare, autograph=False, input_signature=[spec])
    found = np.stack([function(picture).numpy() for picture in samples.pictures])
    if classifier.is_video:
        return np.repeat(found[:, None], classifier.example_shape[0], axis=1)
    return found


def _undistorted(image: Any, height: int, width: int, seed: tf.Tensor) -> tf.Tensor:
    del height, width, seed  # evaluation's preprocessing comes later
    return tf.convert_to_tensor(image)


def _with_channels(picture: np.ndarray, info: ModelInfo) -> np.ndarray:
    wanted = preprocessing.decoded_channels(info)
    return np.repeat(picture, wanted, axis=2) if picture.shape[2] < wanted else picture
