"""Batch norm in training: which layers keep to their moving averages, and whether these settle."""

from collections.abc import Callable, Sequence

from classifier.checkpoints.names import is_in
from classifier.config.finetuning import BatchNormOptions
from nets import nets_factory

# Steps after which an average with decay d has forgotten its first value but for a twentieth, times
# 1 - d.
_SETTLED = 3
_SHORTER = (0.999, 0.99, 0.9)


def frozen_rule(
    options: BatchNormOptions, trainable_scopes: Sequence[str]
) -> bool | Callable[[str], bool]:
    """Returns which layers keep to their moving averages: all, none, or a function of the scope's
    name.

    Args:
      options: what the user asked for.
      trainable_scopes: the parts that are trained; none: all.
    """
    if options.freeze_batch_norm:
        return True
    if options.update_frozen_batch_norm or not trainable_scopes:
        return False
    return lambda name: not any(is_in(name, scope) for scope in trainable_scopes)


def warning(options: BatchNormOptions, model_name: str, steps: int | None) -> str:
    """Returns what to tell of a run too short for the moving averages to settle, or nothing.

    Args:
      options: what the user asked for.
      model_name: a network that updates its moving averages.
      steps: of the run; None: without end.
    """
    decay = options.batch_norm_decay
    if decay is None:
        decay = nets_factory.batch_norm_decay(model_name)
    needed = round(_SETTLED / (1 - decay))
    if steps is None or needed <= steps or decay <= _SHORTER[-1]:
        return ""
    shorter = next((d for d in _SHORTER if _SETTLED / (1 - d) <= steps), _SHORTER[-1])
    return (
        f"batch_norm_decay={decay:g} needs about {needed} steps to settle, this run has {steps}: "
        f"evaluation may look far worse than training. Try --batch_norm_decay={shorter:g}, or "
        "--freeze_batch_norm when fine-tuning"
    )
