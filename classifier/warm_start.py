"""Fine-tuning: weights from another run's checkpoint, and the scopes that say which."""

import dataclasses
from collections.abc import Iterable, Sequence

import slim
from slim import _checks, checkpoints


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """How a new run takes weights from another's checkpoint.

    Attributes:
      checkpoint_path: the checkpoint.
      exclude_scopes: scopes of variables that start fresh.
      ignore_missing: go on where the checkpoint lacks variables.
    """

    checkpoint_path: str
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
        if report.mismatched:
            raise _checks.UserError(_mismatch_text(report))
        if report.missing and not self.ignore_missing:
            raise _checks.UserError(
                f"checkpoint_path={prefix} has {len(report.restored)} of the {len(wanted)} "
                f"variables wanted. Missing: {_checks.listed(report.missing, 5)}. "
                "Set ignore_missing_vars to go on without them, or exclude their scopes"
            )
        checkpoints.restore(prefix, {name: wanted[name] for name in report.restored})
        return (
            f"restored {len(report.restored)}, skipped {len(excluded)}, "
            f"missing {len(report.missing)}, unused {len(report.unused)} variables of {prefix}"
        )


def _mismatch_text(report: checkpoints.RestoreReport) -> str:
    scopes = sorted({m.name.rpartition("/")[0] for m in report.mismatched})
    return (
        f"checkpoint {report.prefix} does not fit: {_checks.listed(report.mismatched, 4)}. "
        f"If the classes are others, set checkpoint_exclude_scopes={','.join(scopes)}"
    )


def is_in(name: str, scope: str) -> bool:
    """Returns whether the variable or scope `name` is `scope` or lies below it."""
    return f"{name}/".startswith(f"{scope.rstrip('/')}/")


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
