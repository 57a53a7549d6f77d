"""Resolves a prediction from the options and model_info.json."""

import dataclasses

from classifier.config import problems
from classifier.config.prediction import PredictConfig
from classifier.config.problems import named
from classifier.model_info import ModelInfo


@dataclasses.dataclass(frozen=True)
class ResolvedPrediction:
    """A resolved prediction: the options, the model and the number of classes to print."""

    config: PredictConfig
    model: ModelInfo
    top_k: int


def prediction(config: PredictConfig, info: ModelInfo | None) -> ResolvedPrediction:
    """Resolves a prediction.

    Raises:
      UserError: if the checkpoint has no model_info.json.
    """
    if info is None:
        raise problems.error(
            "{} has no model_info.json. Use a directory that train_image_classifier.py wrote",
            named("checkpoint_path", repr(config.checkpoint_path)),
        )
    return ResolvedPrediction(config, info, min(config.top_k, info.num_classes))
