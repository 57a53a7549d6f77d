"""Export: a checkpoint as files that serve without this project, each checked before it is kept."""

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

import slim
from classifier import facts, images, model
from classifier.config.export import ExportConfig
from classifier.exit_codes import ExitCode
from slim import _checks, _paths

# Largest difference of a logit between checkpoint and export, as a share of the largest logit.
TOLERANCE = 1e-5
_CHECKED_IMAGES = 8


@dataclasses.dataclass(frozen=True)
class Exported:
    """One file or folder that was written.

    Attributes:
      path: where it stands.
      difference: largest difference of a logit from the checkpoint's.
    """

    path: str
    difference: float


def run(config: ExportConfig) -> ExitCode | None:
    """Writes the formats asked for and prints where they are.

    Args:
      config: the options of `export_inference_graph.py`.

    Raises:
      UserError: if there is no checkpoint, it is not the model's, or a version folder exists.
      RunError: if an export does not give the checkpoint's logits; it is not kept.
    """
    resolved = facts.export(config)
    batch = config.run.batch_size
    classifier = model.InferenceModel(
        resolved.model, config.run.checkpoint_path, resolved.image_size
    )
    output = _paths.check_writable_directory(config.run.output_dir, "output_dir")
    for name in config.run.formats:
        exported = FORMATS[name](classifier, output, batch)
        print(f"{name} {exported.path} largest difference {exported.difference:.1e}", flush=True)
    return None


def write_frozen_pb(
    classifier: model.InferenceModel, output_dir: str, batch_size: int | None
) -> Exported:
    """Writes `MODEL.pb`: a GraphDef with the weights as constants and slim's own names.

    Args:
      classifier: what to export.
      output_dir: an existing folder.
      batch_size: images at once; None for any number.

    Raises:
      RunError: if it does not give the checkpoint's logits.
    """
    graph, store = tf.Graph(), slim.FrozenStore(classifier.values())
    with graph.as_default():
        shape = [batch_size, *classifier.image_shape]
        inputs = tf.raw_ops.Placeholder(dtype=tf.float32, shape=shape, name="input")
        with store.as_default():
            logits, end_points = classifier.network(inputs)
    graph_def = graph.as_graph_def()
    names = [inputs.name, logits.name, end_points["Predictions"].name]
    call = _graph_function(graph_def, names[0], names[1], shape)
    difference = _difference(classifier, call, batch_size)
    path = os.path.join(output_dir, f"{classifier.info.model_name}.pb")
    _paths.write_atomically(path, graph_def.SerializeToString(deterministic=True))
    print(f"{path}: input {names[0]}, logits {names[1]}, probabilities {names[2]}")
    return Exported(path, difference)


def _graph_function(
    graph_def: Any, input_name: str, output_name: str, shape: list[int | None]
) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function(autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32)])
    def call(inputs: tf.Tensor) -> tf.Tensor:
        return tf.graph_util.import_graph_def(
            graph_def, input_map={input_name: inputs}, return_elements=[output_name], name=""
        )[0]

    return call


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

        self.from_bytes, self.from_images = from_bytes, from_images

    def by_signature(self) -> Mapping[str, Any]:
        """Returns the functions by the names of their signatures."""
        return {"serving_default": self.from_bytes, "image_tensor": self.from_images}

    def _answer(self, prepared: tf.Tensor) -> Mapping[str, tf.Tensor]:
        answer = self.classifier(prepared)
        best = tf.argmax(answer["probabilities"], axis=-1)
        return {**answer, "classes": tf.gather(self.labels, best)}


def write_saved_model(
    classifier: model.InferenceModel, output_dir: str, batch_size: int | None
) -> Exported:
    """Writes `saved_model/VERSION`, where the version is the training step, as TensorFlow Serving
    wants it.

    The signatures are `serving_default` (bytes of pictures, [batch]) and `image_tensor`
    (preprocessed images); both give `classes` (names), `probabilities` and `logits`.

    Args:
      classifier: what to export.
      output_dir: an existing folder.
      batch_size: images at once; None for any number.

    Raises:
      UserError: if the version exists.
      RunError: if it does not give the checkpoint's logits.
    """
    base = os.path.join(output_dir, "saved_model")
    path = os.path.join(base, str(classifier.step or 1))
    if os.path.exists(path):
        raise _checks.UserError(f"{path} exists; remove it, or choose another output_dir")
    serving = Serving(classifier, batch_size)
    # Beside the folder that a server polls, so that it never sees half a model.
    with _paths.scratch_directory(output_dir) as scratch:
        temporary = os.path.join(scratch, "model")
        tf.saved_model.save(serving, temporary, signatures=serving.by_signature())
        loaded = tf.saved_model.load(temporary).signatures["image_tensor"]
        difference = _difference(classifier, lambda x: loaded(images=x)["logits"], batch_size)
        os.makedirs(base, exist_ok=True)
        shutil.move(temporary, path)
    return Exported(path, difference)


def _difference(
    classifier: model.InferenceModel, call: Callable[[tf.Tensor], tf.Tensor], batch_size: int | None
) -> float:
    """Returns the largest difference of a logit between the checkpoint and an export, on random
    images.

    Raises:
      RunError: if it is above the tolerance.
    """
    shape = [batch_size or _CHECKED_IMAGES, *classifier.image_shape]
    batch = tf.constant(np.random.default_rng(0).uniform(-1, 1, shape), tf.float32)
    wanted = tf.function(lambda x: classifier(x)["logits"], autograph=False)(batch).numpy()
    difference = float(np.abs(call(batch).numpy() - wanted).max())
    scale = max(1.0, float(np.abs(wanted).max()))
    if not difference <= TOLERANCE * scale:
        raise _checks.RunError(
            f"the export differs from {classifier.prefix} by {difference:.1e} at logits up to "
            f"{scale:.3g}; at most {TOLERANCE * scale:.1e} is allowed, so it was not kept"
        )
    return difference


FORMATS: Mapping[str, Callable[[model.InferenceModel, str, int | None], Exported]] = {
    "frozen_pb": write_frozen_pb,
    "saved_model": write_saved_model,
}
