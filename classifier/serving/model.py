"""The model that a server answers with."""

import dataclasses
import math
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from classifier.config import formats
from classifier.config.serving import ServeConfig
from classifier.inference import choices, predict, predictor
from classifier.inference.answers import Answer
from classifier.inference.predictor import Outputs, Predictor
from classifier.inputs import preprocessing
from classifier.serving.inputs import Limits
from slim import _checks

_SIDE = 96  # pixels of the images of the first batches


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """A loaded model.

    Attributes:
      name: in the paths.
      version: in the paths: the training step, or the version of a SavedModel; 1 if unknown.
      predictor: the model.
      top_k: number of classes of an answer.
    """

    name: str
    version: int
    predictor: Predictor
    top_k: int

    @property
    def class_names(self) -> Sequence[str]:
        """Name of each class, by its index in the probabilities."""
        return self.predictor.info.class_names

    def limits(self, max_instances: int, max_pixels: int) -> Limits:
        """Returns what a request may contain."""
        spec = self.predictor.input_spec
        if spec.dtype == tf.string:
            return Limits(max_instances, max_pixels)
        return Limits(max_instances, max_pixels, tuple(spec.shape), spec.dtype.name)

    def prepare(self, encoded: bytes) -> tf.Tensor | str:
        """Returns an input of the network, or the reason why the image cannot be decoded."""
        return self.predictor.prepare_file(encoded)

    def answer(self, outputs: Outputs) -> Answer:
        """Returns the answer to an image, as prediction prints it."""
        choose = choices.choice(self.predictor.info, self.predictor.calibration, self.top_k)
        return predict.answer("", outputs.probabilities, self.class_names, choose)

    def batch_sizes(self, maximum: int, max_pixels: int) -> Sequence[int]:
        """Returns the sizes of batches, rising, and runs each once.

        Kernels may sum in another order in a batch of another size. If answers to trial images
        differ, `maximum` is the only size, so that an answer does not depend on the load.

        Args:
          maximum: the largest size.
          max_pixels: maximum number of pixels of an image.

        Raises:
          RunError: if the network fails.
        """
        sizes = [2**power for power in range(maximum.bit_length()) if 2**power < maximum]
        images = self._random_images(maximum, min(_SIDE, math.isqrt(max_pixels)))
        try:
            expected = self._rows(images)
            starts = all(
                np.array_equal(self._rows(images[:size]), expected[:size]) for size in sizes
            )
            is_same = starts and np.array_equal(self._rows(images[-1:]), expected[-1:])
        except Exception as error:  # each runtime has its own errors
            message = str(getattr(error, "message", error))
            line = (message.strip().splitlines() or [type(error).__name__])[0]
            raise _checks.RunError(f"The network fails on a batch of {maximum}: {line}") from error
        return [*sizes, maximum] if is_same else [maximum]

    def _rows(self, images: Sequence[tf.Tensor]) -> np.ndarray:
        """Returns the probabilities of images, or why the model's graph does not decode them."""
        outputs = self.predictor.network(images)
        return np.stack([each if isinstance(each, str) else each.probabilities for each in outputs])

    def _random_images(self, number: int, side: int) -> list[tf.Tensor]:
        random = np.random.default_rng(0)
        shape = [side, side, preprocessing.decoded_channels(self.predictor.info)]
        files = [tf.io.encode_png(random.integers(0, 256, shape, np.uint8)) for _ in range(number)]
        return [self.predictor.prepare(file) for file in files]


def load(config: ServeConfig) -> ServedModel:
    """Loads the model that the options name.

    Args:
      config: the options.

    Raises:
      UserError: if there is no model, or an option does not fit it.
      RunError: if it cannot be loaded.
    """
    options = config.run
    export = formats.find_export(options.checkpoint_path)
    if export is not None:
        model, top_k = predict.open_export(config, export)
        version = os.path.basename(os.path.normpath(export.path))
        step = int(version) if export.kind == formats.SAVED_MODEL and version.isdecimal() else 1
    else:
        classifier, top_k = predict.open_checkpoint(config)
        model, step = predictor.of_checkpoint(classifier, options.max_pixels), classifier.step
    name = options.served_model_name or model.info.model_name
    return ServedModel(name, 1 if step is None else step, model, top_k)
