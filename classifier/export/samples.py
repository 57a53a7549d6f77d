"""Real images for the comparison of an export with its checkpoint, and for calibration."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from classifier import inputs
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.model_info import ModelInfo
from datasets import dataset_factory
from slim.data.dataset import Dataset

_SEED = 0  # the same images in each export


@dataclasses.dataclass(frozen=True)
class Samples:
    """Images before preprocessing.

    Attributes:
      name: description for messages.
      images: images, uint8 [height, width, channels] each.
      labels: position of each image's class in the logits, or a 1 at each of several classes; None
        if the classes are not the model's.
    """

    name: str
    images: Sequence[np.ndarray]
    labels: np.ndarray | None = None


def embedded(info: ModelInfo, count: int) -> Samples:
    """Returns the digits included in slim, with the number of channels of a model's images."""
    name, files = dataset_factory.example_images(count)
    images = [tf.io.decode_png(file, channels=1).numpy() for file in files]
    return Samples(name, [_with_channels(image, info) for image in images])


def drawn(dataset: Dataset, info: ModelInfo, count: int) -> Samples:
    """Returns random images of a split, without repetition; the same ones in each call.

    Args:
      dataset: split to draw from.
      info: model.
      count: maximum number of images.

    Raises:
      UserError: if a shard is damaged or a label is not one of the model's.
    """
    batches = inputs.training_dataset(
        dataset,
        preprocessing_fn=_unchanged,
        image_size=info.image_size,
        batch_size=1,
        seed=_SEED,
        labels_offset=info.labels_offset,
        num_classes=info.num_classes,
    )
    images, labels = [], []
    with inputs.translate_errors(dataset):
        for batch in batches.take(min(count, dataset.num_samples)):
            images.append(_with_channels(batch["image"][0].numpy(), info))
            labels.append(batch["label"][0].numpy())
    return Samples(f"{dataset.name} {dataset.split_name}", images, np.array(labels))


def preprocessed(samples: Samples, classifier: InferenceModel) -> np.ndarray:
    """Returns the preprocessed images, float32 [n, height, width, channels].

    For a video network they are repeated to videos, [n, frames, height, width, channels].
    """
    prepare = preprocessing.image_fn(classifier.info, classifier.image_size)
    images = _mapped(prepare, samples, classifier.info)
    if classifier.is_video:
        return np.repeat(images[:, None], classifier.example_shape[0], axis=1)
    return images


def pixels(samples: Samples, classifier: InferenceModel) -> np.ndarray:
    """Returns the images at the network's size without normalization, uint8 [n, height, width,
    channels]."""
    function = preprocessing.pixels_fn(classifier.info, classifier.image_size)
    return _mapped(function, samples, classifier.info)


def _mapped(
    function: Callable[[tf.Tensor], tf.Tensor], samples: Samples, info: ModelInfo
) -> np.ndarray:
    spec = tf.TensorSpec([None, None, preprocessing.decoded_channels(info)], tf.uint8)
    traced = tf.function(function, autograph=False, input_signature=[spec])
    return np.stack([traced(image).numpy() for image in samples.images])


def _unchanged(image: Any, height: int, width: int, seed: tf.Tensor) -> tf.Tensor:
    del height, width, seed  # preprocessing follows in `preprocessed`
    return tf.convert_to_tensor(image)


def _with_channels(image: np.ndarray, info: ModelInfo) -> np.ndarray:
    channels = preprocessing.decoded_channels(info)
    return np.repeat(image, channels, axis=2) if image.shape[2] < channels else image
