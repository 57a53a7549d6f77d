"""Fine-tuning: weights from another run's checkpoint, and the scopes that say which."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

import slim
from classifier.checkpoints import mismatch
from classifier.checkpoints.names import RANGE, heads_of, in_scopes, kind_of
from classifier.checkpoints.sources import OpenedCheckpoint, RenamedSource, scope_pairs
from classifier.config.finetuning import AUTO, NONE, FinetuneOptions
from classifier.model_info import ModelInfo
from nets.nets_factory import NETWORKS
from slim import _checks, checkpoints


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """How a new run takes weights from another's checkpoint.

    Attributes:
      options: what is taken of it.
      info: the network of the new run, and its classes.
      checkpoint: the other run's.
    """

    options: FinetuneOptions
    info: ModelInfo
    checkpoint: OpenedCheckpoint

    def __call__(self, store: slim.VariableStore) -> str:
        """Restores the network's variables and returns lines that say what came of it.

        Ranges of 8 bits are learned anew, for they are those of other images.

        Raises:
          UserError: if a scope matches nothing, or the checkpoint does not fit.
        """
        model = {
            name: variable
            for name, variable in store.named_variables.items()
            if store.records[name].model and kind_of(name) != RANGE
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
        """Returns the first class that has another name in the checkpoint, in words, or nothing."""
        theirs = self.checkpoint.info
        return mismatch.class_name_mismatch(theirs.label_names if theirs else (), self.info)

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
        pairs = scope_pairs(self.options.checkpoint_scope_map)
        if not pairs:
            return self.checkpoint
        renamed = RenamedSource(self.checkpoint, pairs, "checkpoint_scope_map")
        where = f" of {self.info.model_name}"
        in_scopes(model, [new for _, new in pairs], "checkpoint_scope_map", where)
        return renamed

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
            saved = source.variables()
            raise _checks.UserError(
                mismatch.no_common_variables(report, self.info, saved, may_rename=True)
            )
        if len(report.mismatched) > len(fresh):
            raise _checks.UserError(
                mismatch.for_warm_start(report, self.info, self._named(), source.variables())
            )
        if report.missing and not self.options.ignore_missing_vars:
            raise _checks.UserError(mismatch.missing_variables(report))

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
            fresh = heads_of([each.name for each in report.mismatched], spec.heads)
            lines.append(
                f"{mismatch.head_mismatch(report, self.info, fresh)}: starts fresh "
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


def _scopes_in(names: Sequence[str]) -> str:
    return _checks.listed(dict.fromkeys(name.rpartition("/")[0] for name in names), 3)
