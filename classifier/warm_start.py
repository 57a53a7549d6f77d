"""Fine-tuning: weights from another run's checkpoint, and the scopes that say which."""

import dataclasses
from collections.abc import Iterable, Sequence

import slim
from classifier.checkpoint_names import head_classes, heads_of, is_in, scopes_of
from classifier.run_directory import ModelInfo
from nets.nets_factory import NETWORKS
from slim import _checks, checkpoints


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """How a new run takes weights from another's checkpoint.

    Attributes:
      checkpoint_path: the checkpoint.
      info: the network of the new run, and its classes.
      exclude_scopes: scopes of variables that start fresh.
      ignore_missing: go on where the checkpoint lacks variables.
    """

    checkpoint_path: str
    info: ModelInfo
    exclude_scopes: Sequence[str] = ()
    ignore_missing: bool = False

    def __call__(self, store: slim.VariableStore) -> str:
        """Restores the network's variables and returns a line that says what came of it.

        Raises:
          UserError: if a scope matches nothing, or the checkpoint does not fit.
        """
        model = {n: v for n, v in store.named_variables.items() if store.records[n].model}
        excluded = in_scopes(model, self.exclude_scopes, "checkpoint_exclude_scopes")
        wanted = {name: v for name, v in model.items() if name not in excluded}
        prefix = checkpoints.find(self.checkpoint_path)
        report = checkpoints.compare(prefix, wanted)
        if wanted and len(report.missing) == len(wanted):
            raise _checks.UserError(of_another_network(report, self.info))
        if report.mismatched:
            raise _checks.UserError(_mismatch_text(report, self.info, self.exclude_scopes))
        if report.missing and not self.ignore_missing:
            raise _checks.UserError(
                f"Checkpoint {prefix} has {len(report.restored)} of the {len(wanted)} variables "
                f"wanted. Missing: {_checks.listed(report.missing, 5)}. "
                f"Unused: {_checks.listed(report.unused, 5) or 'none'}. "
                "Add --ignore_missing_vars to go on without them, or exclude their scopes"
            )
        checkpoints.restore(prefix, {name: wanted[name] for name in report.restored})
        return (
            f"restored {len(report.restored)}, skipped {len(excluded)}, "
            f"missing {len(report.missing)}, unused {len(report.unused)} variables of {prefix}"
        )


def _mismatch_text(
    report: checkpoints.RestoreReport, info: ModelInfo, excluded: Sequence[str]
) -> str:
    differing = [mismatch.name for mismatch in report.mismatched]
    heads = heads_of(differing, NETWORKS[info.model_name].heads)
    others = [m for m in report.mismatched if not heads_of([m.name], heads)]
    if others:
        return (
            f"Checkpoint {report.prefix} does not fit: {_checks.listed(others, 4)}. "
            "`python -m classifier.checkpoints diff` compares it with networks"
        )
    scopes = ",".join([*excluded, *heads])
    return f"{head_text(report, info, heads)}. Add --checkpoint_exclude_scopes={scopes}"


def head_text(report: checkpoints.RestoreReport, info: ModelInfo, heads: Sequence[str]) -> str:
    """Returns how many classes the head of a checkpoint has, and how many the dataset.

    Args:
      report: what the checkpoint has in another shape.
      info: the network and the dataset's classes.
      heads: the scopes of the variables that differ for that.
    """
    shapes = {mismatch.name: mismatch.saved.shape for mismatch in report.mismatched}
    dataset = f"dataset {info.dataset_name!r}" if info.dataset_name else "the model"
    offset = f" with labels_offset={info.labels_offset}" if info.labels_offset else ""
    return (
        f"Checkpoint head has {head_classes(shapes, heads)} classes, {dataset} has "
        f"{info.num_classes}{offset} ({', '.join(heads)})"
    )


def of_another_network(report: checkpoints.RestoreReport, info: ModelInfo) -> str:
    """Returns what to tell of a checkpoint without a single variable of the network.

    Args:
      report: of a comparison in which every variable was missing.
      info: the network.
    """
    saved = checkpoints.read(report.prefix).variables()
    likely = scopes_of({name: variable.shape for name, variable in saved.items()})
    return (
        f"Checkpoint {report.prefix} has none of the {len(report.missing)} variables wanted of "
        f"{info.model_name}, such as {report.missing[0]}. "
        + (likely or f"It holds: {_checks.listed(saved, 5)}")
    )


def in_scopes(names: Iterable[str], scopes: Sequence[str], argument: str) -> list[str]:
    """Returns the names that begin with one of the scopes.

    Args:
      names: names of variables.
      scopes: as the user typed them.
      argument: the option they came from, to be named in an error.

    Raises:
      UserError: if a scope matches no name; the message has the nearest scopes.
    """
    names = list(names)
    found: dict[str, None] = {}
    for scope in scopes:
        matching = [name for name in names if is_in(name, scope)]
        if not matching:
            known = sorted(_scopes(names))
            near = _checks.suggest(scope, known) or f". Scopes are: {_checks.listed(known, 12)}"
            raise _checks.UserError(f"{argument}: {scope!r} matches no variable{near}")
        found.update(dict.fromkeys(matching))
    return list(found)


def _scopes(names: Iterable[str]) -> set[str]:
    """Returns every scope that the variables lie in, at every depth."""
    parts = [name.split("/") for name in names]
    return {"/".join(part[:depth]) for part in parts for depth in range(1, len(part))}
