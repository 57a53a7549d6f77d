"""Initial values of variables.

An initializer is a function of (shape, dtype). Those here are seeded by the variable's name and its
store's seed, so a network's initial weights do not depend on the order in which its variables are
created. Keras initializers work too, with their own seed.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

Initializer = Callable[..., tf.Tensor]


class _Seed(threading.local):
    def __init__(self) -> None:
        self.pair: tuple[int, int] | None = None


_seed = _Seed()


@contextlib.contextmanager
def variable_seed(pair: tuple[int, int]) -> Iterator[None]:
    """Seeds the initializers called inside (the variable store does, for each variable)."""
    outer, _seed.pair = _seed.pair, pair
    try:
        yield
    finally:
        _seed.pair = outer


def _current_seed(seed: int | None) -> tf.Tensor | tuple[int, int]:
    if seed is not None:
        return (seed, 0)
    if _seed.pair is not None:
        return _seed.pair
    return tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)


def truncated_normal_initializer(
    mean: float = 0.0, stddev: float = 1.0, seed: int | None = None
) -> Initializer:
    """Returns an initializer from a normal distribution, redrawn outside two standard
    deviations."""

    def initializer(shape: Sequence[int], dtype: tf.DType = tf.float32) -> tf.Tensor:
        return tf.random.stateless_truncated_normal(
            shape, _current_seed(seed), mean=mean, stddev=stddev, dtype=dtype, alg="philox"
        )

    return initializer


def random_normal_initializer(
    mean: float = 0.0, stddev: float = 1.0, seed: int | None = None
) -> Initializer:
    """Returns an initializer from a normal distribution."""

    def initializer(shape: Sequence[int], dtype: tf.DType = tf.float32) -> tf.Tensor:
        return tf.random.stateless_normal(
            shape, _current_seed(seed), mean=mean, stddev=stddev, dtype=dtype, alg="philox"
        )

    return initializer


def random_uniform_initializer(
    minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
) -> Initializer:
    """Returns an initializer from the uniform distribution over [minval, maxval)."""

    def initializer(shape: Sequence[int], dtype: tf.DType = tf.float32) -> tf.Tensor:
        return tf.random.stateless_uniform(
            shape, _current_seed(seed), minval=minval, maxval=maxval, dtype=dtype, alg="philox"
        )

    return initializer


def constant_initializer(value: float = 0.0) -> Initializer:
    """Returns an initializer that fills with `value`."""
    return lambda shape, dtype=tf.float32: tf.fill(shape, tf.cast(value, dtype))


def zeros_initializer() -> Initializer:
    """Returns an initializer that fills with zeros."""
    return lambda shape, dtype=tf.float32: tf.zeros(shape, dtype)


def ones_initializer() -> Initializer:
    """Returns an initializer that fills with ones."""
    return lambda shape, dtype=tf.float32: tf.ones(shape, dtype)


def variance_scaling_initializer(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: int | None = None
) -> Initializer:
    """Returns an initializer of variance `factor / n`, which preserves the scale of activations.

    `factor=2.0, mode="FAN_IN"` is He et al., https://arxiv.org/abs/1502.01852; `factor=1.0,
    mode="FAN_AVG", uniform=True` is Glorot and Bengio, 2010.

    Args:
      factor: the numerator.
      mode: what n counts: "FAN_IN" (inputs of a unit), "FAN_OUT" (outputs) or "FAN_AVG" (their
        mean).
      uniform: uniform, or else truncated normal (with the variance corrected for the truncation).
      seed: replaces the variable's seed.

    Raises:
      ValueError: if `mode` is not one of the three.
    """
    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise ValueError(f"mode={mode!r} is not known. Known: FAN_IN, FAN_OUT, FAN_AVG")

    def initializer(shape: Sequence[int], dtype: tf.DType = tf.float32) -> tf.Tensor:
        fan_in, fan_out = _fans(shape)
        n = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "FAN_AVG": (fan_in + fan_out) / 2}[mode]
        if uniform:
            limit = math.sqrt(3.0 * factor / n)
            return random_uniform_initializer(-limit, limit, seed)(shape, dtype)
        # TF-Slim rounds 1 / 0.87962566**2, which makes up for the truncation, to 1.3.
        return truncated_normal_initializer(0.0, math.sqrt(1.3 * factor / n), seed)(shape, dtype)

    return initializer


def xavier_initializer(uniform: bool = True, seed: int | None = None) -> Initializer:
    """Returns the initializer of Glorot and Bengio, 2010: variance 2 / (fan_in + fan_out)."""
    return variance_scaling_initializer(factor=1.0, mode="FAN_AVG", uniform=uniform, seed=seed)


xavier_initializer_conv2d = xavier_initializer


def _fans(shape: Sequence[int]) -> tuple[float, float]:
    """Returns the number of inputs and outputs of one unit of a kernel [..., in, out]."""
    shape = [float(size) for size in shape]
    if not shape:
        return 1.0, 1.0
    receptive = math.prod(shape[:-2])
    fan_in = shape[-2] if len(shape) > 1 else shape[-1]
    return fan_in * receptive, shape[-1] * receptive
