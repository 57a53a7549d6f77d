"""What a pass keeps: requests for variables, losses and the rounding of layers."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from slim.regularizers import Regularizer


@dataclasses.dataclass(frozen=True)
class Quantization:
    """How layers round values; set by `slim.quantization.fake_quantization`.

    Attributes:
      delay: number of training steps before values are rounded.
      weights: whether weights are rounded as well as outputs.
    """

    delay: int
    weights: bool


@dataclasses.dataclass(frozen=True)
class Request:
    """A request for a variable: the arguments of `slim.variable`, and whether it is the model's."""

    name: str
    shape: Sequence[int] | None
    dtype: Any
    initializer: Any
    regularizer: Regularizer | None
    trainable: bool
    collections: Iterable[str] | None
    caching_device: Any
    device: str | Callable[..., str] | None
    partitioner: Any
    custom_getter: Any
    use_resource: bool | None
    synchronization: tf.VariableSynchronization
    aggregation: tf.VariableAggregation
    model: bool


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss of a pass.

    Attributes:
      name: name of the loss: the last part of its name scope.
      value: a scalar.
      scope: the name scope in which it was added, including its own.
    """

    name: str
    value: tf.Tensor
    scope: str
