"""What the names in a checkpoint tell: the kind of a variable, and whose network it is.

No TensorFlow here, and no network is built.
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence

from nets.nets_factory import NETWORKS
from slim import _checks

NETWORK, SLOT, AVERAGE, STEP = "network variable", "optimizer slot", "moving average", "global step"
RANGE = "quantization range"
KINDS = (NETWORK, SLOT, AVERAGE, RANGE, STEP)

# Of slim's own optimizers, and of others that the original's users trained with.
_SLOT = re.compile(
    r"(/|^)(Adadelta|Adagrad|AdagradDA|Adam|AdaMax|Ftrl|LARS|Momentum|RMSProp)(_\d+)?$"
    r"|/(AdamW|Lamb|Lion|Muon|Adafactor)_(momentum|velocity|rows|columns)$"
    r"|^beta[12]_power(_\d+)?$|^Adafactor_step$"
)
# Of ours, and of the original's training with quantization.
_RANGE = re.compile(r"/(act|weights)_quant/(min|max)$")
# Written by tf.train.Checkpoint: names are paths through Python objects, not those of variables.
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def kind_of(name: str) -> str:
    """Returns what a variable is, by its name: one of the constants of this module."""
    if name == "global_step":
        return STEP
    if _SLOT.search(name):
        return SLOT
    if name.endswith("/ExponentialMovingAverage"):
        return AVERAGE
    return RANGE if _RANGE.search(name) else NETWORK


def optimizers_of(names: Iterable[str]) -> list[str]:
    """Returns the optimizers whose slots are among the names."""
    found = (match for name in names if (match := _SLOT.search(name)))
    return sorted({match[2] or match[4] for match in found} - {None})


def is_in(name: str, scope: str) -> bool:
    """Returns whether the variable or scope `name` is `scope` or lies below it; a `*` in `scope`
    stands for any letters but a slash."""
    if "*" in scope:
        return _pattern(scope).match(f"{name}/") is not None
    return f"{name}/".startswith(f"{scope.rstrip('/')}/")


@functools.cache
def _pattern(scope: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(map(re.escape, scope.rstrip("/").split("*"))) + "/")


def heads_of(names: Iterable[str], heads: Sequence[str]) -> list[str]:
    """Returns those of the scopes `heads` that one of the names lies in."""
    names = list(names)
    return [head for head in heads if any(is_in(name, head) for name in names)]


def head_classes(shapes: Mapping[str, Sequence[int]], heads: Sequence[str]) -> int | None:
    """Returns the number of classes of a checkpoint's head, or None if it has none.

    Args:
      shapes: shape of each variable, by name.
      heads: the scopes of the variables that depend on it; the first that is there decides.
    """
    for head in heads:
        for name, shape in shapes.items():
            if is_in(name, head) and kind_of(name) == NETWORK and len(shape):
                return shape[-1]
    return None


def networks_with(shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Returns the networks that a checkpoint may be of, by its scopes and the rank of its kernels.

    Args:
      shapes: shape of each variable, by name.
    """
    names = [name for name in shapes if kind_of(name) == NETWORK]
    rank = max((len(shapes[name]) for name in names), default=0)
    shares = {
        network: len(heads_of(names, spec.heads)) / len(spec.heads)
        for network, spec in NETWORKS.items()
        if spec.heads and rank == spec.input_rank
    }
    best = max(shares.values(), default=0)
    return [network for network, share in shares.items() if share == best > 0]


def scopes_of(shapes: Mapping[str, Sequence[int]]) -> str:
    """Returns a sentence on what a checkpoint that fits no name is, or an empty string."""
    if _OBJECT_GRAPH in shapes:
        return (
            "It was written by tf.train.Checkpoint or Keras, whose names are paths through Python"
            " objects: save it by the names of slim's variables"
        )
    found = networks_with(shapes)
    return f"Its scopes are those of {' or '.join(found)}" if found else ""


def in_scopes(
    names: Iterable[str], scopes: Sequence[str], argument: str, where: str = ""
) -> list[str]:
    """Returns the names that lie in one of the scopes, see `is_in`.

    Args:
      names: names of variables.
      scopes: as the user typed them.
      argument: the option they came from, to be named in an error.
      where: whose variables they are, for the error, with a blank before it.

    Raises:
      UserError: if a scope matches no name; the message has the nearest scopes.
    """
    names = list(names)
    found: dict[str, None] = {}
    for scope in scopes:
        matching = [name for name in names if is_in(name, scope)]
        if not matching:
            known = sorted(_scopes(names))
            longer = not where and any(name.startswith(scope) for name in names)
            near = f"; {scope + '*'!r} stands for all that begin so" if longer else ""
            near = (
                near
                or _checks.suggest(scope, known)
                or f". Scopes are: {_checks.listed(known, 12)}"
            )
            raise _checks.UserError(f"{argument}: {scope!r} matches no variable{where}{near}")
        found.update(dict.fromkeys(matching))
    return list(found)


def _scopes(names: Iterable[str]) -> set[str]:
    """Returns every scope that the variables lie in, at every depth."""
    parts = [name.split("/") for name in names]
    return {"/".join(part[:depth]) for part in parts for depth in range(1, len(part))}
