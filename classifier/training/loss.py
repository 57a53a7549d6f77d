"""The training loss."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

import slim
from slim.passes import current_pass

# Weight of the auxiliary classifier's loss, as in TF-Slim.
AUXILIARY_WEIGHT = 0.4


def training_loss(
    network: Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]],
    num_classes: int,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] = (),
) -> Callable[..., Any]:
    """Returns the training loss as a function of a batch.

    Args:
      network: function from float32 images to (logits, end points), in training mode.
      num_classes: number of logits.
      label_smoothing: fraction of each label that is spread evenly over all classes.
      class_weights: weight of the cross entropy for each class. Default: 1. A mixed image has the
        average weight of its two classes, weighted by their fractions.

    Returns:
      A function `(image, label, ...) -> (total loss, metrics)` of float32 images [batch, height,
      width, channels] and int64 labels [batch]. Mixed images have a `mixed_label` (int64 [batch])
      and the fraction of `label`, `mix` (float32 [batch]). `weight` (float32 [batch], default: 1)
      is 0 for images that do not count. Other features of the batch are ignored.
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
            factors = tf.gather(tf.constant(class_weights), label)
            if mixed_label is not None:
                mixed_factors = tf.gather(tf.constant(class_weights), mixed_label)
                factors = mixed_factors + mix * (factors - mixed_factors)
            weights = weight * factors
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
        return total, {"accuracy": accuracy, **_loss_terms(total)}

    return loss_fn


def _loss_terms(total: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the terms of the total loss under TF-Slim's names."""
    one_pass = current_pass()
    losses = one_pass.losses[slim.losses.LOSSES]
    data_loss = tf.add_n([loss.value for loss in losses])
    terms = {f"losses/{loss.name}/value": loss.value for loss in losses}
    terms["Losses/clone_loss"] = data_loss
    if one_pass.regularizers:
        terms["Losses/regularization_loss"] = total - data_loss
    return terms
