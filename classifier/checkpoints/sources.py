"""Sources of weights: checkpoints and `.weights.h5` files, optionally with renamed scopes."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from classifier.checkpoints import fetch, keras_weights
from classifier.checkpoints.names import AVERAGE, NETWORK, head_classes, in_scopes, is_in, kind_of
from classifier.model_info import ModelInfo
from classifier.run_directory import RunDirectory
from nets.nets_factory import NETWORKS
from preprocessing import preprocessing_factory
from slim import _checks, checkpoints
from slim.checkpoints import SavedVariable, Source
from slim.moving_averages import SUFFIX


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
      path: a checkpoint, a directory (its newest checkpoint is used), a `.weights.h5` file, or the
        name of a published checkpoint, which is downloaded unless it is in the cache.

    Raises:
      UserError: if there is no checkpoint, or model_info.json next to it is damaged.
      RunError: if it cannot be read or downloaded.
    """
    path = fetch.local_path(path)
    source, run = open_source(path), RunDirectory.of_checkpoint(path)
    saved = source.variables()
    averages = [name for name in saved if kind_of(name) == AVERAGE]
    if averages and not any(kind_of(name) == NETWORK for name in saved):
        print(f"{source.prefix} has only moving averages: they are read as the weights", flush=True)
        names = {name.removesuffix(f"/{SUFFIX}"): name for name in averages}
        source = _NamedSource(source, {**{name: name for name in saved}, **names})
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


class _NamedSource:
    """A source whose variables have other names.

    Args:
      source: saved variables.
      names: new name -> name in the source.
    """

    def __init__(self, source: Source, names: Mapping[str, str]) -> None:
        self.prefix = source.prefix
        self._source = source
        self._names = names

    def variables(self) -> dict[str, SavedVariable]:
        """Returns new name -> (shape, dtype)."""
        saved = self._source.variables()
        return {new: saved[old] for new, old in self._names.items()}

    def get(self, name: str) -> np.ndarray:
        """Returns the value of the variable with a new name."""
        return self._source.get(self._names[name])


class RenamedSource(_NamedSource):
    """A source with renamed scopes; variables outside of them keep their names.

    Args:
      source: saved variables.
      scope_map: pairs of old and new scope; an old scope may have several new ones.
      argument: option that sets the pairs, for the error.

    Raises:
      UserError: if a scope matches nothing in the source.
    """

    def __init__(self, source: Source, scope_map: Sequence[tuple[str, str]], argument: str) -> None:
        saved = source.variables()
        in_scopes(saved, [scope for scope, _ in scope_map], argument, f" of {source.prefix}")
        renamed = {new: old for old in saved for new in _new_names(old, scope_map)}
        others = (name for name in saved if not any(is_in(name, scope) for scope, _ in scope_map))
        super().__init__(source, {**{name: name for name in others}, **renamed})


def _new_names(name: str, scope_map: Iterable[tuple[str, str]]) -> list[str]:
    return [new + name[len(old) :] for old, new in scope_map if is_in(name, old)]


def scope_pairs(items: Iterable[str]) -> list[tuple[str, str]]:
    """Returns the (old, new) pairs of `old:new` items, without trailing slashes."""
    pairs = (item.split(":") for item in items)
    return [(old.strip().rstrip("/"), new.strip().rstrip("/")) for old, new in pairs]


def likely_renaming(missing: Sequence[str], unused: Iterable[str]) -> str:
    """Returns `old:new` if the missing variables are saved under another first scope, or below one
    more (then a pair for each first scope, separated by commas), else "".

    Args:
      missing: names of the network that are not saved.
      unused: saved names that are not in the network.
    """
    unused = list(unused)
    if prefix := _more_scopes(missing, unused):
        roots = dict.fromkeys(name.partition("/")[0] for name in missing)
        return ",".join(f"{prefix}/{root}:{root}" for root in roots)
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


def _more_scopes(missing: Sequence[str], unused: Sequence[str]) -> str:
    """Returns the scopes below which almost all of the missing variables are saved, else ""."""
    expected = set(missing)
    counts: Counter[str] = Counter()
    for name in unused:
        parts = name.split("/")
        for depth in range(1, len(parts) - 1):
            if "/".join(parts[depth:]) in expected:
                counts["/".join(parts[:depth])] += 1
    best, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
    return best if count > 0.8 * len(missing) else ""
