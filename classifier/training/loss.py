"""The training loss."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

import slim
from classifier.config.network import LossOptions
from classifier.label_kinds import ONE_CLASS, LabelKind
from classifier.training.distillation import Teacher
from slim.passes import current_pass

# Weight of the auxiliary classifier's loss, as in TF-Slim.
AUXILIARY_WEIGHT = 0.4
_DEFAULT = LossOptions()


def training_loss(
    network: Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]],
    num_classes: int,
    options: LossOptions = _DEFAULT,
    class_weights: Sequence[float] = (),
    kind: LabelKind = ONE_CLASS,
    auxiliary_weight: float = AUXILIARY_WEIGHT,
    teacher: Teacher | None = None,
) -> Callable[..., Any]:
    """Returns the training loss as a function of a batch.

    Args:
      network: function from float32 images to (logits, end points), in training mode.
      num_classes: number of logits.
      options: the loss of the logits and its parameters.
      class_weights: weight of the loss for each class. Default: 1. A mixed image has the average
        weight of its two classes, weighted by their fractions.
      kind: whether an image has one class or several.
      auxiliary_weight: weight of the auxiliary classifier's loss. 0: none.
      teacher: network whose probabilities are targets as well.

    Returns:
      A function `(image, label, ...) -> (total loss, metrics)` of float32 images [batch, height,
      width, channels] and int64 labels, [batch], or [batch, classes] of several classes. Mixed
      images have a `mixed_label` (like `label`) and the fraction of `label`, `mix` (float32
      [batch]). `weight` (float32 [batch], default: 1) is 0 for images that do not count. Other
      features of the batch are ignored.
    """
    data_loss = _data_loss(options, kind, kind.num_losses(num_classes, class_weights))

    def loss_fn(
        image: tf.Tensor,
        label: tf.Tensor,
        mixed_label: tf.Tensor | None = None,
        mix: tf.Tensor | None = None,
        weight: tf.Tensor | float = 1.0,
        **_: tf.Tensor,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        logits, end_points = network(image)

        def mixed(of: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
            values = of(label)
            if mixed_label is None:
                return values
            others = of(mixed_label)
            return others + _expanded(mix, values) * (values - others)

        targets = mixed(lambda each: kind.targets(each, num_classes))
        weights = weight
        if class_weights:
            factors = mixed(lambda each: kind.class_factors(tf.constant(class_weights), each))
            weights = _expanded(weight, factors) * factors
        if teacher is not None:
            losses = teacher.losses(image, logits, kind)
            teacher_weight = teacher.weight * weight
            slim.losses.compute_weighted_loss(losses, teacher_weight, scope="distillation_loss")
            weights = (1 - teacher.weight) * weights
        auxiliary = end_points.get("AuxLogits")
        if auxiliary is not None and auxiliary_weight:
            data_loss(auxiliary, targets, auxiliary_weight * weights, scope="aux_loss")
        data_loss(logits, targets, weights)
        total = slim.losses.get_total_loss()
        metric = kind.training_metric(logits, label, weight)
        return total, {kind.metric: metric, **_loss_terms(total)}

    return loss_fn


def _data_loss(options: LossOptions, kind: LabelKind, num_losses: int) -> Callable[..., tf.Tensor]:
    """Returns the loss of (logits, targets, weights, scope)."""
    name = options.loss or kind.loss
    if name == "softmax":
        return functools.partial(
            slim.losses.softmax_cross_entropy, label_smoothing=options.label_smoothing
        )
    functions: dict[str, Callable[..., tf.Tensor]] = {
        "sigmoid": slim.losses.sigmoid_cross_entropy,
        "focal": functools.partial(
            slim.losses.sigmoid_focal_cross_entropy,
            gamma=options.focal_gamma,
            alpha=options.focal_alpha,
        ),
        "asymmetric": functools.partial(
            slim.losses.sigmoid_asymmetric_cross_entropy,
            gamma_positive=options.asymmetric_gamma_positive,
            gamma_negative=options.asymmetric_gamma_negative,
            clip=options.asymmetric_clip,
        ),
    }

    def summed(
        logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | float, scope: str | None = None
    ) -> tf.Tensor:
        # The losses of an image are summed, not averaged: so their gradients are as large as those
        # of the softmax, for whose size learning rates and the epsilons of optimizers are known.
        return functions[name](
            logits, targets, num_losses * weights, options.label_smoothing, scope=scope
        )

    return summed


def _expanded(values: tf.Tensor | float, like: tf.Tensor) -> tf.Tensor | float:
    """Returns values of each image, [batch] or one number, for multiplication with `like`."""
    rank = like.shape.rank
    if isinstance(values, float) or rank == 1:
        return values
    return tf.reshape(values, [-1] + [1] * (rank - 1))


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
