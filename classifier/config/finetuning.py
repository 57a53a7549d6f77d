"""Options of fine-tuning."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option

AUTO, NONE = "auto", "none"
_OF_A_CHECKPOINT = ("checkpoint_exclude_scopes", "checkpoint_scope_map", "ignore_missing_vars")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneOptions(Options):
    """Fine-tuning."""

    checkpoint_path: str | None = option(
        None,
        "Checkpoint, folder of checkpoints or .weights.h5 file that a new run starts from.",
        path="checkpoint",
        path_unless_begun="train_dir",
    )
    checkpoint_exclude_scopes: tuple[str, ...] = option(
        (),
        "Scopes of the variables that are not taken from that checkpoint, separated by commas; * is"
        " any part of a name, and auto stands for the heads that have other classes there, and is"
        " the default when they have; none takes these too.",
    )
    checkpoint_scope_map: tuple[str, ...] = option(
        (),
        "Scopes that have another name in that checkpoint, as CHECKPOINT:NETWORK, such as"
        " resnet_v1_50:backbone, separated by commas.",
    )
    finetune: str = option(
        "all",
        "What to train of the network: all, or its head alone (see trainable_scopes).",
        choices=("all", "head"),
        resume="refused",
    )
    trainable_scopes: tuple[str, ...] = option(
        (),
        "Scopes of the variables to train, such as resnet_v1_50/block*; without it, all. Batch norm"
        " outside of them keeps to its moving averages.",
        resume="refused",
    )
    ignore_missing_vars: bool = option(
        False, "Go on when that checkpoint lacks variables; they start fresh."
    )

    def conflicts(self) -> Iterator[str]:
        """Yields what does not go together, and scope pairs that are none."""
        if self.checkpoint_path is None:
            for name in _OF_A_CHECKPOINT:
                if getattr(self, name):
                    yield f"{name} needs checkpoint_path: it says what to take from that checkpoint"
            if self.finetune == "head":
                yield "finetune=head needs checkpoint_path: all but the head would stay random"
        if self.finetune == "head" and self.trainable_scopes:
            yield "finetune=head and trainable_scopes both say what to train: give one of them"
        if NONE in self.checkpoint_exclude_scopes and len(self.checkpoint_exclude_scopes) > 1:
            yield "checkpoint_exclude_scopes: none goes with no other scope"
        yield from self._wrong_pairs()

    def _wrong_pairs(self) -> Iterator[str]:
        targets = []
        for pair in self.checkpoint_scope_map:
            old, colon, new = (part.strip().rstrip("/") for part in pair.partition(":"))
            if not (old and colon and new) or ":" in new:
                yield (
                    f"checkpoint_scope_map: {pair!r} is not CHECKPOINT:NETWORK, such as"
                    " resnet_v1_50:backbone"
                )
            if "*" in pair:
                yield f"checkpoint_scope_map: {pair!r} has a *, and a name has to be a whole one"
            targets.append(new)
        for target in sorted({each for each in targets if each and targets.count(each) > 1}):
            yield f"checkpoint_scope_map: {target!r} gets two scopes of the checkpoint"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchNormOptions(Options):
    """Batch norm."""

    batch_norm_decay: float | None = option(
        None,
        "Decay of the moving averages of batch norm, below 1; default: the network's own.",
        check=bounds.fraction,
    )
    freeze_batch_norm: bool = option(
        False, "Let batch norm use its moving averages in training, and leave them alone."
    )
    update_frozen_batch_norm: bool = option(
        False,
        "Let batch norm use and average the batches' statistics outside of trainable_scopes too, as"
        " the original does.",
    )

    def conflicts(self) -> Iterator[str]:
        """Yields what does not go together."""
        if self.batch_norm_decay == 1:
            yield "batch_norm_decay=1 never changes the moving averages: use freeze_batch_norm"
        if self.freeze_batch_norm and self.update_frozen_batch_norm:
            yield "freeze_batch_norm and update_frozen_batch_norm contradict each other"
        if self.freeze_batch_norm and self.batch_norm_decay is not None:
            yield "freeze_batch_norm leaves batch_norm_decay nothing to average"
