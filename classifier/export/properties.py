"""What a caller needs to know of a model, for formats with room for key and value pairs."""

import json
from typing import Any

from classifier.export.job import Job
from classifier.inputs import preprocessing


def properties(job: Job) -> dict[str, str]:
    """Returns the known properties of a job's model; values are JSON."""
    info = job.classifier.info
    normalization = preprocessing.normalization(info)
    values: dict[str, Any] = {
        "labels": list(info.label_names) or None,
        "image_size": list(job.classifier.image_size),
        "preprocessing": preprocessing.own_preprocessing(info),
        "mean": normalization and list(normalization[0]),
        "std": normalization and [normalization[1]] * len(normalization[0]),
        "rejection_threshold": job.classifier.rejection_threshold,
        "license": job.options.license,
    }
    return {
        key: json.dumps(value, ensure_ascii=False)
        for key, value in values.items()
        if value is not None
    }
