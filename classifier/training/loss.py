"""The loss of a batch."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

import slim
from slim.store import current_pass

# Weight of the auxiliary classifier's loss, as the original trains Inception and NASNet.
AUXILIARY_WEIGHT = 0.4


def training_loss(
    network: Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]],
    num_classes: int,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] = (),
) -> Callable[..., Any]:
    """Returns the loss of a batch.

    Args:
      network: from float32 images to (logits, end points), as it is trained.
      num_classes: length of the logits.
      label_smoothing: share of each label spread over all classes.
      class_weights: factor of an image's cross entropy for each class; without, 1. A mixed image's
        is the mean of both, by their shares.

    Returns:
      A function `(image, label, ...) -> (total loss, numbers to log)` of float32 images [batch,
      height, width, channels] and int64 labels [batch]. Mixed images come with `mixed_label` (int64
      [batch]) and the share of `label`, `mix` (float32 [batch]). `weight` (float32 [batch]), if
      there is one, is 0 for images that do not count. Further parts of the batch are not looked
      at.
    """

    def loss_fn(
        image: tf.Tensor,
        label: tf.Tensor,
        mixed_label: tf.Tensor | None = None,
        mix: tf.Tensor | None = None,
        weight: tf.Tensor | float = 1.0,
        **_: tf.Tensor,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits, end_points = network(image)
        one_hot = slim.one_hot_encoding(label, num_classes)
        if mixed_label is not None:
            other = slim.one_hot_encoding(mixed_label, num_classes)
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
