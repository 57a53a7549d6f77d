"""Grad-CAM: which parts of an image speak for a class.

Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization, 2017 (arXiv:1610.02391), equations 1 and 2.
"""

from collections.abc import Mapping

import tensorflow as tf

from classifier.config import problems
from classifier.config.problems import named
from classifier.inference.model import InferenceModel
from slim import _checks


class GradCam:
    """Computes heat maps of a model; traced once.

    Attributes:
      end_point: name of the end point that is explained.

    Args:
      classifier: the model.
      end_point: an end point with a height and a width; default: the last one on which the logits
        depend.

    Raises:
      UserError: if the network is not for images, or has no such end point.
    """

    def __init__(self, classifier: InferenceModel, end_point: str | None = None) -> None:
        if classifier.is_video:
            raise _checks.UserError(
                f"Grad-CAM needs a network for images; {classifier.info.model_name} expects videos"
            )
        self._classifier = classifier
        self.end_point = end_point or ""
        images = tf.TensorSpec([None, *classifier.image_shape], tf.float32)
        self._maps = tf.function(
            self._trace,
            autograph=False,
            input_signature=[images, tf.TensorSpec([None], tf.int64)],
        )
        self._maps.get_concrete_function()

    def __call__(self, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Returns a heat map of each image, float32 [batch, map height, map width].

        The largest value of a map is 1, unless nothing speaks for the class: then all are 0.

        Args:
          images: preprocessed images, float32 [batch, height, width, channels].
          classes: index of the class to explain for each image, int64 [batch].
        """
        return self._maps(images, classes)

    def _trace(self, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        classifier = self._classifier
        with tf.GradientTape(persistent=True) as tape, classifier.store.as_default():
            tape.watch(images)
            logits, end_points = classifier.network(images)
            scores = tf.gather(tf.cast(logits, tf.float32), classes, batch_dims=1)
        features, gradients = self._chosen(end_points, scores, tape)
        weights = tf.reduce_mean(gradients, axis=[1, 2], keepdims=True)
        maps = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))
        return tf.math.divide_no_nan(maps, tf.reduce_max(maps, axis=[1, 2], keepdims=True))

    def _chosen(
        self, end_points: Mapping[str, tf.Tensor], scores: tf.Tensor, tape: tf.GradientTape
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the value of the end point, and the gradient of the scores in it."""
        spatial = {name: value for name, value in end_points.items() if _is_spatial(value)}
        network = self._classifier.info.model_name
        if self.end_point and self.end_point not in spatial:
            raise problems.error(
                "{} is not an end point of {} with a height and a width. Allowed: {}",
                named("explain_end_point", self.end_point),
                network,
                _checks.listed(spatial),
            )
        for name in [self.end_point] if self.end_point else reversed(spatial):
            gradients = tape.gradient(scores, spatial[name])
            if gradients is not None:
                self.end_point = name
                return tf.cast(spatial[name], tf.float32), tf.cast(gradients, tf.float32)
        if self.end_point:
            raise problems.error(
                "{} has no influence on the logits of {}. Use another end point",
                named("explain_end_point", self.end_point),
                network,
            )
        raise _checks.UserError(
            f"no end point of {network} has a height and a width for images of"
            f" {self._classifier.image_size[0]}x{self._classifier.image_size[1]}"
        )


def _is_spatial(value: tf.Tensor) -> bool:
    shape = value.shape
    return shape.rank == 4 and (shape[1] or 2) * (shape[2] or 2) > 1
