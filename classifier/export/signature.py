"""The function to convert: from a batch of images to logits and probabilities."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from classifier.inference.model import InferenceModel


class Signature(tf.Module):
    """A checkpoint as a function `classify` from `images` to `logits` and `probabilities`.

    Attributes:
      classifier: model of the checkpoint.
      images: spec of the argument `images`.

    Args:
      classifier: model of the checkpoint.
      spec: shape and dtype of a batch.
      prepare: function from a batch to preprocessed images.
    """

    def __init__(
        self,
        classifier: InferenceModel,
        spec: tf.TensorSpec,
        prepare: Callable[[tf.Tensor], tf.Tensor] = lambda images: images,
    ) -> None:
        super().__init__(name="signature")
        self.classifier = classifier
        self.images = tf.TensorSpec(spec.shape, spec.dtype, name="images")

        @tf.function(autograph=False, input_signature=[self.images])
        def classify(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self.classifier(prepare(images))

        self.classify = classify
