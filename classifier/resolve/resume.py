"""Differences between a run and the command that resumes it."""

import dataclasses
import json
from typing import Any

from classifier.config import options, problems
from classifier.config.problems import Problem, named
from classifier.config.training import TrainConfig
from classifier.resolve.training import ResolvedRun
from classifier.run_directory import RunConfig
from slim import _json


@dataclasses.dataclass(frozen=True)
class Change:
    """A difference between a run and the command that resumes it.

    Attributes:
      name: name of the option or of the value that follows from it.
      old: value of the run.
      new: value of the command.
      refused: whether the run cannot be resumed with it.
    """

    name: str
    old: Any
    new: Any
    refused: bool

    def __str__(self) -> str:
        return f"{self.name}: {_short(self.old)} -> {_short(self.new)}"


# Values in config.json that must not change.
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
    "multi_label",
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
        name: Change(name, resolved.get(name, False), after["resolved"].get(name, False), True)
        for name in _REFUSED
        # What is false may be absent; other values are, of a run of an earlier version.
        if (name in resolved or name == "multi_label")
        and resolved.get(name, False) != after["resolved"].get(name, False)
    }
    for name, each in options.by_name(TrainConfig).items():
        # Resolved values were compared above: passing the default explicitly is not a change.
        if name in changes or name in _REFUSED or each.declared.resume == "free":
            continue
        # Versions without the option behaved as its default does.
        absent = after["options"][name] if each.required else json.loads(json.dumps(each.default))
        before = old["options"].get(name, absent)
        if before != after["options"][name]:
            refused = each.declared.resume == "refused"
            changes[name] = Change(name, before, after["options"][name], refused)
    name = "class_weights"  # the file's contents may have changed
    before = resolved.get(name, after["resolved"][name])
    if name not in changes and before != after["resolved"][name]:
        changes[name] = Change(name, before, after["resolved"][name], refused=False)
    return tuple(changes.values())


def refuse_changes(changes: tuple[Change, ...], train_dir: str) -> None:
    """Raises OptionError with possible solutions if a run cannot be resumed with these changes."""
    refused = [change for change in changes if change.refused]
    if not refused:
        return
    other = named("train_dir")
    ways = Problem(
        "To resume, use the original options. To start over, pass {} or another {}",
        named("restart"),
        other,
    )
    # The weights do not fit another network.
    if all(change.name != "model_name" for change in refused):
        ways = Problem(
            "{}. To fine-tune from it with the new options, pass another {} and {}",
            ways,
            other,
            named("checkpoint_path", train_dir),
        )
    raise problems.error(
        "{} contains a run with other options ({}). {}",
        named("train_dir", repr(train_dir)),
        "; ".join(map(str, refused)),
        ways,
    )


def _short(value: Any, most: int = 60) -> str:
    text = _json.printable(str(value))
    return text if len(text) <= most else text[:most] + "..."
