"""Options of fine-tuning."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option
from classifier.config.problems import Problem, named

AUTO, NONE = "auto", "none"
_OF_CHECKPOINT = ("checkpoint_exclude_scopes", "checkpoint_scope_map", "ignore_missing_vars")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneOptions(Options):
    """Fine-tuning."""

    checkpoint_path: str | None = option(
        None,
        "Checkpoint, directory of checkpoints (the newest is used) or .weights.h5 file to"
        " initialize a new run from. Default: the network is initialized from scratch.",
        path="checkpoint",
        path_unless_resuming="train_dir",
    )
    checkpoint_exclude_scopes: tuple[str, ...] = option(
        (),
        "Scopes not to restore from --checkpoint_path, separated by commas; * matches any part of a"
        " name. auto excludes heads whose number of classes differs, none excludes nothing."
        " Default: auto if such heads exist.",
    )
    checkpoint_scope_map: tuple[str, ...] = option(
        (),
        "Scopes with another name in --checkpoint_path, as CHECKPOINT:NETWORK, such as"
        " resnet_v1_50:backbone, separated by commas.",
    )
    finetune: str = option(
        "all",
        "Part of the network to train: all, or only the head; see also --trainable_scopes. auto,"
        " for small datasets: first the head, on cached features of the frozen network, then all,"
        " with options that are chosen automatically unless they are set.",
        choices=("all", "head", AUTO),
        resume="refused",
    )
    trainable_scopes: tuple[str, ...] = option(
        (),
        "Scopes to train, such as resnet_v1_50/block*, separated by commas; batch norm elsewhere is"
        " frozen (TF-Slim updated it). Default: all.",
        resume="refused",
    )
    ignore_missing_vars: bool = option(
        False, "Initialize variables that --checkpoint_path lacks from scratch."
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions and malformed scope pairs."""
        mode, checkpoint = named("finetune", self.finetune), named("checkpoint_path")
        if self.checkpoint_path is None:
            for name in _OF_CHECKPOINT:
                if getattr(self, name):
                    yield Problem("{} needs {}", named(name), checkpoint)
            if self.finetune != "all":
                yield Problem("{} needs {}: all other layers would stay random", mode, checkpoint)
        if self.finetune != "all" and self.trainable_scopes:
            yield Problem("{} and {} are mutually exclusive", mode, named("trainable_scopes"))
        if NONE in self.checkpoint_exclude_scopes and len(self.checkpoint_exclude_scopes) > 1:
            yield Problem(
                "{}: none cannot be combined with scopes", named("checkpoint_exclude_scopes")
            )
        yield from self._malformed_pairs()

    @property
    def is_automatic(self) -> bool:
        """Whether a run trains its head first, and chooses its options itself."""
        return self.finetune == AUTO

    def _malformed_pairs(self) -> Iterator[Problem]:
        option_name = named("checkpoint_scope_map")
        targets = []
        for pair in self.checkpoint_scope_map:
            old, colon, new = (part.strip().rstrip("/") for part in pair.partition(":"))
            if not (old and colon and new) or ":" in new:
                yield Problem(
                    "{}: {!r} is not CHECKPOINT:NETWORK, such as resnet_v1_50:backbone",
                    option_name,
                    pair,
                )
            if "*" in pair:
                yield Problem("{}: {!r} contains *, which is not supported here", option_name, pair)
            targets.append(new)
        for target in sorted({each for each in targets if each and targets.count(each) > 1}):
            yield Problem("{}: two scopes are mapped to {!r}", option_name, target)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchNormOptions(Options):
    """Batch norm."""

    batch_norm_decay: float | None = option(
        None,
        "Decay of batch norm's moving averages, below 1. Default: the network's.",
        check=bounds.fraction,
    )
    freeze_batch_norm: bool = option(
        False, "Use batch norm's moving averages in training, without updating them."
    )
    update_frozen_batch_norm: bool = option(
        False,
        "Use and update batch statistics in batch norm outside --trainable_scopes too, as TF-Slim"
        " does.",
    )

    sync_batch_norm: bool = option(
        False,
        "Compute batch norm's statistics over the batches of all clones and workers. Default: each"
        " clone over its own.",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        freeze, decay = named("freeze_batch_norm"), named("batch_norm_decay")
        if self.batch_norm_decay == 1:
            yield Problem(
                "{} never updates the moving averages. Use {}",
                named("batch_norm_decay", 1),
                freeze,
            )
        if self.freeze_batch_norm and self.update_frozen_batch_norm:
            yield Problem(
                "{} and {} are mutually exclusive", freeze, named("update_frozen_batch_norm")
            )
        if self.freeze_batch_norm and self.batch_norm_decay is not None:
            yield Problem("{} has no effect with {}", decay, freeze)
        if self.freeze_batch_norm and self.sync_batch_norm:
            yield Problem("{} has no effect with {}", named("sync_batch_norm"), freeze)
