"""What differs between a run and the command that is to resume it."""

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
    """One difference between a run and the command that resumes it."""

    name: str
    old: Any
    new: Any
    refused: bool

    def __str__(self) -> str:
        return f"{self.name}: {_short(self.old)} -> {_short(self.new)}"


_REFUSED = (
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
    """Compares a run with the command that is to resume it.

    Args:
      old: the run's config.json.
      new: the command.

    Returns:
      the differences; those with `refused` would make another run of it.
    """
    after = json.loads(json.dumps(new.to_dict()))
    resolved = old.get("resolved", {})
    changes = {
        name: Change(name, resolved[name], after["resolved"][name], refused=True)
        for name in _REFUSED
        if name in resolved and resolved[name] != after["resolved"][name]
    }
    for name, each in options.by_name(TrainConfig).items():
        # Compared above by what follows from it: typing the default is no change.
        if name in changes or name in _REFUSED or each.declared.resume == "free":
            continue
        # A run of a version that lacked the option did what its default does.
        absent = after["options"][name] if each.required else json.loads(json.dumps(each.default))
        before = old["options"].get(name, absent)
        if before != after["options"][name]:
            refused = each.declared.resume == "refused"
            changes[name] = Change(name, before, after["options"][name], refused)
    name = "class_weights"  # the file may have changed, and its name not
    before = resolved.get(name, after["resolved"][name])
    if name not in changes and before != after["resolved"][name]:
        changes[name] = Change(name, before, after["resolved"][name], refused=False)
    return tuple(changes.values())


def refuse_changes(changes: tuple[Change, ...], train_dir: str) -> None:
    """Raises UserError if a run cannot be resumed with these changes; it says the ways out."""
    refused = [change for change in changes if change.refused]
    if not refused:
        return
    ways = [
        "give the old ones to go on with it",
        "another --train_dir to start anew, or --restart, which sets that run aside",
    ]
    # Another network has no use for the weights.
    if all(change.name != "model_name" for change in refused):
        ways.append(
            f"or another --train_dir with --checkpoint_path={train_dir} to go on from its weights "
            "with the new ones"
        )
    raise _checks.UserError(
        f"train_dir={train_dir!r} holds a run that was started with other options"
        f" ({'; '.join(map(str, refused))}): {', '.join(ways)}"
    )


def _short(value: Any, most: int = 60) -> str:
    text = _json.printable(str(value))
    return text if len(text) <= most else text[:most] + "..."
