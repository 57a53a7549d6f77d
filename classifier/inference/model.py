"""A network restored from a checkpoint, for evaluation, export and prediction."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

import slim
from classifier import label_kinds, network
from classifier.checkpoints import mismatch
from classifier.checkpoints.names import AVERAGE, kind_of
from classifier.config import problems
from classifier.model_info import ModelInfo
from nets.nets_factory import NETWORKS
from slim import _checks, checkpoints, quantization
from slim.checkpoints import Source
from slim.moving_averages import average_name

_TYPICAL_FRAMES = 16
# The size of larger networks is checked before they are built: model_info.json may be damaged.
_CHECKED_CLASSES, _CHECKED_SIDE = 50_000, 1024


class InferenceModel(tf.Module):
    """A network with the weights of a checkpoint.

    Attributes:
      info: the network and its classes.
      prefix: the checkpoint.
      step: the checkpoint's training step, or None if unknown.
      used_averages: whether the weights are the moving averages.
      unused_averages: whether the checkpoint has moving averages that are not used.
      temperature: divisor of the logits for the probabilities; None if this checkpoint is not
        calibrated.
      rejection_threshold: probability below which no class is an answer; None likewise.
      thresholds: probability from which each of several classes is an answer, float64 [classes].
      image_size: height and width of the images, in pixels.
      is_video: whether the network expects videos.
      image_shape: of one image, or of one video: [frames, height, width, channels], where None is
        any number of frames.

    Args:
      info: the network and its classes.
      checkpoint: an opened checkpoint.
      image_size: height and width; default: as in training.
      num_frames: frames of a video; None for any number.
      use_averages: whether to restore the moving averages of the weights; default: if the run kept
        them.

    Raises:
      UserError: if the checkpoint is not this network's.
    """

    def __init__(
        self,
        info: ModelInfo,
        checkpoint: Source,
        image_size: Sequence[int] | None = None,
        num_frames: int | None = None,
        use_averages: bool | None = None,
    ) -> None:
        super().__init__(name="classifier")
        self.info = info
        has_averages = info.moving_average_decay is not None
        self.used_averages = has_averages if use_averages is None else use_averages
        self.image_size = tuple(image_size or info.image_size)
        self.is_video = NETWORKS[info.model_name].input_rank == 5
        frames = (num_frames,) if self.is_video else ()
        self.image_shape = (*frames, *self.image_size, info.num_channels)
        self.store = slim.VariableStore(seed=0)
        self.network = self._network(info.num_classes)
        spec = tf.TensorSpec([None, *self.image_shape], tf.float32)
        with network.check_image_size(info.model_name, self.network, spec.shape):
            self._check_memory(checkpoint, spec.shape)
            self._rounded = self.store.build(self.network, spec).quantized
        self._restore(checkpoint)

    def _network(self, num_classes: int | None) -> Callable[..., Any]:
        # Its weights are rounded when they are restored.
        return network.inference_network(
            self.info.model_name, num_classes, self.info.quantized, weights=False
        )

    def _check_memory(self, checkpoint: Source, shape: Sequence[int | None]) -> None:
        """Rejects a network that is far larger than its checkpoint, before allocating it."""
        if self.info.num_classes <= _CHECKED_CLASSES and max(self.image_size) <= _CHECKED_SIDE:
            return
        variables = checkpoint.variables().values()
        saved = sum(math.prod(each.shape) * each.dtype.size for each in variables)
        needed = network.weight_bytes(self.network, shape)
        if needed > 2 * saved:
            raise _checks.UserError(
                f"{self.info.model_name} with {self.info.num_classes} classes, for images of"
                f" {self.image_size[0]}x{self.image_size[1]}, has {needed / 1e6:.0f} MB of weights,"
                f" checkpoint {checkpoint.prefix} only {saved / 1e6:.0f} MB: it is not this"
                " network's"
            )

    @property
    def exported_info(self) -> ModelInfo:
        """`info` with this model's image size and calibration, as stored with its exports."""
        calibration = self.info.calibration if self.temperature is not None else None
        return dataclasses.replace(self.info, image_size=self.image_size, calibration=calibration)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """`image_shape`, with a typical number of frames if any number is accepted."""
        return tuple(side or _TYPICAL_FRAMES for side in self.image_shape)

    def reload(self, checkpoint: Source, use_averages: bool | None = None) -> None:
        """Restores another checkpoint of the same run.

        Args:
          checkpoint: an opened one.
          use_averages: whether to take the moving averages of the weights; None: as before.

        Raises:
          UserError: if it is not this network's.
        """
        if use_averages is not None:
            self.used_averages = use_averages
        self._restore(checkpoint)

    def _restore(self, checkpoint: Source) -> None:
        variables = self.store.named_variables
        named = (
            {average_name(n): v for n, v in variables.items()} if self.used_averages else variables
        )
        report, saved = checkpoints.compare(checkpoint, named), checkpoint.variables()
        if report.missing or report.mismatched:
            raise problems.OptionError(
                mismatch.for_inference(report, self.info, saved, used_averages=self.used_averages)
            )
        checkpoints.restore(checkpoint, named)
        quantization.round_weights(variables, self._rounded)
        self.prefix = checkpoint.prefix
        self.step = int(checkpoint.get("global_step")) if "global_step" in saved else None
        self.unused_averages = not self.used_averages and AVERAGE in map(kind_of, report.unused)
        # Other weights of the same run are calibrated differently.
        calibration = self.info.calibration
        fits = calibration is not None and calibration.step == self.step
        self.temperature = calibration.temperature if calibration and fits else None
        self.rejection_threshold = calibration.rejection_threshold if calibration and fits else None
        self.thresholds = label_kinds.thresholds(self.info, calibration if fits else None)

    def without_calibration(self) -> None:
        """Uses the network's own probabilities, and the default thresholds."""
        self.temperature = self.rejection_threshold = None
        self.thresholds = label_kinds.thresholds(self.info, None)

    def __call__(self, images: tf.Tensor, end_point: str | None = None) -> dict[str, tf.Tensor]:
        """Classifies preprocessed images.

        Args:
          images: float32, [batch, height, width, channels].
          end_point: name of an end point to return as well; None for none.

        Returns:
          `logits` and `probabilities`, both float32 [batch, classes], of which only the latter
          depend on the temperature; with an end point also its value, `features`.

        Raises:
          UserError: if the network has no such end point.
        """
        with self.store.as_default():
            logits, end_points = self.network(images)
        kind = label_kinds.kind_of(self.info)
        answers = kind.probabilities(logits, end_points, self.temperature)
        outputs = {"logits": logits, "probabilities": answers}
        if end_point is not None:
            name = _checks.one_of("features", end_point, end_points)
            outputs["features"] = end_points[name]
        return outputs

    def output(self, end_point: str | None, images: tf.Tensor) -> tf.Tensor:
        """Returns an end point's value for preprocessed images; without a name, the logits."""
        with self.store.as_default():
            logits, end_points = self.network(images)
        return logits if end_point is None else end_points[end_point]

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """Returns what the network's last layer sees of preprocessed images, float32 [batch,
        channels]: the means over height and width, where there is more than one place."""
        without_head = self._network(None)
        with self.store.as_default():
            features, _ = without_head(images)
        if features.shape.rank == 4:
            features = tf.reduce_mean(features, axis=[1, 2])
        return features

    def values(self) -> dict[str, Any]:
        """Returns the weights by name, as arrays."""
        return {name: variable.numpy() for name, variable in self.store.named_variables.items()}
