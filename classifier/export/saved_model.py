"""A SavedModel, laid out as TensorFlow Serving wants it."""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.export import checks, usage, warm_up
from classifier.export.job import Job
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from slim import _checks, _paths
from slim._image_limits import MAX_PIXELS


class Serving(tf.Module):
    """The signatures of a SavedModel.

    Args:
      classifier: what to serve.
      batch_size: images at once; None for any number.
      max_pixels: largest number of pixels of an encoded image.
    """

    def __init__(
        self,
        classifier: InferenceModel,
        batch_size: int | None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        super().__init__(name="serving")
        self.classifier, self.batch_size, self.max_pixels = classifier, batch_size, max_pixels
        self.labels = tf.constant(classifier.info.class_names)
        spec = tf.TensorSpec([batch_size, *classifier.image_shape], tf.float32, name="images")

        # The others call it, so that the network is traced and written once.
        @tf.function(autograph=False, input_signature=[spec])
        def from_images(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
            answer = _answered(self.classifier, images)
            best = tf.argmax(answer["probabilities"], axis=-1)
            return {**answer, "classes": tf.gather(self.labels, best)}

        self.from_images = from_images
        # A SavedModel holds every function that is an attribute.
        self.others = self._of_videos(spec) if classifier.is_video else self._of_pictures()

    def by_signature(self) -> Mapping[str, Any]:
        """Returns the functions by the names of their signatures."""
        default = {"serving_default": self.from_images, "image_tensor": self.from_images}
        return default | dict(self.others)

    def _of_videos(self, spec: tf.TensorSpec) -> Mapping[str, Any]:
        """Returns the signature that is not `from_images`; there are no files of videos."""

        @tf.function(autograph=False, input_signature=[spec])
        def features(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
            return _answered(self._features, images)

        return {"features": features}

    def _of_pictures(self) -> Mapping[str, Any]:
        """Returns the signatures that take files of pictures."""
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
            return _answered(self._features, decode(image_bytes))

        return {"serving_default": from_bytes, "tf_example": from_examples, "features": features}

    def _features(self, images: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return {"features": self.classifier.features(images)}

    def warm_up_requests(self) -> list[warm_up.Request]:
        """Returns a request for each signature, and for the default one of each kind of file."""
        if self.classifier.is_video:
            videos = tf.zeros([self.batch_size or 1, *self.classifier.example_shape])
            return [warm_up.Request(key, {"images": videos}) for key in self.by_signature()]
        random, batch = np.random.default_rng(0), self.batch_size or 1
        channels = preprocessing.decoded_channels(self.classifier.info)
        size = self.classifier.image_size
        picture = tf.constant(random.integers(0, 256, [*size, channels]), tf.uint8)
        jpeg, png = tf.io.encode_jpeg(picture).numpy(), tf.io.encode_png(picture).numpy()
        prepared = tf.zeros([batch, *self.classifier.image_shape])
        given = (
            ("serving_default", "image_bytes", [jpeg] * batch),
            ("serving_default", "image_bytes", [png] * batch),
            ("tf_example", "examples", [_example(jpeg)] * batch),
            ("image_tensor", "images", prepared),
            ("features", "image_bytes", [jpeg] * batch),
        )
        return [
            warm_up.Request(signature, {name: tf.constant(value)})
            for signature, name, value in given
        ]


def _answered(
    network: Callable[[tf.Tensor], Mapping[str, tf.Tensor]], images: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns a network's answers; to no images, none: kernels do not take an empty batch."""
    count = tf.shape(images)[0]
    if images.shape[0] is not None:
        return dict(network(images))
    padding = [[0, tf.cast(tf.equal(count, 0), tf.int32)]] + [[0, 0]] * (images.shape.rank - 1)
    answers = network(tf.ensure_shape(tf.pad(images, padding), images.shape))
    return {name: answer[:count] for name, answer in answers.items()}


def _encoded_images(examples: tf.Tensor) -> tf.Tensor:
    """Returns the pictures of serialized `tf.train.Example`s, as the datasets write them."""
    feature = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(examples, feature)["image/encoded"]


def _example(encoded: bytes) -> bytes:
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    features = tf.train.Features(feature={"image/encoded": value})
    return tf.train.Example(features=features).SerializeToString()


def _move(temporary: str, path: str) -> None:
    """Gives a folder its name at once, when what is in it is on the disk."""
    for folder, _, files in os.walk(temporary):
        for name in (".", *files):
            _paths.flush_to_disk(os.path.join(folder, name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.rename(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # it holds something
            os.rmdir(os.path.dirname(path))
        if not os.path.exists(path):
            raise
        # Made since the export began.
        raise _checks.UserError(
            f"{path} exists; remove it, or choose another output_dir"
        ) from error
    _paths.flush_to_disk(os.path.dirname(path))


def write(job: Job) -> checks.Exported:
    """Writes `saved_model/VERSION`, where the version is the training step, as TensorFlow Serving
    wants it.

    The signatures are `serving_default` (bytes of pictures, [batch]), `tf_example` (serialized
    examples with `image/encoded`) and `image_tensor` (preprocessed images), which give `classes`
    (names), `probabilities` and `logits`; and `features` (bytes of pictures), which gives what the
    last layer sees. Of a network of videos, all of them take `images`: preprocessed videos.

    Args:
      job: the checkpoint, the folder and `batch_size`.

    Raises:
      UserError: if the version exists.
      RunError: if it does not give the checkpoint's logits.
    """
    classifier, batch_size = job.classifier, job.options.batch_size
    path = job.target("saved_model")
    serving = Serving(classifier, batch_size, job.options.max_pixels)
    # Beside the folder that a server polls, so that it never sees half a model.
    with _paths.scratch_directory(str(job.options.output_dir)) as scratch:
        temporary = os.path.join(scratch, "model")
        tf.saved_model.save(serving, temporary, signatures=serving.by_signature())
        warm_up.write(temporary, classifier.info.model_name, serving.warm_up_requests())
        loaded = tf.saved_model.load(temporary).signatures
        found = _compare(job, loaded)
        answered = warm_up.replay(temporary, serving.by_signature(), loaded)
        _move(temporary, path)
    print(f"{path}: {answered} warm-up requests, replayed")
    return checks.Exported(path, found, usage.saved_model(classifier, path, loaded))


def _compare(job: Job, signatures: Mapping[str, Callable[..., Any]]) -> checks.Comparison:
    """Compares the signatures that classify with the checkpoint, and returns how the one of
    preprocessed images does.

    Raises:
      RunError: if one gives other logits, or names other classes.
    """
    kinds = [("image_tensor", "float_image")]
    if not job.classifier.is_video:
        kinds += [("serving_default", "encoded_image"), ("tf_example", "encoded_image")]
    found = []
    for name, input_type in kinds:
        trial = job.trial(job.options.batch_size, input_type)
        call = _logits(job.classifier, name, signatures[name])
        found.append(checks.check(checks.compare(job.classifier, call, trial), job.classifier))
    return found[0]


def _logits(
    classifier: InferenceModel, name: str, signature: Callable[..., Any]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a signature's logits as a function, which looks at its classes too."""
    taken, names = usage.taken(signature).name, classifier.info.class_names

    def call(batch: tf.Tensor) -> tf.Tensor:
        given = tf.constant(list(map(_example, batch.numpy()))) if name == "tf_example" else batch
        answer = signature(**{taken: given})
        best = answer["probabilities"].numpy().argmax(axis=-1)
        if [names[i].encode() for i in best] != answer["classes"].numpy().tolist():
            raise _checks.RunError(
                f"signature {name!r} of the export names other classes than those of the largest"
                " probabilities, so it was not kept"
            )
        return answer["logits"]

    return call
