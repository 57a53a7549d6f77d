"""Distortions for any preprocessing: AutoAugment, RandAugment, random erasing.

These are functions of a seed. Keras has layers for the last two, but they draw from a generator
that counts its calls, so that an image would depend on the order of the threads.
"""

import dataclasses
import functools
import math

import tensorflow as tf

from preprocessing import policies
from preprocessing.operations import OPERATIONS
from slim import _checks

MAX_MAGNITUDE = 10.0
ERASED_AREA = (0.02, 1.0 / 3.0)
ERASED_ASPECT = (0.3, 1.0 / 0.3)
# Folded into the seed, which is also used by the preprocessing.
_STREAM = 0x61756731
# RandAugment does not invert (Cubuk et al., "RandAugment", section 3).
_RANDOM = tuple(name for name in OPERATIONS if name != "invert")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Distorts an image: `augmentation(image, seed)`.

    Attributes:
      auto_augment: a name of `policies.POLICIES`; one of its pairs of operations is applied to each
        image.
      rand_augment: magnitude, 0 to 10, of operations drawn for each image (Cubuk et al.,
        "RandAugment").
      layers: number of operations of `rand_augment`.
      random_erasing: fraction of the images in which a rectangle is filled with noise (Zhong et
        al., "Random Erasing Data Augmentation").

    Raises:
      UserError: if a number is out of range or the policy is not known.
    """

    auto_augment: str | None = None
    rand_augment: float | None = None
    layers: int = 2
    random_erasing: float = 0.0

    def __post_init__(self) -> None:
        if self.auto_augment is not None:
            _checks.one_of("auto_augment", self.auto_augment, policies.POLICIES)
        _checks.positive(layers=self.layers)
        _checks.in_range(0, 1, random_erasing=self.random_erasing)
        if self.rand_augment is not None:
            _checks.in_range(0, MAX_MAGNITUDE, rand_augment=self.rand_augment)

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Distorts one image.

        Args:
          image: float32 `[height, width, channels]`, values 0 to 255.
          seed: int32 `[2]`; the result is a function of the image and the seed.

        Returns:
          An image of the same shape and range.
        """
        fold = tf.random.experimental.stateless_fold_in
        policy, layers, erasing = (fold(fold(seed, _STREAM), part) for part in range(3))
        image = tf.clip_by_value(image, 0.0, 255.0)
        if self.auto_augment is not None:
            image = auto_augment(image, policy, self.auto_augment)
        if self.rand_augment is not None:
            image = rand_augment(image, layers, self.rand_augment, self.layers)
        if self.random_erasing:
            image = erase(image, erasing, self.random_erasing)
        return image


def auto_augment(image: tf.Tensor, seed: tf.Tensor, policy: str) -> tf.Tensor:
    """Applies one of a policy's pairs of operations, each with its probability."""
    pairs = policies.POLICIES[policy]
    names = list(OPERATIONS)
    numbers = tf.constant([[names.index(name) for name, _, _ in pair] for pair in pairs])
    probabilities = tf.constant([[probability for _, probability, _ in pair] for pair in pairs])
    levels = tf.constant([[float(level) for _, _, level in pair] for pair in pairs])
    drawn = tf.random.stateless_uniform([5], seed)
    pair = tf.cast(drawn[0] * len(pairs), tf.int32)
    for place in range(2):
        strength = levels[pair, place] / policies.HIGHEST_LEVEL * _sign(drawn[3 + place])
        is_applied = drawn[1 + place] < probabilities[pair, place]
        number = tf.where(is_applied, numbers[pair, place], names.index("identity"))
        image = _apply(tuple(OPERATIONS), number, image, strength)
    return image


def rand_augment(image: tf.Tensor, seed: tf.Tensor, magnitude: float, layers: int) -> tf.Tensor:
    """Applies `layers` random operations of one magnitude, 0 to 10."""
    for drawn in tf.unstack(tf.random.stateless_uniform([layers, 2], seed)):
        number = tf.cast(drawn[0] * len(_RANDOM), tf.int32)
        strength = magnitude / MAX_MAGNITUDE * _sign(drawn[1])
        image = _apply(_RANDOM, number, image, strength)
    return image


def erase(image: tf.Tensor, seed: tf.Tensor, probability: float) -> tf.Tensor:
    """Fills a random rectangle with noise: 2 to 33 % of the area, aspect ratio 0.3 to 3.3."""
    draw_seed, noise_seed = tf.unstack(tf.random.split(seed))
    chance, area, aspect, top, left = tf.unstack(tf.random.stateless_uniform([5], draw_seed))
    height, width = (tf.cast(side, tf.float32) for side in tf.unstack(tf.shape(image)[:2]))
    area = (ERASED_AREA[0] + area * (ERASED_AREA[1] - ERASED_AREA[0])) * height * width
    low, high = (math.log(each) for each in ERASED_ASPECT)
    aspect = tf.exp(low + aspect * (high - low))
    tall = tf.minimum(tf.round(tf.sqrt(area * aspect)), height)
    wide = tf.minimum(tf.round(tf.sqrt(area / aspect)), width)
    top = tf.floor(top * (height - tall + 1.0))
    left = tf.floor(left * (width - wide + 1.0))
    rows, columns = tf.range(height), tf.range(width)
    inside = ((rows >= top) & (rows < top + tall))[:, tf.newaxis] & (
        (columns >= left) & (columns < left + wide)
    )
    noise = tf.random.stateless_uniform(tf.shape(image), noise_seed, 0.0, 255.0)
    return tf.where((inside & (chance < probability))[..., tf.newaxis], noise, image)


def _sign(drawn: tf.Tensor) -> tf.Tensor:
    return tf.where(drawn < 0.5, -1.0, 1.0)


def _apply(
    names: tuple[str, ...], number: tf.Tensor, image: tf.Tensor, strength: tf.Tensor
) -> tf.Tensor:
    return tf.switch_case(
        number, [functools.partial(OPERATIONS[name], image, strength) for name in names]
    )
