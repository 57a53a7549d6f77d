"""The options that `--finetune=auto` chooses; no TensorFlow."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from classifier.config.schedule import AUTO_RATE
from classifier.config.training import TrainConfig

_EPOCHS, _MIN_STEPS, _EVALUATIONS = 5, 40, 4


def planned(
    config: TrainConfig, steps_per_epoch: float, has_validation: bool, can_crop: bool = True
) -> tuple[TrainConfig, dict[str, Any]]:
    """Chooses the options of the stage that trains the whole network.

    After the head was fitted to frozen features, a few epochs with small rates, the smaller the
    closer a layer is to the image, improve the features without distorting them (Kumar et al.,
    "Fine-Tuning can Distort Pretrained Features", 2022).

    Args:
      config: options; those that are set stay.
      steps_per_epoch: steps for as many images as the split has.
      can_crop: whether the preprocessing crops as Inception's does.
      has_validation: whether the dataset has the split to evaluate on.

    Returns:
      The options, and those chosen here by name.
    """
    steps = max(_MIN_STEPS, math.ceil(_EPOCHS * steps_per_epoch))
    run = config.run
    if run.max_number_of_steps is not None or run.max_number_of_epochs is not None:
        epochs = run.max_number_of_epochs
        steps = run.max_number_of_steps or math.ceil((epochs or 0) * steps_per_epoch)
        limit: dict[str, Any] = {}
    else:
        limit = {"max_number_of_steps": steps}
    choices: Mapping[str, dict[str, Any]] = {
        "run": limit,
        "optimizer": {
            "optimizer": "adamw",
            # The averages have most of their weight on the last quarter of the run.
            "moving_average_decay": round(1 - 1 / max(10, steps // 4), 4),
        },
        "schedule": {
            "learning_rate": AUTO_RATE,
            "learning_rate_decay_type": "cosine",
            "decay_steps": steps,
            "end_learning_rate": 0.0,
            "layer_decay": 0.9,
        },
        # Crops of down to 5 % of an image show other features than the head was fitted to.
        "augmentation": {"random_crop": False} if can_crop else {},
        "batch_norm": {"freeze_batch_norm": True},
        "validation": _evaluations(config, steps) if has_validation else {},
    }
    changed: dict[str, Any] = {}
    for name, values in choices.items():
        group = getattr(config, name)
        own = {option: value for option, value in values.items() if not group.is_changed(option)}
        if name == "schedule" and group.is_changed("learning_rate_decay_type"):
            own = {
                option: own[option] for option in ("learning_rate", "layer_decay") if option in own
            }
        changed |= own
        config = dataclasses.replace(config, **{name: dataclasses.replace(group, **own)})
    return config, changed


def _evaluations(config: TrainConfig, steps: int) -> dict[str, Any]:
    if config.validation.eval_every_epochs or config.validation.eval_every_steps:
        return {}
    return {
        "eval_every_steps": max(1, math.ceil(steps / _EVALUATIONS)),
        "early_stopping_patience": 2,
    }


def in_words(changed: Mapping[str, Any]) -> str:
    """Returns the chosen options as flags."""
    values = {name: "auto" if value == AUTO_RATE and name == "learning_rate" else value
              for name, value in changed.items()}  # fmt: skip
    return " ".join(
        f"--{name}" if value is True else f"--no{name}" if value is False else f"--{name}={value}"
        for name, value in values.items()
    )
