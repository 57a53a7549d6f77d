"""Differences between a run and the command that resumes it."""

import dataclasses
import json
from typing import Any

from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve.training import ResolvedRun
from classifier.run_directory import RunConfig
from slim import _checks, _json


@dataclasses.dataclass(frozen=True)
class Change:
    """A difference between a run and the command that resumes it.

    Attributes:
      name: name of the option or of the value that follows from it.
      old: value of the run.
      new: value of the command.
      is_allowed: whether the run can be resumed with it.
    """

    name: str
    old: Any
    new: Any
    is_allowed: bool = True

    def __str__(self) -> str:
        return f"{self.name}: {_short(self.old)} -> {_short(self.new)}"


# Values in config.json that must not change.
_FIXED = (
    "model_name",
    "num_classes",
    "label_names",
    "labels_offset",
    "image_size",
    "num_channels",
    "preprocessing_name",
    "use_grayscale",
    "num_samples",
    "global_batch_size",
)


def changed_options(old: RunConfig, new: ResolvedRun) -> tuple[Change, ...]:
    """Compares a run with the command that resumes it.

    Args:
      old: the run's config.json.
      new: the resolved command.

    Returns:
      The differences.
    """
    after = json.loads(json.dumps(new.to_dict()))
    resolved = old.get("resolved", {})
    changes = {
        name: Change(name, resolved[name], after["resolved"][name], is_allowed=False)
        for name in _FIXED
        if name in resolved and resolved[name] != after["resolved"][name]
    }
    for name, each in options.by_name(TrainConfig).items():
        # Fixed values were compared above: passing the default explicitly is not a change.
        if name in changes or name in _FIXED or each.declared.resume == "free":
            continue
        # Versions without the option behaved as its default does.
        absent = after["options"][name] if each.required else json.loads(json.dumps(each.default))
        before = old["options"].get(name, absent)
        if before != after["options"][name]:
            is_allowed = each.declared.resume != "refused"
            changes[name] = Change(name, before, after["options"][name], is_allowed)
    name = "class_weights"  # the file's contents may have changed
    before = resolved.get(name, after["resolved"][name])
    if name not in changes and before != after["resolved"][name]:
        changes[name] = Change(name, before, after["resolved"][name])
    return tuple(changes.values())


def check_changes(changes: tuple[Change, ...], train_dir: str) -> None:
    """Raises UserError with possible solutions if a run cannot be resumed with these changes."""
    forbidden = [change for change in changes if not change.is_allowed]
    if not forbidden:
        return
    advice = "To resume, use the original options. To start over, pass --restart or another"
    advice += " --train_dir"
    # The weights do not fit another network.
    if all(change.name != "model_name" for change in forbidden):
        advice += (
            ". To fine-tune from it with the new options, pass another --train_dir and"
            f" --checkpoint_path={train_dir}"
        )
    raise _checks.UserError(
        f"train_dir={train_dir!r} contains a run with other options"
        f" ({'; '.join(map(str, forbidden))}). {advice}"
    )


def _short(value: Any, max_length: int = 60) -> str:
    text = _json.printable(str(value))
    return text if len(text) <= max_length else text[:max_length] + "..."
