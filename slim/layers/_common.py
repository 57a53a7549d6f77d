"""Shared by the layers: argument checks, data formats, weights, biases and normalization."""

import contextlib
import dataclasses
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim.initializers import xavier_initializer, zeros_initializer
from slim.outputs import collect_named_outputs
from slim.passes import current_pass, current_scope
from slim.quantization import quantized_activations, quantized_weights
from slim.scopes import VariableScope
from slim.variables import model_variable, variable_scope

Activation = Callable[[tf.Tensor], tf.Tensor] | None
Collections = Iterable[str] | Mapping[str, Iterable[str]] | None


def as_tuple(value: int | Sequence[int], n: int, name: str) -> tuple[int, ...]:
    """Returns `n` integers from one integer or a sequence of one or n.

    Raises:
      ValueError: if the sequence has another length, or holds anything else.
    """
    values = tuple(value) if isinstance(value, Iterable) else (value,)
    values *= n if len(values) == 1 else 1
    if len(values) != n or not all(isinstance(v, numbers.Integral) and v > 0 for v in values):
        raise ValueError(f"{name}={value!r} must be a positive integer, or {n} of them")
    return tuple(int(v) for v in values)


def check_rank(inputs: tf.Tensor, *ranks: int) -> None:
    """Raises ValueError unless the rank of `inputs` is known and one of `ranks`."""
    if inputs.shape.rank not in ranks:
        allowed = " or ".join(map(str, ranks))
        raise ValueError(
            f"inputs have shape {inputs.shape}, but a tensor of rank {allowed} is needed"
        )


def known_rank(inputs: tf.Tensor, minimum: int) -> int:
    """Returns the rank of `inputs`.

    Raises:
      ValueError: if it is unknown or below `minimum`.
    """
    rank = inputs.shape.rank
    if rank is None or rank < minimum:
        raise ValueError(
            f"inputs have shape {inputs.shape}, but a rank of {minimum} or more is needed"
        )
    return rank


def axis_of(axis: int, rank: int, name: str) -> int:
    """Returns `axis` as a non-negative number.

    Raises:
      ValueError: if a tensor of this rank has no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(f"{name}={axis} must be an axis of the inputs, which have rank {rank}")
    return axis % rank


def channels_first(data_format: str | None, rank: int) -> bool:
    """Returns whether channels are the second axis of a tensor of `rank`.

    Raises:
      ValueError: if `data_format` is not one of the rank's two formats.
    """
    last, first = {3: ("NWC", "NCW"), 4: ("NHWC", "NCHW"), 5: ("NDHWC", "NCDHW")}[rank]
    if data_format not in (None, last, first):
        raise ValueError(
            f"data_format={data_format!r} is not known for rank {rank}. Known: {last}, {first}"
        )
    return data_format == first


def static_channels(inputs: tf.Tensor, axis: int) -> int:
    """Returns the static size of the channel axis.

    Raises:
      ValueError: if it is unknown.
    """
    channels = inputs.shape[axis]
    if channels is None:
        raise ValueError(f"the channel axis of inputs {inputs.shape} must have a known size")
    return channels


def in_supported_format(
    op: Callable[[tf.Tensor, str], tf.Tensor], inputs: tf.Tensor, data_format: str | None
) -> tf.Tensor:
    """Applies `op(inputs, data_format)`, with channels last without a GPU.

    TensorFlow's CPU kernels for convolution and pooling support channels last only.
    """
    rank = inputs.shape.rank
    last, first = {3: ("NWC", "NCW"), 4: ("NHWC", "NCHW"), 5: ("NDHWC", "NCDHW")}[rank]
    if not channels_first(data_format, rank):
        return op(inputs, last)
    if tf.config.list_physical_devices("GPU"):
        return op(inputs, first)
    outputs = op(tf.transpose(inputs, [0, *range(2, rank), 1]), last)
    return tf.transpose(outputs, [0, rank - 1, *range(1, rank - 1)])


def collections_of(variables_collections: Collections, leaf: str) -> Iterable[str] | None:
    """Returns the collections of the variable `leaf`, from a list or a dict by leaf name."""
    if isinstance(variables_collections, Mapping):
        return variables_collections.get(leaf)
    return variables_collections


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with weights: the arguments common to all of them, as in `slim.convolution`."""

    activation_fn: Activation
    normalizer_fn: Callable[..., tf.Tensor] | None
    normalizer_params: Mapping[str, Any] | None
    weights_initializer: Any
    weights_regularizer: Any
    biases_initializer: Any
    biases_regularizer: Any
    reuse: Any
    variables_collections: Collections
    outputs_collections: str | Iterable[str] | None
    trainable: bool
    scope: Any

    def open(self, default_scope: str) -> contextlib.AbstractContextManager[VariableScope]:
        """Opens the layer's scope, in which the other methods are called."""
        return variable_scope(self.scope, default_scope, reuse=self.reuse)

    def weights(
        self,
        shape: Sequence[int],
        dtype: tf.DType,
        name: str = "weights",
        initializer: Any = None,
        axes: Sequence[int] = (-1,),
    ) -> tf.Tensor:
        """Returns weights, rounded within `slim.quantization.fake_quantization`.

        Args:
          shape: of the variable.
          dtype: of the variable.
          name: of the variable.
          initializer: `weights_initializer` by default.
          axes: of the output channels, as negative numbers.
        """
        variable = self._variable(
            name, shape, dtype, initializer or self.weights_initializer, self.weights_regularizer
        )
        return quantized_weights(variable, axes)

    def finish(
        self, outputs: tf.Tensor, channels: int, data_format: str | None = None
    ) -> tf.Tensor:
        """Applies the normalizer (or else the biases) and the activation; collects the output."""
        if self.normalizer_fn is not None:
            outputs = self.normalizer_fn(outputs, **(self.normalizer_params or {}))
        elif self.biases_initializer is not None:
            biases = self._variable(
                "biases", [channels], outputs.dtype, self.biases_initializer,
                self.biases_regularizer,
            )  # fmt: skip
            outputs = add_bias(outputs, biases, data_format)
        if self.activation_fn is not None:
            outputs = self.activation_fn(outputs)
        outputs = quantized_activations(outputs)
        return collect_named_outputs(self.outputs_collections, current_scope().name, outputs)

    def _variable(
        self, name: str, shape: Sequence[int], dtype: tf.DType, initializer: Any, regularizer: Any
    ) -> tf.Variable:
        collections = collections_of(self.variables_collections, name)
        return model_variable(
            name, shape, dtype, initializer, regularizer, self.trainable, collections
        )


def add_bias(outputs: tf.Tensor, biases: tf.Tensor, data_format: str | None = None) -> tf.Tensor:
    """Adds one bias per channel."""
    rank = outputs.shape.rank
    first = rank in (3, 4, 5) and channels_first(data_format, rank)
    return tf.nn.bias_add(
        outputs, biases, data_format="NC..." if first else "N...C", name="BiasAdd"
    )


def note_output(
    collections: Any, scope: str | None, default_name: str, outputs: tf.Tensor
) -> tf.Tensor:
    """Collects the output of a layer without variables, such as pooling."""
    if not collections:
        return outputs
    outer = current_scope().name
    leaf = scope or current_pass().names.unique(outer, default_name)
    if scope is None:
        with current_pass().names.opened(f"{outer}/{leaf}".strip("/"), again=False):
            pass
    return collect_named_outputs(collections, f"{outer}/{leaf}".strip("/"), outputs)


def smart_cond(
    pred: bool | tf.Tensor, true_fn: Callable[[], Any], false_fn: Callable[[], Any]
) -> Any:
    """Returns one of two results: chosen at once for a Python bool, by `tf.cond` for a tensor."""
    if isinstance(pred, (tf.Tensor, tf.Variable)):
        return tf.cond(tf.cast(pred, tf.bool), true_fn, false_fn)
    return true_fn() if pred else false_fn()


ZEROS = zeros_initializer()
XAVIER = xavier_initializer()
