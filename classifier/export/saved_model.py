"""Export of a SavedModel in the layout of TensorFlow Serving."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from classifier import label_kinds
from classifier.config import problems
from classifier.config.problems import named
from classifier.export import checks, usage, warm_up
from classifier.export.job import Job
from classifier.inference import exported
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.run_directory import RunDirectory
from slim import _checks, _paths
from slim._image_limits import MAX_PIXELS


class Serving(tf.Module):
    """The signatures of a SavedModel.

    Args:
      classifier: model to serve.
      batch_size: batch size; None for any.
      max_pixels: maximum number of pixels of an encoded image.
    """

    def __init__(
        self,
        classifier: InferenceModel,
        batch_size: int | None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__(name="serving")
        self.classifier, self.batch_size, self.max_pixels = classifier, batch_size, max_pixels
        self.labels = classifier.info.class_names
        spec = tf.TensorSpec([batch_size, *classifier.image_shape], tf.float32, name="images")

        # The other signatures call it, so that the network is traced and saved once.
        @tf.function(autograph=False, input_signature=[spec])
        def from_images(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
            outputs = _apply(self.classifier, images)
            names = _names(self.classifier, outputs["probabilities"], self.labels)
            return {**outputs, "classes": names}

        self.from_images = from_images
        # A SavedModel contains all functions that are attributes.
        self.others = (
            self._video_signatures(spec) if classifier.is_video else self._image_signatures()
        )

    def by_signature(self) -> Mapping[str, Any]:
        """Returns the functions by signature name."""
        default = {"serving_default": self.from_images, "image_tensor": self.from_images}
        return default | dict(self.others)

    def _video_signatures(self, spec: tf.TensorSpec) -> Mapping[str, Any]:
        """Returns the signatures of a video network other than `from_images`."""

        @tf.function(autograph=False, input_signature=[spec])
        def features(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return _apply(self._features, images)

        return {"features": features}

    def _image_signatures(self) -> Mapping[str, Any]:
        """Returns the signatures with encoded images as input."""
        decode = preprocessing.encoded_batch_fn(
            self.classifier.info, self.classifier.image_size, self.max_pixels
        )
        files = tf.TensorSpec([self.batch_size], tf.string, name="image_bytes")
        serialized = tf.TensorSpec([self.batch_size], tf.string, name="examples")

        @tf.function(autograph=False, input_signature=[files])
        def from_bytes(image_bytes: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self.from_images(decode(image_bytes))

        @tf.function(autograph=False, input_signature=[serialized])
        def from_examples(examples: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return self.from_images(decode(_encoded_images(examples)))

        @tf.function(autograph=False, input_signature=[files])
        def features(image_bytes: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return _apply(self._features, decode(image_bytes))

        return {"serving_default": from_bytes, "tf_example": from_examples, "features": features}

    def _features(self, images: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return {"features": self.classifier.features(images)}

    def warm_up_requests(self) -> list[warm_up.Request]:
        """Returns a request for each signature, and one per file type for the default."""
        if self.classifier.is_video:
            videos = tf.zeros([self.batch_size or 1, *self.classifier.example_shape])
            return [warm_up.Request(key, {"images": videos}) for key in self.by_signature()]
        random, batch = np.random.default_rng(0), self.batch_size or 1
        channels = preprocessing.decoded_channels(self.classifier.info)
        size = self.classifier.image_size
        image = tf.constant(random.integers(0, 256, [*size, channels]), tf.uint8)
        jpeg, png = tf.io.encode_jpeg(image).numpy(), tf.io.encode_png(image).numpy()
        images = tf.zeros([batch, *self.classifier.image_shape])
        inputs = (
            ("serving_default", "image_bytes", [jpeg] * batch),
            ("serving_default", "image_bytes", [png] * batch),
            ("tf_example", "examples", [_example(jpeg)] * batch),
            ("image_tensor", "images", images),
            ("features", "image_bytes", [jpeg] * batch),
        )
        return [
            warm_up.Request(signature, {name: tf.constant(value)})
            for signature, name, value in inputs
        ]


def _names(
    classifier: InferenceModel, probabilities: tf.Tensor, labels: Sequence[str]
) -> tf.Tensor:
    kind = label_kinds.kind_of(classifier.info)
    return kind.names(probabilities, classifier.thresholds, labels)


def _apply(
    network: Callable[[tf.Tensor], Mapping[str, tf.Tensor]], images: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the outputs of a network, also for an empty batch, which kernels do not accept."""
    count = tf.shape(images)[0]
    if images.shape[0] is not None:
        return dict(network(images))
    padding = [[0, tf.cast(tf.equal(count, 0), tf.int32)]] + [[0, 0]] * (images.shape.rank - 1)
    outputs = network(tf.ensure_shape(tf.pad(images, padding), images.shape))
    return {name: output[:count] for name, output in outputs.items()}


def _encoded_images(examples: tf.Tensor) -> tf.Tensor:
    """Returns the encoded images in serialized `tf.train.Example`s."""
    feature = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, feature)["image/encoded"]


def _example(encoded: bytes) -> bytes:
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={"image/encoded": value})
    return tf.train.Example(features=features).SerializeToString()


def _move(temporary: str, path: str) -> None:
    """Renames a directory atomically after its contents are flushed to disk."""
    for parent, _, files in os.walk(temporary):
        for name in (".", *files):
            _paths.flush_to_disk(os.path.join(parent, name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.rename(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # it is not empty
            os.rmdir(os.path.dirname(path))
        if not os.path.exists(path):
            raise
        # Created since the export started.
        raise problems.error(
            "{} exists. Remove it, or use another {}", path, named("output_dir")
        ) from error
    _paths.flush_to_disk(os.path.dirname(path))


def write(job: Job) -> checks.Exported:
    """Writes `saved_model/VERSION` for TensorFlow Serving; the version is the training step.

    The signatures `serving_default` (encoded images, [batch]), `tf_example` (serialized examples
    with `image/encoded`) and `image_tensor` (preprocessed images) return `classes` (names; with
    several classes an image, the name of each class that is one, and "" for the others, [batch,
    classes]), `probabilities` and `logits`; `features` (encoded images) returns the input of the
    last layer.
    For a video network, the input of all signatures is `images`: preprocessed videos.

    Args:
      job: checkpoint and options.

    Raises:
      UserError: if the version exists.
      RunError: if its logits differ from the checkpoint's.
    """
    classifier, batch_size = job.classifier, job.batch_size
    path = job.target("saved_model")
    serving = Serving(classifier, batch_size, job.options.max_pixels)
    # Outside the directory that a server polls, so that it never loads a partial model.
    with _paths.scratch_directory(str(job.options.output_dir)) as scratch:
        temporary = os.path.join(scratch, "model")
        tf.saved_model.save(serving, temporary, signatures=serving.by_signature())
        warm_up.write(temporary, classifier.info.model_name, serving.warm_up_requests())
        assets = RunDirectory(os.path.join(temporary, exported.ASSETS))
        assets.write_model_info(classifier.exported_info)
        loaded = tf.saved_model.load(temporary).signatures
        comparison = _compare(job, loaded)
        num_requests = warm_up.replay(temporary, serving.by_signature(), loaded)
        _move(temporary, path)
    print(f"{path}: {num_requests} warm-up requests, replayed")
    return checks.Exported(path, comparison, usage.saved_model(classifier, path, loaded))


def _compare(job: Job, signatures: Mapping[str, Callable[..., Any]]) -> checks.Comparison:
    """Compares the classifying signatures with the checkpoint; returns that of `image_tensor`.

    Raises:
      RunError: if logits or class names of a signature differ.
    """
    kinds = [("image_tensor", "float_image")]
    if not job.classifier.is_video:
        kinds += [("serving_default", "encoded_image"), ("tf_example", "encoded_image")]
    comparisons = []
    for name, input_type in kinds:
        trial = job.trial(job.batch_size, input_type)
        call = _logits(job.classifier, name, signatures[name])
        comparison = checks.compare(job.classifier, call, trial)
        comparisons.append(checks.check(comparison, job.classifier))
    return comparisons[0]


def _logits(
    classifier: InferenceModel, name: str, signature: Callable[..., Any]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a signature as a function to logits, which also checks its classes."""
    argument, labels = usage.input_spec(signature).name, classifier.info.class_names

    def call(batch: tf.Tensor) -> tf.Tensor:
        if name == "tf_example":
            batch = tf.constant(list(map(_example, batch.numpy())))
        outputs = signature(**{argument: batch})
        expected = _names(classifier, outputs["probabilities"], labels).numpy().tolist()
        if expected != outputs["classes"].numpy().tolist():
            raise _checks.RunError(
                f"signature {name!r} of the export returns other classes than its probabilities"
                " have, so it was not kept"
            )
        return outputs["logits"]

    return call
