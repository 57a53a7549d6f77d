"""What names in a checkpoint reveal: the kind of a variable, and the likely network.

This module does not load TensorFlow and builds no network.
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence

from classifier.config import problems
from classifier.config.problems import named
from nets.nets_factory import NETWORKS
from slim import _checks

NETWORK, SLOT, AVERAGE, STEP = "network variable", "optimizer slot", "moving average", "global step"
RANGE = "quantization range"
KINDS = (NETWORK, SLOT, AVERAGE, RANGE, STEP)

# Slots of slim's optimizers, and of others used with TF-Slim.
_SLOT = re.compile(
    r"(/|^)(Adadelta|Adagrad|AdagradDA|Adam|AdaMax|Ftrl|LARS|Momentum|RMSProp)(_\d+)?$"
    r"|/(AdamW|Lamb|Lion|Muon|Adafactor)_(momentum|velocity|rows|columns)$"
    r"|^beta[12]_power(_\d+)?$|^Adafactor_step$"
)
# Ranges written by slim and by TF-Slim's quantized training.
_RANGE = re.compile(r"/(act|weights)_quant/(min|max)$")
# Written by tf.train.Checkpoint, whose names are paths through Python objects.
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def kind_of(name: str) -> str:
    """Returns the kind of a variable by its name: one of `KINDS`."""
    if name == "global_step":
        return STEP
    if _SLOT.search(name):
        return SLOT
    if name.endswith("/ExponentialMovingAverage"):
        return AVERAGE
    return RANGE if _RANGE.search(name) else NETWORK


def optimizers_of(names: Iterable[str]) -> list[str]:
    """Returns the optimizers whose slots are among the names."""
    matches = (match for name in names if (match := _SLOT.search(name)))
    return sorted({match[2] or match[4] for match in matches} - {None})


def is_in(name: str, scope: str) -> bool:
    """Returns whether the variable or scope `name` is `scope` or lies below it.

    A `*` in `scope` matches any characters except a slash.
    """
    if "*" in scope:
        return _pattern(scope).match(f"{name}/") is not None
    return f"{name}/".startswith(f"{scope.rstrip('/')}/")


@functools.cache
def _pattern(scope: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(map(re.escape, scope.rstrip("/").split("*"))) + "/")


def heads_of(names: Iterable[str], heads: Sequence[str]) -> list[str]:
    """Returns the scopes in `heads` that contain one of the names."""
    names = list(names)
    return [head for head in heads if any(is_in(name, head) for name in names)]


def head_classes(shapes: Mapping[str, Sequence[int]], heads: Sequence[str]) -> int | None:
    """Returns the number of classes of a checkpoint's head, or None if it has none.

    Args:
      shapes: shape of each variable, by name.
      heads: scopes of the variables that depend on it; the first one present decides.
    """
    for head in heads:
        for name, shape in shapes.items():
            if is_in(name, head) and kind_of(name) == NETWORK and len(shape):
                return shape[-1]
    return None


def networks_with(shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Returns the networks that match the scopes and kernel rank of a checkpoint best.

    Args:
      shapes: shape of each variable, by name.
    """
    names = [name for name in shapes if kind_of(name) == NETWORK]
    rank = max((len(shapes[name]) for name in names), default=0)
    fractions = {
        network: len(heads_of(names, spec.heads)) / len(spec.heads)
        for network, spec in NETWORKS.items()
        if spec.heads and rank == spec.input_rank
    }
    best = max(fractions.values(), default=0)
    return [network for network, fraction in fractions.items() if fraction == best > 0]


def describe_scopes(shapes: Mapping[str, Sequence[int]]) -> str:
    """Returns a sentence on the likely origin of a checkpoint's names, or an empty string."""
    if _OBJECT_GRAPH in shapes:
        return (
            "It was written by tf.train.Checkpoint or Keras, with object paths instead of variable"
            " names: save it under the names of slim's variables"
        )
    networks = networks_with(shapes)
    return f"Its scopes match {' or '.join(networks)}" if networks else ""


def in_scopes(
    names: Iterable[str], scopes: Sequence[str], argument: str, where: str = ""
) -> list[str]:
    """Returns the names that lie in one of the scopes, see `is_in`.

    Args:
      names: variable names.
      scopes: scopes as typed by the user.
      argument: option that sets the scopes, for the error.
      where: owner of the variables with a leading space, for the error.

    Raises:
      UserError: if a scope matches no name; the message suggests similar scopes.
    """
    names = list(names)
    matches: dict[str, None] = {}
    for scope in scopes:
        matching = [name for name in names if is_in(name, scope)]
        if not matching:
            known = sorted(_scopes(names))
            longer = not where and any(name.startswith(scope) for name in names)
            hint = (
                (f"; {scope + '*'!r} matches all names with this prefix" if longer else "")
                or _checks.suggest(scope, known)
                or f". Scopes: {_checks.listed(known, 12)}"
            )
            raise problems.error(
                "{}: {!r} matches no variable{}{}", named(argument), scope, where, hint
            )
        matches.update(dict.fromkeys(matching))
    return list(matches)


def _scopes(names: Iterable[str]) -> set[str]:
    """Returns all scopes that contain a variable, at every depth."""
    parts = [name.split("/") for name in names]
    return {"/".join(part[:depth]) for part in parts for depth in range(1, len(part))}
