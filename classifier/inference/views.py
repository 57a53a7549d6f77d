"""Probabilities averaged over several views of each image: crops and mirror images."""

import math
from collections.abc import Iterator

import tensorflow as tf

from classifier import label_kinds
from classifier.inference.model import InferenceModel

# Images are prepared 256 / 224 as large as the crops, as for AlexNet (Krizhevsky et al., "ImageNet
# Classification with Deep Convolutional Neural Networks", 2012, section 4.1).
_SCALE = 256 / 224


def prepared_size(image_size: tuple[int, int], num_crops: int) -> tuple[int, int]:
    """Returns height and width of the images from which crops of a size are taken."""
    if num_crops == 1:
        return image_size
    height, width = (math.ceil(side * _SCALE) for side in image_size)
    return height, width


class Views:
    """A model applied to several views of each image.

    Args:
      classifier: the model.
      num_crops: 1, or 5 for the center and the corners.
      flip: whether to add the mirror image of each crop.
    """

    def __init__(self, classifier: InferenceModel, num_crops: int, flip: bool) -> None:
        self._classifier = classifier
        self._num_crops = num_crops
        self._flip = flip

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies images of `prepared_size`.

        Returns:
          `probabilities`, the means over the views, and `logits`, whose probabilities they are
          after division by the model's temperature; both float32 [batch, classes].
        """
        outputs = [self._classifier(view) for view in self.views(images)]
        temperature = self._classifier.temperature or 1.0
        kind = label_kinds.kind_of(self._classifier.info)
        means = kind.mean_logits([each["logits"] / temperature for each in outputs])
        probabilities = tf.reduce_mean(tf.stack([each["probabilities"] for each in outputs]), 0)
        return {"logits": temperature * means, "probabilities": probabilities}

    def views(self, images: tf.Tensor) -> Iterator[tf.Tensor]:
        """Yields the views of a batch, each [batch, height, width, channels]."""
        for crop in self._crops(images):
            yield crop
            if self._flip:
                yield tf.reverse(crop, axis=[2])

    def _crops(self, images: tf.Tensor) -> Iterator[tf.Tensor]:
        if self._num_crops == 1:
            yield images
            return
        height, width = self._classifier.image_size
        bottom, right = images.shape[1] - height, images.shape[2] - width
        corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
        for top, left in [(bottom // 2, right // 2), *corners]:
            yield images[:, top : top + height, left : left + width]
