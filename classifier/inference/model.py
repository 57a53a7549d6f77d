"""The network of a run: its loss in training, its restored self for everything after."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

import slim
from classifier import warm_start
from classifier.checkpoint_names import AVERAGE, RANGE, heads_of, kind
from classifier.run_directory import ModelInfo
from nets import nets_factory
from slim import _checks, checkpoints, quantization
from slim.moving_averages import average_name
from slim.store import current_pass

# Weight of the auxiliary classifier's loss, as the original trains Inception and NASNet.
AUXILIARY_WEIGHT = 0.4
_USUAL_FRAMES = 16


def training_network(
    info: ModelInfo,
    weight_decay: float,
    compute_dtype: str = "float32",
    frozen_batch_norm: bool | Callable[[str], bool] = False,
    batch_norm_decay: float | None = None,
    quantize_delay: int = 0,
) -> Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Returns a network in training mode: from float32 images to (logits, end points).

    Args:
      info: the network and its classes.
      weight_decay: coefficient of the L2 penalty on the weights.
      compute_dtype: of the activations.
      frozen_batch_norm: whether batch norm keeps to its moving averages, or which of it does, by
        the scope's name.
      batch_norm_decay: of those averages, instead of the network's own.
      quantize_delay: steps before a quantized network rounds.
    """
    network = nets_factory.get_network_fn(
        info.model_name, info.num_classes, weight_decay, True, batch_norm_decay
    )

    def run(image: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with (
            slim.arg_scope([slim.batch_norm], frozen=frozen_batch_norm),
            _rounding(info.quantized, quantize_delay),
        ):
            return network(tf.cast(image, compute_dtype))

    return run


def training_loss(
    info: ModelInfo,
    weight_decay: float,
    label_smoothing: float,
    compute_dtype: str = "float32",
    frozen_batch_norm: bool | Callable[[str], bool] = False,
    batch_norm_decay: float | None = None,
    class_weights: Sequence[float] = (),
    quantize_delay: int = 0,
) -> Callable[..., Any]:
    """Returns the loss of a batch.

    Args:
      info: the network and its classes.
      weight_decay: coefficient of the L2 penalty on the weights.
      label_smoothing: share of each label spread over all classes.
      compute_dtype: of the network's activations; its losses are float32.
      frozen_batch_norm: whether batch norm keeps to its moving averages, or which of it does, by
        the scope's name.
      batch_norm_decay: of those averages, instead of the network's own.
      class_weights: factor of an image's cross entropy for each class; without, 1. A mixed image's
        is the mean of both, by their shares.
      quantize_delay: steps before a quantized network rounds.

    Returns:
      A function `(image, label, ...) -> (total loss, numbers to log)` of float32 images [batch,
      height, width, channels] and int64 labels [batch]. Mixed images come with `mixed_label` (int64
      [batch]) and the share of `label`, `mix` (float32 [batch]). `weight` (float32 [batch]), if
      there is one, is 0 for images that do not count. Further parts of the batch are not looked
      at.
    """
    network = training_network(
        info, weight_decay, compute_dtype, frozen_batch_norm, batch_norm_decay, quantize_delay
    )

    def loss_fn(
        image: tf.Tensor,
        label: tf.Tensor,
        mixed_label: tf.Tensor | None = None,
        mix: tf.Tensor | None = None,
        weight: tf.Tensor | float = 1.0,
        **_: tf.Tensor,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits, end_points = network(image)
        one_hot = slim.one_hot_encoding(label, info.num_classes)
        if mixed_label is not None:
            other = slim.one_hot_encoding(mixed_label, info.num_classes)
            one_hot = other + mix[:, tf.newaxis] * (one_hot - other)
        weights = weight
        if class_weights:
            of_labels = tf.gather(tf.constant(class_weights), label)
            if mixed_label is not None:
                of_others = tf.gather(tf.constant(class_weights), mixed_label)
                of_labels = of_others + mix * (of_labels - of_others)
            weights = weight * of_labels
        auxiliary = end_points.get("AuxLogits")
        if auxiliary is not None:
            slim.losses.softmax_cross_entropy(
                auxiliary, one_hot, AUXILIARY_WEIGHT * weights, label_smoothing, scope="aux_loss"
            )
        slim.losses.softmax_cross_entropy(logits, one_hot, weights, label_smoothing)
        total = slim.losses.get_total_loss()
        correct = tf.cast(tf.equal(tf.argmax(logits, axis=-1), label), tf.float32)
        counted = weight * tf.ones_like(correct)
        accuracy = tf.math.divide_no_nan(tf.reduce_sum(counted * correct), tf.reduce_sum(counted))
        return total, {"accuracy": accuracy, **_parts_of(total)}

    return loss_fn


def _parts_of(total: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the parts of the total loss under the names that the original gives them."""
    found = current_pass()
    of_data = tf.add_n([loss for _, loss in found.losses])
    parts = {f"losses/{name}/value": loss for name, loss in found.losses}
    parts["Losses/clone_loss"] = of_data
    if found.regularizers:
        parts["Losses/regularization_loss"] = total - of_data
    return parts


def inference_network(
    name: str, num_classes: int | None, quantized: bool = False, weights: bool = True
) -> Callable[..., Any]:
    """Returns a network in inference mode: from images to (logits, end points).

    Args:
      name: of the network.
      num_classes: length of the logits; None: it gives (features, end points).
      quantized: whether its layers round.
      weights: whether they round their weights too, or outputs alone.
    """
    network = nets_factory.get_network_fn(name, num_classes, is_training=False)

    def run(images: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with _rounding(quantized, 0, weights):
            return network(images)

    return run


@contextlib.contextmanager
def of_image_size(
    model_name: str, network: Callable[[tf.Tensor], Any], shape: Sequence[int | None]
) -> Iterator[None]:
    """Says where a network is built, among other things, for images of a size that it cannot take.

    Args:
      model_name: the network.
      network: itself.
      shape: of what it takes: [..., height, width, channels].

    Raises:
      UserError: if it cannot be built for them, but for images of its own size it can.
    """
    try:
        yield
    except ValueError as error:
        own = nets_factory.NETWORKS[model_name].image_size
        *first, height, width, channels = shape
        # It may have failed of something else.
        if _can_be_built(network, shape):
            raise
        if not _can_be_built(network, [*first, own, own, channels]):
            raise
        shown = f"{height},{width}"
        raise _checks.UserError(
            f"image_size={shown} does not fit {model_name}, whose own is {own}: choose that, or one"
            " nearer to it"
        ) from error


def _can_be_built(network: Callable[[tf.Tensor], Any], shape: Sequence[int | None]) -> bool:
    # In a graph no weight gets a value.
    with tf.Graph().as_default(), slim.VariableStore(seed=0).as_default():
        try:
            network(tf.raw_ops.Placeholder(dtype=tf.float32, shape=shape))
        except ValueError:
            return False
    return True


def _rounding(
    quantized: bool, delay: int, weights: bool = True
) -> contextlib.AbstractContextManager[None]:
    if not quantized:
        return contextlib.nullcontext()
    return quantization.fake_quantization(delay, weights)


def probabilities(logits: tf.Tensor, end_points: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns a network's probabilities, [batch, classes].

    The ResNets call that end point otherwise, and AlexNet, OverFeat and VGG have none.
    """
    for name in ("Predictions", "predictions"):
        if name in end_points:
            return end_points[name]
    return tf.nn.softmax(logits, name="probabilities")


class InferenceModel(tf.Module):
    """A network with the weights of a checkpoint.

    Attributes:
      info: the network and its classes.
      prefix: the checkpoint.
      step: the training step it was written at, or None if it does not say.
      used_averages: whether the weights are the moving averages.
      left_averages: whether the checkpoint has moving averages that are not used.
      image_size: height and width of the images, in pixels.
      is_video: whether the network takes videos.
      image_shape: of one image, or of one video: [frames, height, width, channels], where None is
        any number of frames.

    Raises:
      UserError: if there is no checkpoint, or it is not this network's.
    """

    def __init__(
        self,
        info: ModelInfo,
        checkpoint_path: str,
        image_size: Sequence[int] | None = None,
        num_frames: int | None = None,
    ) -> None:
        super().__init__(name="classifier")
        self.info = info
        self.prefix = checkpoints.find(checkpoint_path)
        self.used_averages = info.moving_average_decay is not None
        self.image_size = tuple(image_size or info.image_size)
        self.is_video = nets_factory.NETWORKS[info.model_name].input_rank == 5
        frames = (num_frames,) if self.is_video else ()
        self.image_shape = (*frames, *self.image_size, info.num_channels)
        self.store = slim.VariableStore(seed=0)
        self.network = self._network(info.num_classes)
        spec = tf.TensorSpec([None, *self.image_shape], tf.float32)
        with of_image_size(info.model_name, self.network, spec.shape):
            self._rounded = self.store.build(self.network, spec).quantized
        self.step = self._restore()

    def _network(self, num_classes: int | None) -> Callable[..., Any]:
        # Its weights are rounded when they are restored.
        return inference_network(
            self.info.model_name, num_classes, self.info.quantized, weights=False
        )

    @property
    def example_shape(self) -> tuple[int, ...]:
        """`image_shape`, with a usual number of frames where any will do."""
        return tuple(side or _USUAL_FRAMES for side in self.image_shape)

    def reload(self, checkpoint_path: str, use_averages: bool | None = None) -> None:
        """Takes the weights of another checkpoint of the same run.

        Args:
          checkpoint_path: the checkpoint.
          use_averages: whether to take the moving averages of the weights; None: as before.

        Raises:
          UserError: if there is none, or it is not this network's.
        """
        self.prefix = checkpoints.find(checkpoint_path)
        if use_averages is not None:
            self.used_averages = use_averages
        self.step = self._restore()

    def _restore(self) -> int | None:
        variables = self.store.named_variables
        named = (
            {average_name(n): v for n, v in variables.items()} if self.used_averages else variables
        )
        report = checkpoints.compare(self.prefix, named)
        if report.missing or report.mismatched:
            raise _checks.UserError(self._unfit(report))
        checkpoints.restore(self.prefix, named)
        self.left_averages = not self.used_averages and AVERAGE in map(kind, report.unused)
        quantization.round_weights(variables, self._rounded)
        reader = checkpoints.read(self.prefix)
        return int(reader.get("global_step")) if "global_step" in reader else None

    def _unfit(self, report: checkpoints.RestoreReport) -> str:
        info, missing = self.info, report.missing
        if missing and self.used_averages and AVERAGE not in map(kind, report.unused):
            return (
                f"Checkpoint {self.prefix} has no moving averages of the weights: "
                f"moving_average_decay={info.moving_average_decay} has nothing to use"
            )
        if missing and all(kind(name) == RANGE for name in missing):
            return (
                f"Checkpoint {self.prefix} has no ranges of {len(missing) // 2} layers: quantize"
                " needs a run with quantize_delay"
            )
        if len(missing) == len(self.store.named_variables):
            return warm_start.of_another_network(report, info)
        if missing:
            return (
                f"Checkpoint {self.prefix} lacks {len(missing)} variables of {info.model_name}: "
                f"{_checks.listed(missing, 5)}"
            )
        differing = [mismatch.name for mismatch in report.mismatched]
        heads = heads_of(differing, nets_factory.NETWORKS[info.model_name].heads)
        if heads and all(heads_of([name], heads) for name in differing):
            return (
                f"{warm_start.head_text(report, info, heads)}. It has to be the dataset that the "
                "checkpoint was trained on; where the head has one class less or more, "
                "labels_offset differs by one"
            )
        return f"Checkpoint {self.prefix} does not fit: {_checks.listed(report.mismatched, 5)}"

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies preprocessed images.

        Args:
          images: float32, [batch, height, width, channels].

        Returns:
          `logits` and `probabilities`, both float32 [batch, classes].
        """
        with self.store.as_default():
            logits, end_points = self.network(images)
        return {"logits": logits, "probabilities": probabilities(logits, end_points)}

    def output(self, end_point: str | None, images: tf.Tensor) -> tf.Tensor:
        """Returns an end point's value for preprocessed images; without a name, the logits."""
        with self.store.as_default():
            logits, end_points = self.network(images)
        return logits if end_point is None else end_points[end_point]

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """Returns what the network's last layer sees of preprocessed images, float32 [batch,
        channels]: the means over height and width, where there is more than one place."""
        network = self._network(None)
        with self.store.as_default():
            found, _ = network(images)
        if found.shape.rank == 4:
            found = tf.reduce_mean(found, axis=[1, 2])
        return found

    def values(self) -> dict[str, Any]:
        """Returns the weights by name, as arrays."""
        return {name: variable.numpy() for name, variable in self.store.named_variables.items()}

    def class_name(self, index: int) -> str:
        """Returns the name of a class, or its number where there are no names."""
        names = self.info.label_names
        return names[index] if names else str(index)
