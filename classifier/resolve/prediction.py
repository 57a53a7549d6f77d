"""What follows from the options and model_info.json for a prediction."""

import dataclasses

from classifier.config import problems
from classifier.config.prediction import PredictConfig
from classifier.config.problems import named
from classifier.model_info import ModelInfo


@dataclasses.dataclass(frozen=True)
class ResolvedPrediction:
    """A prediction, fully said: the options, the model, and how many classes to name."""

    config: PredictConfig
    model: ModelInfo
    top_k: int


def prediction(config: PredictConfig, info: ModelInfo | None) -> ResolvedPrediction:
    """Works out a prediction.

    Raises:
      UserError: if there is no model information.
    """
    if info is None:
        raise problems.error(
            "{} has no model_info.json next to it, which train_image_classifier.py writes and which"
            " has the classes",
            named("checkpoint_path", repr(config.checkpoint_path)),
        )
    return ResolvedPrediction(config, info, min(config.top_k, info.num_classes))
