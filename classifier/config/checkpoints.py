"""Options of `python -m classifier.checkpoints`: one configuration per command."""

import dataclasses
from collections.abc import Iterator

from classifier.config import bounds
from classifier.config.options import Options, option, required
from classifier.config.problems import Problem, named
from slim import _checks

_CHECKPOINT = "Checkpoint, directory of checkpoints (the newest is used), or .weights.h5 file."
# Extensions of files that are neither Keras weights nor the prefix of a checkpoint.
_UNSUPPORTED = (".h5", ".keras", ".index", ".meta", ".pb")


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
        "Name of the network. Default: from model_info.json next to the checkpoint.",
        table="networks",
    )
    num_classes: int | None = option(
        None,
        "Number of the network's classes. Default: from model_info.json, else from the checkpoint's"
        " head.",
        check=_checks.positive,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig(DiffConfig):
    """Checkpoint and network."""

    output: str = required(
        "Output file: NAME.weights.h5 for Keras, or the prefix of a checkpoint, DIR/model.ckpt-0.",
        path="new_file",
    )
    use_averages: str = option(
        "auto",
        "Whether to write the moving averages of the weights in place of the weights. auto: as"
        " evaluation does, if the run kept them; both: the weights and the averages, each under its"
        " name.",
        choices=("auto", "true", "false", "both"),
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions, and what is wrong with the name of the output."""
        if self.use_averages == "both" and self.output.endswith(".weights.h5"):
            yield Problem(
                "{} needs a checkpoint as {}: Keras weights have one value per variable",
                named("use_averages", "both"),
                named("output"),
            )
        if self.output.endswith(_UNSUPPORTED) and not self.output.endswith(".weights.h5"):
            yield Problem(
                "{} must end in .weights.h5 (for Keras) or be the prefix of a checkpoint, such as"
                " DIR/model.ckpt-0",
                named("output", repr(self.output)),
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AverageConfig(Options):
    """Checkpoints."""

    checkpoint_path: tuple[str, ...] = required(
        "Run directory, whose last --last checkpoints are averaged; or two checkpoints or more,"
        " separated by commas."
    )
    last: int = option(
        5, "Maximum number of checkpoints of a run directory to average.", check=bounds.at_least_two
    )
    output: str = required(
        "Prefix of the new checkpoint, such as AVERAGED/model.ckpt-1000, in a directory other than"
        " those of the averaged ones.",
        path="new_file",
    )

    def conflicts(self) -> Iterator[Problem]:
        """Yields a number that has no effect."""
        if len(self.checkpoint_path) > 1 and self.is_changed("last"):
            yield Problem(
                "{} has no effect with several paths in {}",
                named("last"),
                named("checkpoint_path"),
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListConfig(Options):
    """Published checkpoints."""

    network: str | None = option(
        None, "Network whose checkpoints to list. Default: all.", positional=True, table="networks"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FetchConfig(Options):
    """Published checkpoint."""

    name: str = required(
        "Name of the checkpoint, such as mobilenet_v2_1.0_224, or of its archive; `list` shows"
        " them.",
        positional=True,
    )
    directory: str | None = option(
        None,
        "Directory to unpack the checkpoint in, new or used by this command before. Default: the"
        " cache, where --checkpoint_path finds the checkpoint by its name.",
        positional=True,
    )
    source_dir: str | None = option(
        None,
        "Directory with the archive, if it was downloaded by hand. Default: it is downloaded.",
        path="directory",
    )
