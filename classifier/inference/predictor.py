"""What a prediction runs for each file and for each batch, for a checkpoint or an export."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.inference.clones import Clones
from classifier.inference.exported import Runtime
from classifier.inference.model import InferenceModel
from classifier.inference.neighbors import Index, Neighbor
from classifier.inputs import preprocessing
from classifier.model_info import Calibration, ModelInfo
from datasets import images
from slim import _checks, _image_limits
from slim._decodings import UPRIGHT
from slim.data import image_decoding, image_header


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a network returns for an image.

    Attributes:
      probabilities: of the classes, float32 [classes]; None if they are not computed.
      features: value of the requested end point, without batch; None if there is none.
      neighbors: the nearest images of a dataset; None if they are not searched.
    """

    probabilities: np.ndarray | None = None
    features: np.ndarray | None = None
    neighbors: Sequence[Neighbor] | None = None


@dataclasses.dataclass(frozen=True)
class Predictor:
    """The two steps of a prediction.

    Attributes:
      info: the model.
      prepare: function from the bytes of a file that TensorFlow decodes to an input of the network.
      network: function from a batch of inputs to each image's outputs, or to the reason why it
        cannot be decoded.
      calibration: of the model's weights; None for none.
      input_spec: shape and dtype of what `prepare` returns; None if unknown.
      max_pixels: maximum number of pixels of an image.
      min_batch: minimum number of inputs of a batch, one per device.
    """

    info: ModelInfo
    prepare: Callable[[tf.Tensor], tf.Tensor]
    network: Callable[[Sequence[tf.Tensor]], Sequence[Outputs | str]]
    calibration: Calibration | None = None
    input_spec: tf.TensorSpec | None = None
    max_pixels: int = _image_limits.MAX_PIXELS
    min_batch: int = 1

    def prepare_file(self, encoded: bytes) -> tf.Tensor | str:
        """Returns an input of the network, or the reason why the image cannot be decoded.

        Args:
          encoded: content of an image file; the pixels of a TIFF are those of its conversion.
        """
        try:
            if images.is_tiff(encoded):
                images.silence_pillow()
                upright = self.info.decoding == UPRIGHT
                encoded = images.prepare(encoded, images.Rules(self.max_pixels, upright)).encoded
            return self.prepare(tf.constant(encoded))
        except images.BadImage as bad:
            return str(bad)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            return preprocessing.decoding_problem(error)

    @property
    def rejects(self) -> bool:
        """Whether none of the classes may be the answer, by the rejection threshold."""
        return self.calibration is not None and not self.info.multi_label


def of_checkpoint(
    classifier: InferenceModel,
    max_pixels: int = _image_limits.MAX_PIXELS,
    end_point: str | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> Predictor:
    """Returns the predictor of a checkpoint.

    Args:
      classifier: the model.
      max_pixels: maximum number of pixels of an image.
      end_point: end point of the network to return as features; None for none.
      strategy: the devices, under which the model was created; None for one.

    Raises:
      UserError: if the network has no such end point.
    """

    def outputs(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        return classifier(batch, end_point)

    network = _batch_function(classifier, outputs, strategy)
    names = ("probabilities", "features")[: 1 + (end_point is not None)]

    def run(batch: Sequence[tf.Tensor]) -> list[Outputs]:
        values = network(tf.stack(batch))
        rows = zip(*(values[name].numpy() for name in names), strict=True)
        return [Outputs(*row) for row in rows]

    prepare = _prepared_images(classifier, max_pixels)
    spec = tf.TensorSpec(classifier.image_shape)
    calibration = classifier.exported_info.calibration
    clones = strategy.num_replicas_in_sync if strategy else 1
    return Predictor(classifier.info, prepare, run, calibration, spec, max_pixels, clones)


def of_neighbors(
    classifier: InferenceModel,
    index: Index,
    count: int,
    max_pixels: int = _image_limits.MAX_PIXELS,
) -> Predictor:
    """Returns the predictor of the nearest images.

    Args:
      classifier: the model.
      index: of the dataset to search.
      count: number of neighbors of an image.
      max_pixels: maximum number of pixels of an image.
    """
    network = _batch_function(classifier, classifier.features)

    def run(batch: Sequence[tf.Tensor]) -> list[Outputs]:
        nearest = index.nearest(network(tf.stack(batch)).numpy(), count)
        return [Outputs(neighbors=row) for row in nearest]

    prepare = _prepared_images(classifier, max_pixels)
    return Predictor(classifier.info, prepare, run, max_pixels=max_pixels)


def of_export(
    runtime: Runtime,
    info: ModelInfo,
    image_size: tuple[int, int],
    max_pixels: int = _image_limits.MAX_PIXELS,
) -> Predictor:
    """Returns the predictor of an export.

    Args:
      runtime: the loaded export.
      info: its model.
      image_size: height and width of the images, in pixels.
      max_pixels: maximum number of pixels of an image; a graph with encoded images has its own.

    Raises:
      UserError: if the export expects images of another size.
    """
    expected = runtime.image_size or image_size
    if expected != image_size:
        shown, needed = ("x".join(map(str, size)) for size in (image_size, expected))
        raise _checks.UserError(
            f"image size {shown} is not supported by {runtime.path}. Use {needed}"
        )

    channels = preprocessing.decoded_channels(info)

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        contents = image_header.bounded(encoded, max_pixels)
        image = image_decoding.decode(contents, channels, info.decoding)
        return preprocessing.pixels_fn(info, image_size)(image) if runtime.image_size else image

    sides = (
        (*runtime.image_size, info.num_channels) if runtime.image_size else (None, None, channels)
    )
    prepare, spec = {
        "float_image": (
            preprocessing.encoded_image_fn(info, image_size, max_pixels),
            tf.TensorSpec([*image_size, info.num_channels]),
        ),
        "uint8_image": (decode, tf.TensorSpec(sides, tf.uint8)),
        "encoded_image": (tf.identity, tf.TensorSpec([], tf.string)),
    }[runtime.input_type]

    def run(batch: Sequence[tf.Tensor]) -> list[Outputs | str]:
        try:
            return [Outputs(row) for row in runtime.classify(batch)]
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
            if runtime.input_type == "float_image":
                raise
            # The graph decodes or resizes, and one bad image fails its batch.
            if len(batch) == 1:
                return [preprocessing.decoding_problem(error)]
            return [row for each in batch for row in run([each])]

    return Predictor(info, _traced(prepare), run, info.calibration, spec, max_pixels)


def _batch_function(
    classifier: InferenceModel,
    function: Callable[[tf.Tensor], Any],
    strategy: tf.distribute.Strategy | None = None,
) -> Callable[[tf.Tensor], Any]:
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        return tf.function(Clones(function, strategy), autograph=False)
    spec = tf.TensorSpec([None, *classifier.image_shape], tf.float32)
    traced = tf.function(function, autograph=False, input_signature=[spec])
    traced.get_concrete_function()  # an unknown end point is an error before the first image
    return traced


def _prepared_images(
    classifier: InferenceModel, max_pixels: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    size = classifier.image_shape[:2]
    return _traced(preprocessing.encoded_image_fn(classifier.info, size, max_pixels))


def _traced(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    spec = tf.TensorSpec([], tf.string)
    return tf.function(function, autograph=False, input_signature=[spec])
