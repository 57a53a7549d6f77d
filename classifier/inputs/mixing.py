"""Mixup and CutMix: each image of a batch and its label are mixed with another's."""

import dataclasses

import tensorflow as tf

from classifier.inputs import shuffling

Example = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixing:
    """How batches are mixed.

    The partner of an example is the one at the mirrored position in its clone's part of the batch.
    The weight of the example itself and the rectangle of CutMix are drawn once per batch, from
    (seed, k).

    Attributes:
      seed: of the run.
      clones: number of equal parts of the batch, each mixed separately.
      mixup_alpha: of Beta(alpha, alpha), from which the weight is drawn (Zhang et al., "mixup:
        Beyond Empirical Risk Minimization"); 0 disables.
      cutmix_alpha: the same for CutMix (Yun et al., 2019); with both, each is applied to half of
        the batches.
    """

    seed: int
    clones: int = 1
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0

    def __call__(self, number: tf.Tensor, batch: Example) -> Example:
        """Mixes a batch.

        Args:
          number: index of the batch in the run.
          batch: with `image` (float32 `[batch, height, width, channels]`) and `label` (int64
            `[batch]` or `[batch, classes]`).

        Returns:
          the batch with mixed images, the partner's label `mixed_label` (like `label`) and the
          weight of `label`, `mix` (float32 `[batch]`).
        """
        stream = shuffling.fold(shuffling.seed_pair(self.seed), shuffling.MIXING_STREAM)
        kind_seed, weight_seed, place_seed = tf.unstack(
            tf.random.split(shuffling.fold(stream, number), 3)
        )
        image, partner = batch["image"], self._partners(batch["image"])
        branches = [
            lambda: _mixup(image, partner, _beta(self.mixup_alpha, weight_seed)),
            lambda: _cutmix(image, partner, _beta(self.cutmix_alpha, weight_seed), place_seed),
        ]
        if self.mixup_alpha and self.cutmix_alpha:
            kind = tf.random.stateless_uniform([], kind_seed, 0, 2, tf.int32)
            mixed, weight = tf.switch_case(kind, branches)
        else:
            mixed, weight = branches[0 if self.mixup_alpha else 1]()
        return batch | {
            "image": tf.ensure_shape(mixed, image.shape),
            "mixed_label": self._partners(batch["label"]),
            "mix": tf.fill(tf.shape(batch["label"])[:1], weight),
        }

    def _partners(self, values: tf.Tensor) -> tf.Tensor:
        parts = tf.reshape(values, tf.concat([[self.clones, -1], tf.shape(values)[1:]], 0))
        return tf.ensure_shape(tf.reshape(parts[:, ::-1], tf.shape(values)), values.shape)


def _beta(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws a scalar from Beta(alpha, alpha)."""
    # In float64, since the gamma of a small alpha underflows.
    first, second = tf.unstack(tf.random.stateless_gamma([2], seed, alpha or 1.0, dtype=tf.float64))
    return tf.cast(tf.math.divide_no_nan(first, first + second), tf.float32)


def _mixup(image: tf.Tensor, partner: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return weight * image + (1.0 - weight) * partner, weight


def _cutmix(
    image: tf.Tensor, partner: tf.Tensor, weight: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replaces a rectangle by the partner's; the weight is the remaining fraction of the area."""
    sides = tf.cast(tf.shape(image)[1:3], tf.float32)
    middle = tf.random.stateless_uniform([2], seed) * sides
    half = sides * tf.sqrt(1.0 - weight) / 2.0
    begin, end = tf.round(middle - half), tf.round(middle + half)
    inside = [
        (begin[axis] <= places) & (places < end[axis])
        for axis, places in enumerate(map(tf.range, tf.unstack(sides)))
    ]
    mask = (inside[0][:, tf.newaxis] & inside[1])[..., tf.newaxis]
    remaining = 1.0 - tf.reduce_mean(tf.cast(mask, tf.float32))
    return tf.where(mask, partner, image), remaining
