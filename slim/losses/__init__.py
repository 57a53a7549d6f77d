"""Losses, and the collections that hold them."""

from slim.losses.imbalance import sigmoid_asymmetric_cross_entropy, sigmoid_focal_cross_entropy
from slim.losses.loss_ops import (
    absolute_difference,
    add_loss,
    compute_weighted_loss,
    cosine_distance,
    get_losses,
    get_regularization_losses,
    get_total_loss,
    hinge_loss,
    huber,
    log_loss,
    mean_pairwise_squared_error,
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
    sparse_softmax_cross_entropy,
)
from slim.losses.metric_learning import (
    cluster_loss,
    contrastive_loss,
    lifted_struct_loss,
    npairs_loss,
    npairs_loss_multilabel,
    triplet_semihard_loss,
)
from slim.passes import LOSSES

__all__ = [
    "LOSSES", "absolute_difference", "add_loss", "cluster_loss", "compute_weighted_loss",
    "contrastive_loss", "cosine_distance", "get_losses", "get_regularization_losses",
    "get_total_loss", "hinge_loss", "huber", "lifted_struct_loss", "log_loss",
    "mean_pairwise_squared_error", "mean_squared_error", "npairs_loss", "npairs_loss_multilabel",
    "sigmoid_asymmetric_cross_entropy", "sigmoid_cross_entropy", "sigmoid_focal_cross_entropy",
    "softmax_cross_entropy", "sparse_softmax_cross_entropy", "triplet_semihard_loss",
]  # fmt: skip
