"""Initial values of variables.

An initializer is a function of (shape, dtype). Those here are seeded by the variable's name and its
store's seed, so a network's initial weights do not depend on the order in which its variables are
created. In a plain `tf.Graph` they have their own seed and the graph's
(`tf.compat.v1.set_random_seed`), as in TensorFlow 1. Keras initializers work too.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from slim.graph import in_graph

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


def _draw(
    distribution: str, shape: Sequence[int], dtype: tf.DType, seed: int | None, **options: float
) -> tf.Tensor:
    """Returns random values of a distribution of `tf.random`."""
    if _seed.pair is None and in_graph():
        return getattr(tf.random, distribution)(shape, dtype=dtype, seed=seed, **options)
    pair: tf.Tensor | tuple[int, int] | None = _seed.pair if seed is None else (seed, 0)
    if pair is None:
        pair = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    stateless = getattr(tf.random, f"stateless_{distribution}")
    return stateless(shape, pair, dtype=dtype, alg="philox", **options)


def truncated_normal_initializer(
    mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = tf.float32
) -> Initializer:
    """Returns an initializer from a normal distribution, redrawn outside two standard
    deviations."""
    return _random("truncated_normal", seed, dtype, mean=mean, stddev=stddev)


def random_normal_initializer(
    mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = tf.float32
) -> Initializer:
    """Returns an initializer from a normal distribution."""
    return _random("normal", seed, dtype, mean=mean, stddev=stddev)


def random_uniform_initializer(
    minval: float = -0.05, maxval: float = 0.05, seed: int | None = None, dtype: Any = tf.float32
) -> Initializer:
    """Returns an initializer from the uniform distribution over [minval, maxval)."""
    return _random("uniform", seed, dtype, minval=minval, maxval=maxval)


def _random(
    distribution: str, seed: int | None, default_dtype: Any, **options: float
) -> Initializer:
    def initializer(shape: Sequence[int], dtype: Any = default_dtype, **_: Any) -> tf.Tensor:
        return _draw(distribution, shape, dtype, seed, **options)

    return initializer


def constant_initializer(value: Any = 0.0, dtype: Any = tf.float32) -> Initializer:
    """Returns an initializer that fills with `value`, a number or values of the shape."""

    def initializer(shape: Sequence[int], dtype: Any = dtype, **_: Any) -> tf.Tensor:
        values = tf.cast(value, dtype)
        return tf.fill(shape, values) if values.shape.rank == 0 else tf.reshape(values, shape)

    return initializer


def zeros_initializer(dtype: Any = tf.float32) -> Initializer:
    """Returns an initializer that fills with zeros."""
    return lambda shape, dtype=dtype, **_: tf.zeros(shape, dtype)


def ones_initializer(dtype: Any = tf.float32) -> Initializer:
    """Returns an initializer that fills with ones."""
    return lambda shape, dtype=dtype, **_: tf.ones(shape, dtype)


def variance_scaling_initializer(
    factor: float = 2.0,
    mode: str = "FAN_IN",
    uniform: bool = False,
    seed: int | None = None,
    dtype: Any = tf.float32,
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
      dtype: default type of the values, a floating one.

    Raises:
      TypeError: if `mode` is not one of the three, or the type is not floating.
    """
    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise TypeError(f"mode={mode!r} is not known. Known: FAN_IN, FAN_OUT, FAN_AVG")
    _check_floating(dtype)

    def initializer(shape: Sequence[int], dtype: Any = dtype, **_: Any) -> tf.Tensor:
        _check_floating(dtype)
        fan_in, fan_out = _fans(shape)
        n = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "FAN_AVG": (fan_in + fan_out) / 2}[mode]
        if uniform:
            limit = math.sqrt(3.0 * factor / n)
            return _draw("uniform", shape, dtype, seed, minval=-limit, maxval=limit)
        # TF-Slim rounds 1 / 0.87962566**2, which makes up for the truncation, to 1.3.
        stddev = math.sqrt(1.3 * factor / n)
        return _draw("truncated_normal", shape, dtype, seed, mean=0.0, stddev=stddev)

    return initializer


def xavier_initializer(
    uniform: bool = True, seed: int | None = None, dtype: Any = tf.float32
) -> Initializer:
    """Returns the initializer of Glorot and Bengio, 2010: variance 2 / (fan_in + fan_out)."""
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


xavier_initializer_conv2d = xavier_initializer


def _fans(shape: Sequence[int]) -> tuple[float, float]:
    """Returns the number of inputs and outputs of one unit of a kernel [..., in, out]."""
    shape = [float(size) for size in shape]
    if not shape:
        return 1.0, 1.0
    receptive = math.prod(shape[:-2])
    fan_in = shape[-2] if len(shape) > 1 else shape[-1]
    return fan_in * receptive, shape[-1] * receptive


def _check_floating(dtype: Any) -> None:
    if not tf.as_dtype(dtype).is_floating:
        name = tf.as_dtype(dtype).name
        raise TypeError(f"Cannot create initializer for non-floating point type. Got {name}")
