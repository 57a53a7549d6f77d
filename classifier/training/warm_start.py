"""Fine-tuning: weights from another run's checkpoint, and the scopes that say which."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

import slim
from classifier import checkpoint_networks
from classifier.checkpoint_names import RANGE, head_classes, heads_of, in_scopes, kind, scopes_of
from classifier.checkpoint_sources import Moved, likely_move, open_source, scope_pairs
from classifier.config.finetuning import AUTO, NONE, FinetuneOptions
from classifier.run_directory import ModelInfo, RunDirectory
from nets.nets_factory import NETWORKS
from slim import _checks, checkpoints


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """How a new run takes weights from another's checkpoint.

    Attributes:
      options: which checkpoint, and what of it.
      info: the network of the new run, and its classes.
    """

    options: FinetuneOptions
    info: ModelInfo

    def __call__(self, store: slim.VariableStore) -> str:
        """Restores the network's variables and returns lines that say what came of it.

        Ranges of 8 bits are learned anew, for they are those of other images.

        Raises:
          UserError: if a scope matches nothing, or the checkpoint does not fit.
        """
        model = {
            name: variable
            for name, variable in store.named_variables.items()
            if store.records[name].model and kind(name) != RANGE
        }
        excluded = set(in_scopes(model, self._named(), "checkpoint_exclude_scopes"))
        source, others = self._source(model), self._other_classes()
        heads = [name for name in model if self._is_head(name) and name not in excluded]
        renamed = heads if others and self._is_auto() else []
        report = checkpoints.compare(
            source, {name: v for name, v in model.items() if name not in {*excluded, *renamed}}
        )
        fresh = self._differing_heads(report)
        self._check(report, source, fresh)
        checkpoints.restore(source, {name: model[name] for name in report.restored})
        why = " (head: other classes)" if renamed and not excluded else ""
        lines = self._lines(report, [*fresh, *renamed, *excluded], why)
        taken = [name for name in heads if name in report.restored]
        return "\n".join([*lines, *self._of_names(others, renamed, taken)])

    def _named(self) -> list[str]:
        """Returns the scopes that the options exclude by their names."""
        return [s for s in self.options.checkpoint_exclude_scopes if s not in (AUTO, NONE)]

    def _is_auto(self) -> bool:
        scopes = self.options.checkpoint_exclude_scopes
        return not scopes or AUTO in scopes

    def _is_head(self, name: str) -> bool:
        return bool(heads_of([name], NETWORKS[self.info.model_name].heads))

    def _other_classes(self) -> str:
        """Returns the first class that has another name in the checkpoint, in words; empty if there
        is none, their number differs, or one side does not say its names."""
        info = RunDirectory.of_checkpoint(str(self.options.checkpoint_path)).read_model_info()
        theirs, ours = info.label_names if info else (), self.info.label_names
        if len(theirs) != len(ours) or theirs == ours:
            return ""
        pairs = enumerate(zip(theirs, ours, strict=True))
        place, (their, our) = next(each for each in pairs if len(set(each[1])) > 1)
        return f"class {place} is {their!r} in the checkpoint and {our!r} in {_dataset(self.info)}"

    def _of_names(self, others: str, renamed: Sequence[str], taken: Sequence[str]) -> Iterator[str]:
        """Yields what is to be told of a head of as many other classes."""
        heads = NETWORKS[self.info.model_name].heads
        if renamed:
            scopes = ", ".join(heads_of(renamed, heads))
            yield f"{others} ({scopes}): starts fresh (checkpoint_exclude_scopes={AUTO})"
        elif others and taken:
            yield (
                f"warning: {others}, and the head is taken: for a fresh one add"
                f" {','.join(heads_of(taken, heads))} or {AUTO} to checkpoint_exclude_scopes"
            )

    def _source(self, model: Mapping[str, tf.Variable]) -> checkpoints.Source:
        """Returns the checkpoint under the names of the network."""
        source = open_source(str(self.options.checkpoint_path))
        pairs = scope_pairs(self.options.checkpoint_scope_map)
        if not pairs:
            return source
        moved = Moved(source, pairs, "checkpoint_scope_map")
        whose = f" of {self.info.model_name}"
        in_scopes(model, [new for _, new in pairs], "checkpoint_scope_map", whose)
        return moved

    def _differing_heads(self, report: checkpoints.RestoreReport) -> list[str]:
        """Returns the variables that start fresh though no scope names them."""
        if not self._is_auto():
            return []
        return [each.name for each in report.mismatched if self._is_head(each.name)]

    def _check(
        self, report: checkpoints.RestoreReport, source: checkpoints.Source, fresh: Sequence[str]
    ) -> None:
        wanted = len(report.restored) + len(report.mismatched) + len(report.missing)
        if wanted and len(report.missing) == wanted:
            raise _checks.UserError(of_another_network(report, self.info, source))
        if len(report.mismatched) > len(fresh):
            raise _checks.UserError(_mismatch_text(report, self.info, self._named(), source))
        if report.missing and not self.options.ignore_missing_vars:
            raise _checks.UserError(
                f"Checkpoint {report.prefix} has {wanted - len(report.missing)} of the {wanted} "
                f"variables wanted. Missing: {_checks.listed(_with_near(report), 5)}. "
                f"Unused: {_checks.listed(report.unused, 5) or 'none'}. "
                "Add --ignore_missing_vars to go on without them, or exclude their scopes"
            )

    def _lines(
        self, report: checkpoints.RestoreReport, skipped: Sequence[str], why: str
    ) -> list[str]:
        spec = NETWORKS[self.info.model_name]
        only_heads = all(map(self._is_head, skipped))
        what = "" if not skipped else " (head)" if only_heads else f" ({_scopes_in(skipped)})"
        what = why or what
        unused = [name for name in report.unused if name not in skipped]
        counts = f"restored {len(report.restored)}, skipped {len(skipped)}{what}, "
        counts += f"missing {len(report.missing)}, unused {len(unused)}"
        lines = [f"{counts} variables of {report.prefix}"]
        if report.mismatched:
            fresh = heads_of([mismatch.name for mismatch in report.mismatched], spec.heads)
            lines.append(
                f"{head_text(report, self.info, fresh)}: starts fresh "
                f"(checkpoint_exclude_scopes={AUTO})"
            )
        return lines


def trainable_scopes(options: FinetuneOptions, model_name: str) -> Sequence[str]:
    """Returns the scopes that the options choose to train; none: the whole network."""
    if options.finetune == "head":
        return NETWORKS[model_name].heads
    return options.trainable_scopes


def variables_to_train(
    options: FinetuneOptions, model_name: str, names: Sequence[str]
) -> Sequence[str]:
    """Returns which of the trainable variables the options choose.

    Raises:
      UserError: if a scope matches none.
    """
    scopes = trainable_scopes(options, model_name)
    if options.finetune == "head":
        # A network without its auxiliary head has only the other.
        scopes = heads_of(names, scopes)
    return in_scopes(names, scopes, "trainable_scopes") if scopes else names


def _mismatch_text(
    report: checkpoints.RestoreReport,
    info: ModelInfo,
    excluded: Sequence[str],
    source: checkpoints.Source,
) -> str:
    differing = [mismatch.name for mismatch in report.mismatched]
    heads = heads_of(differing, NETWORKS[info.model_name].heads)
    others = [m for m in report.mismatched if not heads_of([m.name], heads)]
    if others:
        network = checkpoint_networks.Network(info.model_name, info.num_classes, info)
        whose = checkpoint_networks.whose(report, source.variables(), network)
        return (
            f"Checkpoint {report.prefix} does not fit: {_checks.listed(others, 4)}. "
            + (f"{whose}. " if whose else "")
            + "`python -m classifier.checkpoints diff` compares it with networks"
        )
    exact, automatic = (",".join([*excluded, *more]) for more in (heads, [AUTO]))
    return (
        f"{head_text(report, info, heads)}. Add --checkpoint_exclude_scopes={exact}, or "
        f"={automatic}"
    )


def head_text(report: checkpoints.RestoreReport, info: ModelInfo, heads: Sequence[str]) -> str:
    """Returns how many classes the head of a checkpoint has, and how many the dataset.

    Args:
      report: what the checkpoint has in another shape.
      info: the network and the dataset's classes.
      heads: the scopes of the variables that differ for that.
    """
    shapes = {mismatch.name: mismatch.saved.shape for mismatch in report.mismatched}
    offset = f" with labels_offset={info.labels_offset}" if info.labels_offset else ""
    return (
        f"Checkpoint head has {head_classes(shapes, heads)} classes, {_dataset(info)} has "
        f"{info.num_classes}{offset} ({', '.join(heads)})"
    )


def _dataset(info: ModelInfo) -> str:
    return f"dataset {info.dataset_name!r}" if info.dataset_name else "the model"


def of_another_network(
    report: checkpoints.RestoreReport, info: ModelInfo, source: checkpoints.Source | None = None
) -> str:
    """Returns what to tell of a checkpoint without a single variable of the network.

    Args:
      report: of a comparison in which every variable was missing.
      info: the network.
      source: the checkpoint, of which a new run would take its weights.
    """
    saved = (source or checkpoints.read(report.prefix)).variables()
    move = likely_move(report.missing, report.unused) if source else ""
    likely = (
        f"Add --checkpoint_scope_map={move}: that scope has variables of the same names"
        if move
        else scopes_of({name: variable.shape for name, variable in saved.items()})
    )
    return (
        f"Checkpoint {report.prefix} has none of the {len(report.missing)} variables wanted of "
        f"{info.model_name}, such as {report.missing[0]}. "
        + (likely or f"It holds: {_checks.listed(saved, 5)}")
    )


def _with_near(report: checkpoints.RestoreReport) -> list[str]:
    """Returns the missing variables; the first with the nearest name that the checkpoint has."""
    first, *rest = report.missing
    near = difflib.get_close_matches(first, report.unused, n=1, cutoff=0.8)
    return [f"{first} (it has {near[0]})" if near else first, *rest]


def _scopes_in(names: Sequence[str]) -> str:
    return _checks.listed(dict.fromkeys(name.rpartition("/")[0] for name in names), 3)
