"""Compares checkpoints with networks: matching variables, likely networks, flags to add."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from classifier.checkpoints.names import describe_scopes, head_classes, heads_of, networks_with
from classifier.checkpoints.sources import OpenedCheckpoint
from classifier.config import problems
from classifier.config.checkpoints import DiffConfig
from classifier.config.problems import Problem, as_flags, named
from classifier.model_info import ModelInfo
from nets import nets_factory
from slim.checkpoints import Mismatch, RestoreReport, SavedVariable, Source
from slim.store import ShapeStore

Variables = Mapping[str, SavedVariable]

# A checkpoint with a smaller fraction of a network's variables is likely of another network.
MIN_MATCHING = 0.8
_FRAMES = 16


class Network:
    """A network with a number of classes.

    Attributes:
      name: key in `nets_factory.NETWORKS`.
      num_classes: length of the logits.
      spec: its row in that table.
    """

    def __init__(self, name: str, num_classes: int, info: ModelInfo | None = None) -> None:
        self.name = name
        self.num_classes = num_classes
        self.spec = nets_factory.NETWORKS[name]
        size = info.image_size if info else (self.spec.image_size, self.spec.image_size)
        frames = [_FRAMES] if self.spec.input_rank == 5 else []
        self._image_shape = [*frames, *size, info.num_channels if info else self.spec.channels]

    @classmethod
    def of(cls, config: DiffConfig, checkpoint: OpenedCheckpoint) -> "Network":
        """Returns the network set by the options, model_info.json, or the checkpoint's head.

        Args:
          config: command options.
          checkpoint: checkpoint to compare with.

        Raises:
          UserError: if neither the options nor model_info.json specify the network.
        """
        info, saved = checkpoint.info, checkpoint.variables()
        name = config.model_name or (info.model_name if info else None)
        if name is None:
            likely = describe_scopes(_shapes(saved))
            raise problems.error(
                "{} is required: there is no model_info.json next to the checkpoint{}",
                problems.named("model_name"),
                f". {likely}" if likely else "",
            )
        own = info if info and info.model_name == name else None
        num_classes = config.num_classes or (own.num_classes if own else None)
        return cls(name, num_classes or _classes_in(saved, name), own)

    @classmethod
    def in_checkpoint(cls, name: str, saved: Variables) -> "Network":
        """Returns a network with the number of classes in the checkpoint's head."""
        return cls(name, _classes_in(saved, name))

    def variables(self, is_training: bool = False) -> dict[str, SavedVariable]:
        """Returns shape and dtype of the network's variables, in order of creation.

        Args:
          is_training: whether to include training-only heads.
        """
        network = nets_factory.get_network_fn(self.name, self.num_classes, is_training=is_training)
        store = ShapeStore(seed=0)
        # Variables of a graph use no memory.
        with tf.Graph().as_default(), store.as_default():
            network(tf.zeros([2, *self._image_shape]))
        return {
            name: SavedVariable(tuple(variable.shape), variable.dtype.base_dtype)
            for name, variable in store.named_variables.items()
            if store.records[name].model
        }


def compare(source: Source, expected: Variables) -> RestoreReport:
    """Compares the variables of a checkpoint with those of a network.

    Args:
      source: checkpoint.
      expected: name -> shape and dtype of the network's variables.
    """
    saved = source.variables()
    present = [name for name in expected if name in saved]
    differing = [name for name in present if saved[name].shape != expected[name].shape]
    return RestoreReport(
        prefix=source.prefix,
        restored=tuple(name for name in present if name not in differing),
        missing=tuple(name for name in expected if name not in saved),
        mismatched=tuple(Mismatch(name, saved[name], expected[name]) for name in differing),
        unused=tuple(name for name in saved if name not in expected),
    )


def guess_network(report: RestoreReport, saved: Variables, network: Network) -> str:
    """Returns a sentence on the likely network of a checkpoint; empty if it mostly matches.

    Args:
      report: comparison of the checkpoint with `network`.
      saved: variables of the checkpoint.
      network: expected network.
    """
    total = num_expected(report)
    if len(report.restored) > MIN_MATCHING * total:
        return ""
    candidates = networks_with(_shapes(saved))
    best, best_matching, best_total = "", 0, 0
    for name in candidates:
        if name == network.name:
            continue
        expected = Network.in_checkpoint(name, saved).variables()
        matching = sum(n in saved and saved[n].shape == var.shape for n, var in expected.items())
        if matching > MIN_MATCHING * len(expected) and matching > best_matching:
            best, best_matching, best_total = name, matching, len(expected)
    if best:
        return (
            f"This checkpoint looks like {best} ({best_matching} of {best_total} variables match)"
        )
    if network.name not in candidates:
        return describe_scopes(_shapes(saved))
    if len(report.mismatched) > total / 2:
        return f"Most shapes differ: likely {network.name} with another width"
    return ""


def advice(report: RestoreReport, heads: Sequence[str]) -> str:
    """Returns the flags that allow training to start from a checkpoint, as a sentence.

    Args:
      report: comparison of the checkpoint with the network.
      heads: scopes of the network's variables that depend on the number of classes.
    """
    differing = [mismatch.name for mismatch in report.mismatched]
    scopes = heads_of([*differing, *report.missing], heads)
    others = [name for name in differing if not heads_of([name], heads)]
    scopes += sorted({name.rpartition("/")[0] for name in others})
    flags = [named("checkpoint_exclude_scopes", scopes)] if scopes else []
    covered = [n for n in report.missing if heads_of([n], scopes)]
    if len(covered) < len(report.missing):
        flags.append(named("ignore_missing_vars"))
    if not flags:
        return "All variables match: no flags needed"
    return as_flags(Problem("To train from it, add " + " ".join("{}" for _ in flags), *flags))


def num_expected(report: RestoreReport) -> int:
    """Returns the number of variables that the network of a comparison has."""
    return len(report.restored) + len(report.mismatched) + len(report.missing)


def _classes_in(saved: Variables, name: str) -> int:
    spec = nets_factory.NETWORKS[name]
    return head_classes(_shapes(saved), spec.heads) or spec.classes


def _shapes(saved: Variables) -> dict[str, tuple[int, ...]]:
    return {name: variable.shape for name, variable in saved.items()}
