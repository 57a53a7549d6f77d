"""Batches for training and evaluation, in an order that resuming can rely on."""

from classifier.inputs.balanced import training_records
from classifier.inputs.batches import evaluation_dataset, training_dataset
from classifier.inputs.diagnosis import translate_errors

__all__ = ["evaluation_dataset", "training_dataset", "training_records", "translate_errors"]
