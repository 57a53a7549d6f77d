"""Batch norm in training: which layers are frozen, and whether the moving averages converge."""

from collections.abc import Callable, Sequence

from classifier.checkpoints.names import is_in
from classifier.config.finetuning import BatchNormOptions
from classifier.config.problems import Problem, as_flags, named
from nets import nets_factory

# An average with decay d has 95 % of its weight on the last 3 / (1 - d) steps.
_CONVERGENCE = 3
_SHORTER_DECAYS = (0.999, 0.99, 0.9)


def frozen_rule(
    options: BatchNormOptions, trainable_scopes: Sequence[str]
) -> bool | Callable[[str], bool]:
    """Returns which layers use fixed moving averages: all, none, or a predicate of the scope name.

    Args:
      options: options of batch norm.
      trainable_scopes: scopes that are trained. Empty: the whole network.
    """
    if options.freeze_batch_norm:
        return True
    if options.update_frozen_batch_norm or not trainable_scopes:
        return False
    return lambda name: not any(is_in(name, scope) for scope in trainable_scopes)


def warning(options: BatchNormOptions, model_name: str, steps: int | None) -> str:
    """Returns a warning if a run is too short for its moving averages to converge, or "".

    Args:
      options: options of batch norm.
      model_name: name of a network that updates its moving averages.
      steps: number of training steps. None: unlimited.
    """
    decay = options.batch_norm_decay
    if decay is None:
        decay = nets_factory.batch_norm_decay(model_name)
    needed = round(_CONVERGENCE / (1 - decay))
    if steps is None or needed <= steps or decay <= _SHORTER_DECAYS[-1]:
        return ""
    shorter = next(
        (d for d in _SHORTER_DECAYS if _CONVERGENCE / (1 - d) <= steps), _SHORTER_DECAYS[-1]
    )
    return as_flags(
        Problem(
            "{} needs about {} steps to converge, this run has {}: evaluation may be much worse"
            " than training. Try {}, or {} when fine-tuning",
            named("batch_norm_decay", decay),
            needed,
            steps,
            named("batch_norm_decay", shorter),
            named("freeze_batch_norm"),
        )
    )
