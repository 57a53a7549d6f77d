"""Fine-tuning: which variables are restored from another checkpoint and which are trained."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf

import slim
from classifier.checkpoints import mismatch
from classifier.checkpoints.names import RANGE, heads_of, in_scopes, kind_of
from classifier.checkpoints.sources import OpenedCheckpoint, RenamedSource, scope_pairs
from classifier.config import problems
from classifier.config.finetuning import AUTO, NONE, FinetuneOptions
from classifier.config.problems import named
from classifier.model_info import ModelInfo
from nets.nets_factory import NETWORKS
from slim import _checks, checkpoints

_EXCLUDE_HEAD = problems.as_flags(named("checkpoint_exclude_scopes", AUTO))


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """Initialization of a new run from another checkpoint.

    Attributes:
      options: scopes to exclude or rename.
      info: network and classes of the new run.
      checkpoint: the checkpoint to restore.
    """

    options: FinetuneOptions
    info: ModelInfo
    checkpoint: OpenedCheckpoint

    def __call__(self, store: slim.VariableStore) -> str:
        """Restores the network's variables and returns a summary for the log.

        Quantization ranges are not restored: they depend on the images.

        Raises:
          UserError: if a scope matches no variable, or the checkpoint does not fit.
        """
        model = {
            name: variable
            for name, variable in store.named_variables.items()
            if store.records[name].model and kind_of(name) != RANGE
        }
        excluded = set(in_scopes(model, self._excluded_scopes(), "checkpoint_exclude_scopes"))
        source, difference = self._source(model), self._class_difference()
        heads = [name for name in model if self._is_head(name) and name not in excluded]
        other_heads = heads if difference and self._is_auto() else []
        report = checkpoints.compare(
            source, {name: v for name, v in model.items() if name not in {*excluded, *other_heads}}
        )
        mismatched_heads = self._mismatched_heads(report)
        self._check(report, source, mismatched_heads)
        checkpoints.restore(source, {name: model[name] for name in report.restored})
        reason = " (head: other classes)" if other_heads and not excluded else ""
        lines = self._summary(report, [*mismatched_heads, *other_heads, *excluded], reason)
        restored_heads = [name for name in heads if name in report.restored]
        return "\n".join([*lines, *self._head_lines(difference, other_heads, restored_heads)])

    def _excluded_scopes(self) -> list[str]:
        """Returns the scopes that the options exclude by name."""
        return [s for s in self.options.checkpoint_exclude_scopes if s not in (AUTO, NONE)]

    def _is_auto(self) -> bool:
        scopes = self.options.checkpoint_exclude_scopes
        return not scopes or AUTO in scopes

    def _is_head(self, name: str) -> bool:
        return bool(heads_of([name], NETWORKS[self.info.model_name].heads))

    def _class_difference(self) -> str:
        """Returns a clause about the first class that has another name in the checkpoint, or ""."""
        saved = self.checkpoint.info
        return mismatch.class_name_mismatch(saved.label_names if saved else (), self.info)

    def _head_lines(
        self, difference: str, other_heads: Sequence[str], restored_heads: Sequence[str]
    ) -> Iterator[str]:
        """Yields a log line if the checkpoint's head is for as many, but other, classes."""
        heads = NETWORKS[self.info.model_name].heads
        if other_heads:
            scopes = ", ".join(heads_of(other_heads, heads))
            yield f"{difference} ({scopes}): initialized from scratch ({_EXCLUDE_HEAD})"
        elif difference and restored_heads:
            yield (
                f"warning: {difference}, and the head was restored. To initialize it from scratch,"
                f" add {','.join(heads_of(restored_heads, heads))} or {AUTO} to"
                f" {problems.as_flags(named('checkpoint_exclude_scopes'))}"
            )

    def _source(self, model: Mapping[str, tf.Variable]) -> checkpoints.Source:
        """Returns the checkpoint with its scopes renamed to those of the network."""
        pairs = scope_pairs(self.options.checkpoint_scope_map)
        if not pairs:
            return self.checkpoint
        renamed = RenamedSource(self.checkpoint, pairs, "checkpoint_scope_map")
        network = f" of {self.info.model_name}"
        in_scopes(model, [new for _, new in pairs], "checkpoint_scope_map", network)
        return renamed

    def _mismatched_heads(self, report: checkpoints.RestoreReport) -> list[str]:
        """Returns the head's variables that are skipped because their shapes differ."""
        if not self._is_auto():
            return []
        return [each.name for each in report.mismatched if self._is_head(each.name)]

    def _check(
        self,
        report: checkpoints.RestoreReport,
        source: checkpoints.Source,
        mismatched_heads: Sequence[str],
    ) -> None:
        if report.missing and not (report.restored or report.mismatched):
            saved = source.variables()
            raise problems.OptionError(
                mismatch.no_common_variables(report, self.info, saved, may_rename=True)
            )
        if len(report.mismatched) > len(mismatched_heads):
            excluded, saved = self._excluded_scopes(), source.variables()
            raise problems.OptionError(mismatch.for_warm_start(report, self.info, excluded, saved))
        if report.missing and not self.options.ignore_missing_vars:
            raise problems.OptionError(mismatch.missing_variables(report))

    def _summary(
        self, report: checkpoints.RestoreReport, skipped: Sequence[str], reason: str
    ) -> list[str]:
        if skipped and not reason:
            only_heads = all(map(self._is_head, skipped))
            reason = " (head)" if only_heads else f" ({_scopes_in(skipped)})"
        unused = [name for name in report.unused if name not in skipped]
        counts = f"restored {len(report.restored)}, skipped {len(skipped)}{reason}, "
        counts += f"missing {len(report.missing)}, unused {len(unused)}"
        lines = [f"{counts} variables of {report.prefix}"]
        if report.mismatched:
            heads = NETWORKS[self.info.model_name].heads
            mismatched = heads_of([each.name for each in report.mismatched], heads)
            difference = problems.as_flags(mismatch.head_mismatch(report, self.info, mismatched))
            lines.append(f"{difference}: initialized from scratch ({_EXCLUDE_HEAD})")
        return lines


def trainable_scopes(options: FinetuneOptions, model_name: str) -> Sequence[str]:
    """Returns the scopes that the options select for training. Empty: the whole network."""
    if options.finetune == "head":
        return NETWORKS[model_name].heads
    return options.trainable_scopes


def variables_to_train(
    options: FinetuneOptions, model_name: str, names: Sequence[str]
) -> Sequence[str]:
    """Returns those of the trainable variables that the options select.

    Raises:
      UserError: if a scope matches no variable.
    """
    scopes = trainable_scopes(options, model_name)
    if options.finetune == "head":
        # The auxiliary head may not exist.
        scopes = heads_of(names, scopes)
    return in_scopes(names, scopes, "trainable_scopes") if scopes else names


def _scopes_in(names: Sequence[str]) -> str:
    return _checks.listed(dict.fromkeys(name.rpartition("/")[0] for name in names), 3)
