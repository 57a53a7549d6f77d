"""The options of `python -m classifier.checkpoints`: a configuration for each of its commands."""

import dataclasses
from collections.abc import Iterator

from classifier.config.options import Options, option, required
from slim import _checks

_CHECKPOINT = "Checkpoint, folder of checkpoints (its newest is taken), or .weights.h5 file."
# Endings of what is neither a file of weights nor the prefix of a checkpoint.
_NOT_WRITTEN = (".h5", ".keras", ".index", ".meta", ".pb")


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectConfig(Options):
    """Checkpoint."""

    checkpoint_path: str = required(_CHECKPOINT, path="checkpoint")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffConfig(Options):
    """Checkpoint and network."""

    checkpoint_path: str = required(_CHECKPOINT, path="checkpoint")
    model_name: str | None = option(
        None,
        "Name of the network; default: what model_info.json beside the checkpoint says.",
        table="networks",
    )
    num_classes: int | None = option(
        None,
        "Classes of the network; default: what model_info.json or the checkpoint's head says.",
        check=_checks.positive,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig(DiffConfig):
    """Checkpoint and network."""

    output: str = required(
        "File to write: NAME.weights.h5 for Keras, or a checkpoint's prefix, DIR/model.ckpt-0.",
        path="new_file",
    )

    def conflicts(self) -> Iterator[str]:
        """Yields what is wrong with the name of the output."""
        if self.output.endswith(_NOT_WRITTEN) and not self.output.endswith(".weights.h5"):
            yield (
                f"output={self.output!r} has to end in .weights.h5 (for Keras) or be the prefix of"
                " a checkpoint, such as DIR/model.ckpt-0"
            )
