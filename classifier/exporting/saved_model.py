"""A SavedModel, laid out as TensorFlow Serving wants it."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from classifier import images, model
from classifier.exporting import checks, input_types
from classifier.exporting.job import Job
from slim import _paths


class Serving(tf.Module):
    """The signatures of a SavedModel.

    Args:
      classifier: what to serve.
      batch_size: images at once; None for any number.
    """

    def __init__(self, classifier: model.InferenceModel, batch_size: int | None) -> None:
        super().__init__(name="serving")
        self.classifier = classifier
        names = classifier.info.label_names or tuple(map(str, range(classifier.info.num_classes)))
        self.labels = tf.constant(names)
        decode = images.encoded_batch_fn(classifier.info, classifier.image_shape[:2])

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec([batch_size], tf.string, name="image_bytes")],
        )
        def from_bytes(image_bytes: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self._answer(decode(image_bytes))

        spec = tf.TensorSpec([batch_size, *classifier.image_shape], tf.float32, name="images")

        @tf.function(autograph=False, input_signature=[spec])
        def from_images(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self._answer(images)

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec([batch_size], tf.string, name="examples")],
        )
        def from_examples(examples: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self._answer(decode(_encoded_images(examples)))

        @tf.function(
            autograph=False,
            input_signature=[tf.TensorSpec([batch_size], tf.string, name="image_bytes")],
        )
        def features(image_bytes: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return {"features": self.classifier.features(decode(image_bytes))}

        self.from_bytes, self.from_images = from_bytes, from_images
        self.from_examples, self.features = from_examples, features

    def by_signature(self) -> Mapping[str, Any]:
        """Returns the functions by the names of their signatures."""
        return {
            "serving_default": self.from_bytes,
            "image_tensor": self.from_images,
            "tf_example": self.from_examples,
            "features": self.features,
        }

    def _answer(self, prepared: tf.Tensor) -> Mapping[str, tf.Tensor]:
        answer = self.classifier(prepared)
        best = tf.argmax(answer["probabilities"], axis=-1)
        return {**answer, "classes": tf.gather(self.labels, best)}


def _encoded_images(examples: tf.Tensor) -> tf.Tensor:
    """Returns the pictures of serialized `tf.train.Example`s, as the datasets write them."""
    feature = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, feature)["image/encoded"]


def write(job: Job) -> checks.Exported:
    """Writes `saved_model/VERSION`, where the version is the training step, as TensorFlow Serving
    wants it.

    The signatures are `serving_default` (bytes of pictures, [batch]), `tf_example` (serialized
    examples with `image/encoded`) and `image_tensor` (preprocessed images), which give `classes`
    (names), `probabilities` and `logits`; and `features` (bytes of pictures), which gives what the
    last layer sees.

    Args:
      job: the checkpoint, the folder and `batch_size`.

    Raises:
      UserError: if the version exists.
      RunError: if it does not give the checkpoint's logits.
    """
    classifier, batch_size = job.classifier, job.options.batch_size
    path = job.target("saved_model")
    serving = Serving(classifier, batch_size)
    # Beside the folder that a server polls, so that it never sees half a model.
    with _paths.scratch_directory(str(job.options.output_dir)) as scratch:
        temporary = os.path.join(scratch, "model")
        tf.saved_model.save(serving, temporary, signatures=serving.by_signature())
        loaded = tf.saved_model.load(temporary).signatures["image_tensor"]
        trial = input_types.make("float_image", classifier, batch_size, job.real)
        found = checks.compare(classifier, lambda x: loaded(images=x)["logits"], trial)
        checks.check(found, classifier)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.move(temporary, path)
    return checks.Exported(path, found)
