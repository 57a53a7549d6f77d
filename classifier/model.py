"""The network of a run: its loss in training, its restored self for everything after."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

import slim
from classifier.run_directory import ModelInfo
from nets import nets_factory
from slim import _checks, checkpoints
from slim.moving_averages import average_name

# Weight of the auxiliary classifier's loss, as the original trains Inception and NASNet.
AUXILIARY_WEIGHT = 0.4


def training_loss(
    info: ModelInfo,
    weight_decay: float,
    label_smoothing: float,
    trainable_scopes: Sequence[str] = (),
) -> Callable[..., Any]:
    """Returns the loss of a batch.

    Args:
      info: the network and its classes.
      weight_decay: coefficient of the L2 penalty on the weights.
      label_smoothing: share of each label spread over all classes.
      trainable_scopes: if any, batch norm outside of them keeps to its moving averages.

    Returns:
      A function `(image, label, ...) -> (total loss, numbers to log)` of float32 images [batch, height,
      width, channels] and int64 labels [batch]; further parts of the batch are not looked at.
    """
    network = nets_factory.get_network_fn(
        info.model_name, info.num_classes, weight_decay, is_training=True
    )

    def frozen(name: str) -> bool:
        return bool(trainable_scopes) and not any(_is_in(name, scope) for scope in trainable_scopes)

    def loss_fn(
        image: tf.Tensor, label: tf.Tensor, **_: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        with slim.arg_scope([slim.batch_norm], frozen=frozen):
            logits, end_points = network(image)
        one_hot = slim.one_hot_encoding(label, info.num_classes)
        auxiliary = end_points.get("AuxLogits")
        if auxiliary is not None:
            slim.losses.softmax_cross_entropy(
                auxiliary, one_hot, AUXILIARY_WEIGHT, label_smoothing, scope="aux_loss"
            )
        slim.losses.softmax_cross_entropy(logits, one_hot, label_smoothing=label_smoothing)
        total = slim.losses.get_total_loss()
        correct = tf.equal(tf.argmax(logits, axis=-1), label)
        return total, {"accuracy": tf.reduce_mean(tf.cast(correct, tf.float32))}

    return loss_fn


class InferenceModel(tf.Module):
    """A network with the weights of a checkpoint.

    Attributes:
      info: the network and its classes.
      prefix: the checkpoint.
      step: the training step it was written at, or None if it does not say.
      used_averages: whether the weights are the moving averages.

    Raises:
      UserError: if there is no checkpoint, or it is not this network's.
    """

    def __init__(
        self, info: ModelInfo, checkpoint_path: str, image_size: Sequence[int] | None = None
    ) -> None:
        super().__init__(name="classifier")
        self.info = info
        self.prefix = checkpoints.find(checkpoint_path)
        self.used_averages = info.moving_average_decay is not None
        self.image_shape = (*(image_size or info.image_size), info.num_channels)
        self.store = slim.VariableStore(seed=0)
        self.network = nets_factory.get_network_fn(
            info.model_name, info.num_classes, is_training=False
        )
        self.store.build(self.network, tf.TensorSpec([None, *self.image_shape], tf.float32))
        self.step = self._restore()

    def _restore(self) -> int | None:
        variables = self.store.named_variables
        named = (
            {average_name(n): v for n, v in variables.items()} if self.used_averages else variables
        )
        checkpoints.restore(self.prefix, named)
        reader = checkpoints.read(self.prefix)
        return int(reader.get("global_step")) if "global_step" in reader else None

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies preprocessed images.

        Args:
          images: float32, [batch, height, width, channels].

        Returns:
          `logits` and `probabilities`, both float32 [batch, classes].
        """
        with self.store.as_default():
            logits, end_points = self.network(images)
        return {"logits": logits, "probabilities": end_points["Predictions"]}

    def values(self) -> dict[str, Any]:
        """Returns the weights by name, as arrays."""
        return {name: variable.numpy() for name, variable in self.store.named_variables.items()}

    def class_name(self, index: int) -> str:
        """Returns the name of a class, or its number where there are no names."""
        names = self.info.label_names
        return names[index] if names else str(index)


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
                f"checkpoint_path={prefix} has {len(report.restored)} of the {len(wanted)} variables wanted. "
                f"Missing: {_checks.listed(report.missing, 5)}. "
                "Set ignore_missing_vars to go on without them, or exclude their scopes"
            )
        checkpoints.restore(prefix, {name: wanted[name] for name in report.restored})
        return (
            f"restored {len(report.restored)}, skipped {len(excluded)}, missing {len(report.missing)}, "
            f"unused {len(report.unused)} variables of {prefix}"
        )


def _mismatch_text(report: checkpoints.RestoreReport) -> str:
    scopes = sorted({m.name.rpartition("/")[0] for m in report.mismatched})
    return (
        f"checkpoint {report.prefix} does not fit: {_checks.listed(report.mismatched, 4)}. If the classes "
        f"are others, add --checkpoint_exclude_scopes={','.join(scopes)}"
    )


def _is_in(name: str, scope: str) -> bool:
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
        matching = [name for name in names if _is_in(name, scope)]
        if not matching:
            prefixes = {
                "/".join(n.split("/")[:depth])
                for n in names
                for depth in range(1, n.count("/") + 1)
            }
            near = (
                _checks.suggest(scope, sorted(prefixes))
                or f". Scopes are: {_checks.listed(sorted(prefixes), 12)}"
            )
            raise _checks.UserError(f"{argument}: {scope!r} matches no variable{near}")
        found.update(dict.fromkeys(matching))
    return list(found)
