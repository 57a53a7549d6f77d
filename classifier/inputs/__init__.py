"""Batches for training and evaluation, in an order that resuming can rely on."""

from classifier.inputs.balanced import training_records
from classifier.inputs.batches import evaluation_dataset, training_dataset
from classifier.inputs.diagnosis import translate_errors
from classifier.inputs.mixing import Mixing

__all__ = [
    "Mixing",
    "evaluation_dataset",
    "training_dataset",
    "training_records",
    "translate_errors",
]
