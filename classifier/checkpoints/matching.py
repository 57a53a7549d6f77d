"""Checkpoints compared with networks: what matches, whose they look like, which flags to add."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

import slim
from classifier.checkpoints.names import head_classes, heads_of, networks_with, scopes_of
from classifier.checkpoints.sources import OpenedCheckpoint
from classifier.config import problems
from classifier.config.checkpoints import DiffConfig
from classifier.model_info import ModelInfo
from nets import nets_factory
from slim.checkpoints import Mismatch, RestoreReport, SavedVariable, Source

Variables = Mapping[str, SavedVariable]

# A checkpoint with a smaller share of a network's variables is likely another network's.
ALIKE = 0.8
_FRAMES = 16


class Network:
    """A network of so many classes.

    Attributes:
      name: in `nets_factory.NETWORKS`.
      num_classes: length of the logits.
      spec: its row of that table.
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
        """Returns the network that the options, model_info.json or the checkpoint's head say.

        Args:
          config: the options.
          checkpoint: the checkpoint.

        Raises:
          UserError: if neither the options nor model_info.json name the network.
        """
        info, saved = checkpoint.info, checkpoint.variables()
        name = config.model_name or (info.model_name if info else None)
        if name is None:
            likely = scopes_of(_shapes(saved))
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
        """Returns a network with as many classes as the checkpoint's head has."""
        return cls(name, _classes_in(saved, name))

    def variables(self, is_training: bool = False) -> dict[str, SavedVariable]:
        """Returns shape and type of the network's variables, in the order of creation.

        Args:
          is_training: whether to add the heads that only training has.
        """
        network = nets_factory.get_network_fn(self.name, self.num_classes, is_training=is_training)
        store = slim.VariableStore(seed=0)
        # In a graph the variables cost no memory.
        with tf.Graph().as_default(), store.as_default():
            network(tf.zeros([2, *self._image_shape]))
        return {
            name: SavedVariable(tuple(variable.shape), variable.dtype.base_dtype)
            for name, variable in store.named_variables.items()
            if store.records[name].model
        }


def compare(source: Source, wanted: Variables) -> RestoreReport:
    """Returns which of the variables wanted a checkpoint has, and in which shape.

    Args:
      source: the checkpoint.
      wanted: name -> shape and type.
    """
    saved = source.variables()
    present = [name for name in wanted if name in saved]
    differing = [name for name in present if saved[name].shape != wanted[name].shape]
    return RestoreReport(
        prefix=source.prefix,
        restored=tuple(name for name in present if name not in differing),
        missing=tuple(name for name in wanted if name not in saved),
        mismatched=tuple(Mismatch(name, saved[name], wanted[name]) for name in differing),
        unused=tuple(name for name in saved if name not in wanted),
    )


def guess_network(report: RestoreReport, saved: Variables, network: Network) -> str:
    """Returns a sentence on whose a checkpoint is, if it hardly is the network's; else nothing.

    Args:
      report: what the checkpoint has and lacks for the network.
      saved: its variables.
      network: the network.
    """
    wanted = len(report.restored) + len(report.mismatched) + len(report.missing)
    if len(report.restored) > ALIKE * wanted:
        return ""
    candidates = networks_with(_shapes(saved))
    best, matching, total = "", 0, 0
    for name in candidates:
        if name == network.name:
            continue
        theirs = Network.in_checkpoint(name, saved).variables()
        same = sum(n in saved and saved[n].shape == wants.shape for n, wants in theirs.items())
        if same > ALIKE * len(theirs) and same > matching:
            best, matching, total = name, same, len(theirs)
    if best:
        return f"This checkpoint looks like {best} ({matching} of {total} variables match)"
    if network.name not in candidates:
        return scopes_of(_shapes(saved))
    if len(report.mismatched) > wanted / 2:
        return f"Most shapes differ: it is likely of another width of {network.name}"
    return ""


def advice(report: RestoreReport, heads: Sequence[str]) -> str:
    """Returns which flags let training start from a checkpoint.

    Args:
      report: what it has and lacks.
      heads: the scopes of the network's variables that depend on the number of classes.
    """
    differing = [mismatch.name for mismatch in report.mismatched]
    scopes = heads_of([*differing, *report.missing], heads)
    left = [n for n in differing if not heads_of([n], heads)]
    scopes += sorted({name.rpartition("/")[0] for name in left})
    flags = [f"--checkpoint_exclude_scopes={','.join(scopes)}"] if scopes else []
    covered = [n for n in report.missing if heads_of([n], scopes)]
    if len(covered) < len(report.missing):
        flags.append("--ignore_missing_vars")
    if not flags:
        return "It fits: no flag is needed"
    return f"To train from it, add {' '.join(flags)}"


def _classes_in(saved: Variables, name: str) -> int:
    spec = nets_factory.NETWORKS[name]
    return head_classes(_shapes(saved), spec.heads) or spec.classes


def _shapes(saved: Variables) -> dict[str, tuple[int, ...]]:
    return {name: variable.shape for name, variable in saved.items()}
