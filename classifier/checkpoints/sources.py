"""Sources of weights: checkpoints and `.weights.h5` files, optionally with renamed scopes."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from classifier.checkpoints import keras_weights
from classifier.checkpoints.names import head_classes, in_scopes, is_in
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks, checkpoints
from slim.checkpoints import SavedVariable, Source


@dataclasses.dataclass(frozen=True)
class OpenedCheckpoint:
    """An opened checkpoint and the run it belongs to.

    All reads are from the same checkpoint, even if a trainer writes or removes others meanwhile.

    Attributes:
      source: its variables.
      run: run directory it belongs to.
      info: contents of model_info.json there; None if there is none.
    """

    source: Source
    run: RunDirectory
    info: ModelInfo | None

    @property
    def prefix(self) -> str:
        """The checkpoint's path without file suffixes."""
        return self.source.prefix

    def variables(self) -> dict[str, SavedVariable]:
        """Returns name -> (shape, dtype)."""
        return self.source.variables()

    def get(self, name: str) -> np.ndarray:
        """Returns the value of a variable."""
        return self.source.get(name)

    def head_classes(self, heads: Sequence[str]) -> int | None:
        """Returns the number of classes in the first of these scopes that exists, or None."""
        shapes = {name: variable.shape for name, variable in self.variables().items()}
        return head_classes(shapes, heads)


def open_checkpoint(path: str) -> OpenedCheckpoint:
    """Finds and opens a checkpoint.

    Args:
      path: a checkpoint, a directory (its newest checkpoint is used), or a `.weights.h5` file.

    Raises:
      UserError: if there is no checkpoint, or model_info.json next to it is damaged.
      RunError: if it cannot be read.
    """
    source, run = open_source(path), RunDirectory.of_checkpoint(path)
    return OpenedCheckpoint(source, run, read_model_info(run))


def open_prefix(prefix: str) -> OpenedCheckpoint:
    """Opens a checkpoint that a directory has listed.

    Raises:
      CheckpointGone: if it was removed since.
      UserError, RunError: as `open_checkpoint`.
    """
    run = RunDirectory.of_checkpoint(prefix)
    return OpenedCheckpoint(checkpoints.read(prefix), run, read_model_info(run))


def read_model_info(run: RunDirectory) -> ModelInfo | None:
    """Returns the content of model_info.json, or None if there is none.

    Raises:
      UserError: if it is damaged, or names an unknown network or preprocessing.
    """
    info = run.read_model_info()
    if info is not None:
        try:
            _checks.one_of("model_name", info.model_name, NETWORKS)
            preprocessing_factory.resolve_name(info.preprocessing_name)
        except _checks.UserError as error:
            raise _checks.UserError(f"{run.model_info_path} cannot be used: {error}") from None
    return info


def open_source(path: str) -> Source:
    """Returns only the variables at a path; arguments and errors as in `open_checkpoint`."""
    if path.endswith(keras_weights.SUFFIX):
        return keras_weights.WeightsFile(path)
    prefix = checkpoints.find(path)
    while True:
        try:
            return checkpoints.read(prefix)
        except checkpoints.CheckpointGone:
            # A trainer has written newer ones and removed it since.
            removed, prefix = prefix, checkpoints.find(path)
            if prefix == removed:
                raise


class RenamedSource:
    """A source with renamed scopes; variables outside of them keep their names.

    Args:
      source: saved variables.
      scope_map: pairs of old and new scope; an old scope may have several new ones.
      argument: option that sets the pairs, for the error.

    Raises:
      UserError: if a scope matches nothing in the source.
    """

    def __init__(self, source: Source, scope_map: Sequence[tuple[str, str]], argument: str) -> None:
        self.prefix = source.prefix
        self._source = source
        saved = source.variables()
        in_scopes(saved, [scope for scope, _ in scope_map], argument, f" of {self.prefix}")
        renamed = {new: old for old in saved for new in _new_names(old, scope_map)}
        others = (name for name in saved if not any(is_in(name, scope) for scope, _ in scope_map))
        self._names = {**{name: name for name in others}, **renamed}

    def variables(self) -> dict[str, SavedVariable]:
        """Returns new name -> (shape, dtype)."""
        saved = self._source.variables()
        return {new: saved[old] for new, old in self._names.items()}

    def get(self, name: str) -> np.ndarray:
        """Returns the value of the variable with a new name."""
        return self._source.get(self._names[name])


def _new_names(name: str, scope_map: Iterable[tuple[str, str]]) -> list[str]:
    return [new + name[len(old) :] for old, new in scope_map if is_in(name, old)]


def scope_pairs(items: Iterable[str]) -> list[tuple[str, str]]:
    """Returns the (old, new) pairs of `old:new` items, without trailing slashes."""
    pairs = (item.split(":") for item in items)
    return [(old.strip().rstrip("/"), new.strip().rstrip("/")) for old, new in pairs]


def likely_renaming(missing: Sequence[str], unused: Iterable[str]) -> str:
    """Returns `old:new` if the missing variables are saved under another first scope, else "".

    Args:
      missing: names of the network that are not saved.
      unused: saved names that are not in the network.
    """
    ends = {name.partition("/")[2] for name in missing}
    counts: dict[str, int] = {}
    for name in unused:
        scope, _, end = name.partition("/")
        counts[scope] = counts.get(scope, 0) + (end in ends)
    best = max(counts, key=lambda scope: counts[scope], default="")
    roots = {name.partition("/")[0] for name in missing}
    if not best or len(roots) != 1 or counts[best] <= 0.8 * len(missing):
        return ""
    return f"{best}:{next(iter(roots))}"
