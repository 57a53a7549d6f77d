"""Mixup and CutMix: each image of a batch and its label become a mixture with another's."""

import dataclasses

import tensorflow as tf

from classifier.inputs import shuffling

Example = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixing:
    """How batches are mixed.

    The partner of an example is the one opposite in its clone's part of the batch. The share that
    an example keeps, and the rectangle of CutMix, are drawn once a batch, from (seed, k) alone.

    Attributes:
      seed: of the run.
      clones: equal parts of the batch that are each mixed within themselves.
      mixup_alpha: of Beta(alpha, alpha), from which the share is drawn (Zhang et al., "mixup:
        Beyond Empirical Risk Minimization"); 0 for none.
      cutmix_alpha: likewise (Yun et al., "CutMix"); with both, each has half of the batches.
    """

    seed: int
    clones: int = 1
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0

    def __call__(self, number: tf.Tensor, batch: Example) -> Example:
        """Mixes a batch.

        Args:
          number: of the batch in the run.
          batch: with `image` (float32 `[batch, height, width, channels]`) and `label` (int64
            `[batch]`).

        Returns:
          the batch with its images mixed, and beside `label` the partner's, `mixed_label` (int64
          `[batch]`), and the own label's share, `mix` (float32 `[batch]`).
        """
        stream = shuffling.fold(shuffling.seed_pair(self.seed), shuffling.MIXING_STREAM)
        kind_seed, share_seed, place_seed = tf.unstack(
            tf.random.split(shuffling.fold(stream, number), 3)
        )
        image, partner = batch["image"], self._partners(batch["image"])
        branches = [
            lambda: _mixup(image, partner, _beta(self.mixup_alpha, share_seed)),
            lambda: _cutmix(image, partner, _beta(self.cutmix_alpha, share_seed), place_seed),
        ]
        if self.mixup_alpha and self.cutmix_alpha:
            kind = tf.random.stateless_uniform([], kind_seed, 0, 2, tf.int32)
            mixed, share = tf.switch_case(kind, branches)
        else:
            mixed, share = branches[0 if self.mixup_alpha else 1]()
        return batch | {
            "image": tf.ensure_shape(mixed, image.shape),
            "mixed_label": self._partners(batch["label"]),
            "mix": tf.fill(tf.shape(batch["label"]), share),
        }

    def _partners(self, values: tf.Tensor) -> tf.Tensor:
        parts = tf.reshape(values, tf.concat([[self.clones, -1], tf.shape(values)[1:]], 0))
        return tf.ensure_shape(tf.reshape(parts[:, ::-1], tf.shape(values)), values.shape)


def _beta(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws a scalar from Beta(alpha, alpha)."""
    # In float64, for the gamma of a small alpha underflows.
    first, second = tf.unstack(tf.random.stateless_gamma([2], seed, alpha or 1.0, dtype=tf.float64))
    return tf.cast(tf.math.divide_no_nan(first, first + second), tf.float32)


def _mixup(image: tf.Tensor, partner: tf.Tensor, share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return share * image + (1.0 - share) * partner, share


def _cutmix(
    image: tf.Tensor, partner: tf.Tensor, share: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Puts a rectangle of the partner into the image; the share is what is left of its area."""
    sides = tf.cast(tf.shape(image)[1:3], tf.float32)
    middle = tf.random.stateless_uniform([2], seed) * sides
    half = sides * tf.sqrt(1.0 - share) / 2.0
    begin, end = tf.round(middle - half), tf.round(middle + half)
    inside = [
        (begin[axis] <= places) & (places < end[axis])
        for axis, places in enumerate(map(tf.range, tf.unstack(sides)))
    ]
    mask = (inside[0][:, tf.newaxis] & inside[1])[..., tf.newaxis]
    left = 1.0 - tf.reduce_mean(tf.cast(mask, tf.float32))
    return tf.where(mask, partner, image), left
