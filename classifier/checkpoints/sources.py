"""Where weights come from: a checkpoint or a `.weights.h5` file, maybe under other scopes."""

from collections.abc import Iterable, Sequence

import numpy as np

from classifier import keras_weights
from classifier.checkpoint_names import in_scopes, is_in
from slim import checkpoints
from slim.checkpoints import SavedVariable, Source


def open_source(path: str) -> Source:
    """Returns the variables at a path: of a checkpoint, or of a `.weights.h5` file.

    Raises:
      UserError: if there is nothing of the kind.
      RunError: if it cannot be read.
    """
    if path.endswith(keras_weights.SUFFIX):
        return keras_weights.WeightsFile(path)
    return checkpoints.read(checkpoints.find(path))


class Moved:
    """A source whose scopes go by other names; a variable outside of them keeps its own.

    Args:
      source: the saved variables.
      scope_map: pairs of a scope of the source and the name it shall have; one may get several.
      argument: the option that the pairs come from, to be named in an error.

    Raises:
      UserError: if a scope matches nothing in the source.
    """

    def __init__(self, source: Source, scope_map: Sequence[tuple[str, str]], argument: str) -> None:
        self.prefix = source.prefix
        self._source = source
        saved = source.variables()
        in_scopes(saved, [scope for scope, _ in scope_map], argument, f" of {self.prefix}")
        moved = {new: old for old in saved for new in _new_names(old, scope_map)}
        stayed = (name for name in saved if not any(is_in(name, scope) for scope, _ in scope_map))
        self._names = {**{name: name for name in stayed}, **moved}

    def variables(self) -> dict[str, SavedVariable]:
        """Returns new name -> (shape, dtype)."""
        saved = self._source.variables()
        return {new: saved[old] for new, old in self._names.items()}

    def get(self, name: str) -> np.ndarray:
        """Returns the value of the variable that goes by a new name."""
        return self._source.get(self._names[name])


def _new_names(name: str, scope_map: Iterable[tuple[str, str]]) -> list[str]:
    return [new + name[len(old) :] for old, new in scope_map if is_in(name, old)]


def scope_pairs(items: Iterable[str]) -> list[tuple[str, str]]:
    """Returns the pairs that `old:new` items stand for; slashes at their ends do not count."""
    pairs = (item.split(":") for item in items)
    return [(old.strip().rstrip("/"), new.strip().rstrip("/")) for old, new in pairs]


def likely_move(missing: Sequence[str], unused: Iterable[str]) -> str:
    """Returns `old:new` if the missing variables are saved under another first scope, else "".

    Args:
      missing: names that a network wants.
      unused: saved names that nobody asked for.
    """
    ends = {name.partition("/")[2] for name in missing}
    counts: dict[str, int] = {}
    for name in unused:
        scope, _, end = name.partition("/")
        counts[scope] = counts.get(scope, 0) + (end in ends)
    best = max(counts, key=lambda scope: counts[scope], default="")
    roots = {name.partition("/")[0] for name in missing}
    found = bool(best) and len(roots) == 1 and counts[best] > 0.8 * len(missing)
    return f"{best}:{next(iter(roots))}" if found else ""
