"""Knowledge distillation: a trained network, the teacher, whose probabilities are targets.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015.
"""

import dataclasses
from collections.abc import Iterator

import tensorflow as tf

import slim
from classifier import network
from classifier.checkpoints import mismatch, sources
from classifier.checkpoints.sources import OpenedCheckpoint
from classifier.config import problems
from classifier.config.distillation import DistillationOptions
from classifier.config.problems import Problem, named
from classifier.inference.model import InferenceModel
from classifier.inputs import preprocessing
from classifier.label_kinds import LabelKind
from classifier.model_info import ModelInfo
from nets import published
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory


class Teacher:
    """A network in inference mode, whose weights are constants.

    It sees the images that the student sees, resized and normalized for it.

    Attributes:
      info: its network and classes.
      words: a line for the log.
      weight: of its loss, 0 to 1; the loss of the labels has the rest.

    Args:
      options: the checkpoint, the weight of the loss and the temperature.
      student: the network that is trained.

    Raises:
      UserError: if the teacher has other classes, or cannot see the student's images.
      RunError: if the checkpoint cannot be read or downloaded.
    """

    def __init__(self, options: DistillationOptions, student: ModelInfo) -> None:
        opened = sources.open_checkpoint(str(options.teacher_checkpoint_path))
        self.info = info = _info(opened, options, student)
        if lines := list(_differences(info, student)):
            raise problems.OptionError(*lines)
        model = InferenceModel(info, opened)
        # Constants: the variables of a training step are trained and saved.
        self._store = slim.FrozenStore(model.values())
        self._network = network.inference_network(
            info.model_name, info.num_classes, info.quantized, weights=False
        )
        shape = [None, *info.image_size, info.num_channels]
        self._store.build(self._network, tf.TensorSpec(shape, tf.float32))
        self._student = student
        self._temperature = options.distillation_temperature
        self.weight = options.distillation_weight
        self.words = (
            f"teacher: {info.model_name} at {info.image_size[0]}x{info.image_size[1]} from"
            f" {opened.prefix}{' (moving averages)' if model.used_averages else ''}, weight"
            f" {self.weight:g}, temperature {self._temperature:g}"
        )

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the teacher's logits, float32 [batch, classes].

        Args:
          images: float32 [batch, height, width, channels], preprocessed for the student.
        """
        ours, theirs = preprocessing.normalization(self.info), self._student
        known = preprocessing.normalization(theirs)
        if ours and known and ours != known:
            mean, std = known
            images = preprocessing.normalize_fn(self.info)(images * std + mean)
        if self.info.image_size != theirs.image_size:
            images = tf.image.resize(images, self.info.image_size, antialias=True)
        with self._store.as_default():
            logits, _ = self._network(images)
        return tf.stop_gradient(logits)

    def losses(self, images: tf.Tensor, logits: tf.Tensor, kind: LabelKind) -> tf.Tensor:
        """Returns the loss of each image, [batch].

        It is the divergence of the student's probabilities from the teacher's, both at the
        temperature, times its square: so the size of the gradients hardly depends on it.

        Args:
          images: as in `logits`.
          logits: the student's, [batch, classes].
          kind: whether an image has one class or several.
        """
        temperature = self._temperature
        own = tf.cast(logits, tf.float32) / temperature
        return temperature**2 * kind.divergences(self.logits(images) / temperature, own)


def load(options: DistillationOptions, student: ModelInfo) -> Teacher | None:
    """Returns the teacher of a run, or None if it has none; errors as of `Teacher`."""
    return None if options.teacher_checkpoint_path is None else Teacher(options, student)


def _info(opened: OpenedCheckpoint, options: DistillationOptions, student: ModelInfo) -> ModelInfo:
    """Returns the teacher's network and classes; of a checkpoint without model_info.json, the
    classes are the student's."""
    path, name = str(options.teacher_checkpoint_path), options.teacher_model_name
    if opened.info is not None:
        if name not in (None, opened.info.model_name):
            raise problems.error(
                "{} contradicts {!r} in model_info.json next to the checkpoint. Remove the option",
                named("teacher_model_name", name),
                opened.info.model_name,
            )
        return opened.info
    row = published.of_name(path) or published.find(path)
    name = name or (row.built_network if row else None)
    row = row if row and row.built_network == name else None
    if name is None:
        raise problems.error(
            "{} is required: there is no model_info.json next to {}",
            named("teacher_model_name"),
            opened.prefix,
        )
    spec = NETWORKS[name]
    num_classes = opened.head_classes(spec.heads) or student.num_classes
    side = row.image_size if row else spec.image_size
    return dataclasses.replace(
        student,
        model_name=name,
        num_classes=num_classes,
        label_names=student.label_names if num_classes == student.num_classes else (),
        image_size=(side, side),
        preprocessing_name=row.preprocessing if row else preprocessing_factory.resolve_name(name),
        moving_average_decay=None,
        quantized=False,
        calibration=None,
    )


def _differences(info: ModelInfo, student: ModelInfo) -> Iterator[Problem]:
    """Yields why a teacher cannot teach a student."""
    teacher = named("teacher_checkpoint_path")
    if NETWORKS[info.model_name].input_rank == 5:
        yield Problem("{}: {} expects videos", teacher, info.model_name)
    if info.multi_label != student.multi_label:
        several, one = ("it", "the run") if info.multi_label else ("the run", "it")
        yield Problem(
            "{}: {} has several labels an image, {} has one class an image", teacher, several, one
        )
    if info.num_classes != student.num_classes:
        yield Problem(
            "{} has {} classes, the run has {}. Both need the same classes",
            teacher,
            info.num_classes,
            student.num_classes,
        )
    elif difference := mismatch.class_name_mismatch(info.label_names, student):
        yield Problem("{}: {}. Both need the same classes", teacher, difference)
    if info.num_channels != student.num_channels:
        yield Problem(
            "{} expects images of {} channel(s), the run's have {}",
            teacher,
            info.num_channels,
            student.num_channels,
        )
    names = (info.preprocessing_name, student.preprocessing_name)
    if names[0] != names[1] and not all(map(preprocessing_factory.normalization, names)):
        yield Problem(
            "{}: the values of {} preprocessing cannot be computed from those of {}: one of them"
            " depends on the image. Use {}",
            teacher,
            *names,
            named("preprocessing_name", names[0]),
        )
