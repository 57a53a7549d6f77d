"""Batch norm statistics recomputed on training images, to diagnose its moving averages."""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from classifier import network
from classifier.config import problems
from classifier.inference.model import InferenceModel
from datasets import progress

# Its moving averages, by the last part of their names.
_AVERAGES = ("moving_mean", "moving_variance")


class PreciseBatchNorm:
    """Gives a model's batch norm the mean of the batches' own statistics for its moving averages.

    (Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3.) Dropout is in force, as it
    was when the weights were learned; a rounding network keeps the ranges that it learned.

    Args:
      classifier: the model.

    Raises:
      UserError: if it has no batch norm.
    """

    def __init__(self, classifier: InferenceModel) -> None:
        info = classifier.info
        variables = classifier.store.named_variables
        self._averages = {n: v for n, v in variables.items() if n.endswith(_AVERAGES)}
        if not self._averages:
            raise problems.error(
                "{} has no effect: {} has no batch norm",
                problems.named("recalibrate_batch_norm"),
                info.model_name,
            )
        self._store = classifier.store
        # With a decay of 0, the moving averages are the last batch's statistics.
        self._network = network.training_network(info, weight_decay=0.0, batch_norm_decay=0.0)
        # Some networks have parts in training alone, such as an auxiliary classifier. They get
        # variables here, which nothing reads that the model's logits depend on.
        spec = tf.TensorSpec([None, *classifier.example_shape], tf.float32)
        self._store.build(self._network, spec)
        self._step = tf.function(self._statistics, autograph=False)

    def __call__(
        self, batches: Iterable[Mapping[str, tf.Tensor]], total: int | None = None
    ) -> None:
        """Takes the means over some batches: dicts with `image`, float32 [batch, height, width,
        channels], prepared as for training; `total` is their number, for the progress bar."""
        totals = {name: np.zeros(v.shape, np.float64) for name, v in self._averages.items()}
        count = 0
        with progress.bar(total, "batch", "batch norm") as bar:
            for count, batch in enumerate(batches, start=1):
                for name, value in self._step(batch["image"], tf.constant(count)).items():
                    totals[name] += value.numpy()
                bar.update()
        for name, variable in self._averages.items():
            variable.assign(totals[name] / count)

    def _statistics(self, images: tf.Tensor, number: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the batch's own statistics, by the names of the moving averages."""
        for average in self._averages.values():
            average.assign(tf.zeros_like(average))  # from which the update is exact
        with self._store.as_default(seed=tf.stack([0, number])):
            self._network(images)
        return {name: tf.identity(average) for name, average in self._averages.items()}
