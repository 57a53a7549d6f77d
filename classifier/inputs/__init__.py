"""Batches for training and evaluation, in a reproducible order."""

from classifier.inputs.bad_images import BadImage, BadImages
from classifier.inputs.balanced import Index, index_records, training_records
from classifier.inputs.batches import evaluation_dataset, training_dataset
from classifier.inputs.cache import Cache
from classifier.inputs.dataset import open_dataset
from classifier.inputs.diagnosis import describe_bad_image, translate_errors
from classifier.inputs.large_images import check as check_large_images
from classifier.inputs.mixing import Mixing
from classifier.inputs.shuffling import first_positions

__all__ = [
    "BadImage",
    "BadImages",
    "Cache",
    "Index",
    "Mixing",
    "check_large_images",
    "describe_bad_image",
    "evaluation_dataset",
    "first_positions",
    "index_records",
    "open_dataset",
    "training_dataset",
    "training_records",
    "translate_errors",
]
