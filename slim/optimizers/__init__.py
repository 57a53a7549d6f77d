"""Optimizers: TF-Slim's seven, and five newer ones equal to Keras 3's.

Their slots are variables of the store, so checkpoints contain them by name. Gradients must already
be averaged over the replicas of a `tf.distribute` strategy.
"""

from slim.optimizers.base import LearningRate, Optimizer, Scalar, Slot
from slim.optimizers.newer import Adafactor, AdamW, Lamb, Lion, Muon
from slim.optimizers.original import (
    Adadelta,
    Adagrad,
    Adam,
    Ftrl,
    GradientDescent,
    Momentum,
    RMSProp,
)

__all__ = [
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Ftrl", "GradientDescent", "Lamb",
    "LearningRate", "Lion", "Momentum", "Muon", "Optimizer", "RMSProp", "Scalar", "Slot",
]  # fmt: skip
