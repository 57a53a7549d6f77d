"""What follows from the options and model_info.json for a prediction."""

import dataclasses

from classifier.config.prediction import PredictConfig
from classifier.model_info import ModelInfo
from slim import _checks


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
        raise _checks.UserError(
            f"checkpoint_path={config.checkpoint_path!r} has no model_info.json beside it:"
            " only a folder that train_image_classifier.py made says what its classes are"
        )
    return ResolvedPrediction(config, info, min(config.top_k, info.num_classes))
