"""Shared by the layers: argument checks, data formats, weights, biases and normalization."""

import contextlib
import dataclasses
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim._shapes import static_sizes
from slim.initializers import xavier_initializer, zeros_initializer
from slim.layers import _half_precision as half_precision
from slim.outputs import collect_named_outputs
from slim.passes import current_pass, current_scope
from slim.quantization import quantized_activations, quantized_weights
from slim.scopes import VariableScope
from slim.variables import model_variable, variable_scope

Activation = Callable[[tf.Tensor], tf.Tensor] | None
Collections = Iterable[str] | Mapping[str, Iterable[str]] | None


def as_tuple(value: Any, n: int, name: str) -> tuple[int, ...]:
    """Returns `n` integers from one integer or a sequence of one or n.

    As in `whole_number`, floats and TensorFlow 1's Dimensions of integers are accepted, and so are
    shapes, such as `net.shape[1:3]`.

    Raises:
      ValueError: if the sequence has another length, or holds anything else.
    """
    sizes = tuple(value) if isinstance(value, Iterable) else (value,)
    values = tuple(map(tf.compat.dimension_value, sizes)) * (n if len(sizes) == 1 else 1)
    if len(values) != n or not all(map(_is_whole, values)):
        raise ValueError(f"{name}={value!r} must be a positive integer, or {n} of them")
    return tuple(map(int, values))


def whole_number(name: str, value: Any) -> int:
    """Returns a positive integer; floats and TensorFlow 1's Dimensions of one are accepted.

    Raises:
      ValueError: for anything else.
    """
    value = tf.compat.dimension_value(value)
    if not _is_whole(value):
        raise ValueError(f"{name}={value!r} must be a positive integer, such as {name}=64")
    return int(value)


def _is_whole(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and value >= 1 and int(value) == value


def padding_of(padding: str) -> str:
    """Returns "SAME" or "VALID", whatever the case.

    Raises:
      ValueError: for anything else.
    """
    return _checks.one_of("padding", str(padding).upper(), ["SAME", "VALID"])


def check_rank(inputs: tf.Tensor, *ranks: int, layer: str = "This layer") -> None:
    """Raises ValueError unless the rank of `inputs` is known and one of `ranks`."""
    rank = inputs.shape.rank
    if rank not in ranks:
        allowed = " or ".join(map(str, ranks))
        got = "undefined rank" if rank is None else f"{rank}: shape {inputs.shape}"
        raise ValueError(f"{layer} expects input with rank {allowed}, got {got}")


def known_rank(inputs: tf.Tensor, minimum: int) -> int:
    """Returns the rank of `inputs`.

    Raises:
      ValueError: if it is unknown or below `minimum`.
    """
    rank = inputs.shape.rank
    if rank is None or rank < minimum:
        got = "undefined rank" if rank is None else f"shape {inputs.shape}"
        raise ValueError(f"inputs have {got}, but a rank of {minimum} or more is needed")
    return rank


def axis_of(axis: int, rank: int, name: str) -> int:
    """Returns `axis` as a non-negative number.

    Raises:
      ValueError: if a tensor of this rank has no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(
            f"Axis is out of bounds. {name}={axis} must be an axis of the inputs, which have rank"
            f" {rank}"
        )
    return axis % rank


def channels_first(data_format: str | None, rank: int) -> bool:
    """Returns whether channels are the second axis of a tensor of `rank`.

    Raises:
      ValueError: if `data_format` is not one of the rank's two formats.
    """
    last, first = {3: ("NWC", "NCW"), 4: ("NHWC", "NCHW"), 5: ("NDHWC", "NCDHW")}[rank]
    if data_format is not None:
        check_data_format(data_format, first, last)
    return data_format == first


def check_data_format(data_format: str, first: str = "NCHW", last: str = "NHWC") -> bool:
    """Returns whether a data format has the channels first.

    Raises:
      ValueError: if it is none of the two.
    """
    if data_format not in (first, last):
        raise ValueError(f"data_format has to be either {first} or {last}, not {data_format!r}")
    return data_format == first


def static_channels(inputs: tf.Tensor, axis: int, term: str = "channels") -> int:
    """Returns the static size of the channel axis, in an error called the `term` dimension.

    Raises:
      ValueError: if it is unknown.
    """
    channels = static_sizes(inputs)[axis]
    if channels is None:
        raise ValueError(
            f"inputs of shape {inputs.shape} have an undefined {term} dimension:"
            f" axis {axis} must have a known size. Set it by tf.ensure_shape"
        )
    return channels


def in_supported_format(
    op: Callable[[tf.Tensor, str, str | None], tf.Tensor],
    inputs: tf.Tensor,
    data_format: str | None,
    name: str | None = None,
) -> tf.Tensor:
    """Applies `op(inputs, data_format, name)`, with channels last without a GPU.

    TensorFlow's CPU kernels for convolution and pooling support channels last only. The last op
    has the name.
    """
    rank = inputs.shape.rank
    last, first = {3: ("NWC", "NCW"), 4: ("NHWC", "NCHW"), 5: ("NDHWC", "NCDHW")}[rank]
    if not channels_first(data_format, rank):
        return op(inputs, last, name)
    if tf.config.list_physical_devices("GPU"):
        return op(inputs, first, name)
    outputs = op(tf.transpose(inputs, [0, *range(2, rank), 1]), last, None)
    return tf.transpose(outputs, [0, rank - 1, *range(1, rank - 1)], name=name)


def collections_of(variables_collections: Collections, leaf: str) -> Iterable[str] | None:
    """Returns the collections of the variable `leaf`, from a list or a dict by leaf name."""
    if isinstance(variables_collections, Mapping):
        return variables_collections.get(leaf)
    return variables_collections


# Name scopes of penalties in a plain graph: those of TensorFlow 1's layers.
_PENALTY_NAMES = {
    "weights": "kernel",
    "biases": "bias",
    "depthwise_weights": "depthwise_kernel",
    "pointwise_weights": "pointwise_kernel",
}


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with weights: the arguments common to all of them, as in `slim.convolution`.

    Attributes:
      is_core: whether TF-Slim built it by a layer of TensorFlow 1, whose names its ops
        have in a plain graph.
    """

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
    is_core: bool = True

    @contextlib.contextmanager
    def open(self, default_scope: str) -> Iterator[VariableScope]:
        """Opens the layer's scope, in which the other methods are called."""
        with variable_scope(self.scope, default_scope, reuse=self.reuse) as scope:
            if self.is_core:
                current_pass().enter_layer()
            yield scope

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

    def biases(self, channels: int, dtype: tf.DType) -> tf.Variable | None:
        """Returns the biases, or None for a layer without."""
        if self.normalizer_fn is not None or self.biases_initializer is None:
            return None
        return self._variable(
            "biases", [channels], dtype, self.biases_initializer, self.biases_regularizer
        )

    def finish(
        self,
        outputs: tf.Tensor,
        biases: tf.Variable | None,
        data_format: str | None = None,
        dtype: tf.DType | None = None,
    ) -> tf.Tensor:
        """Applies the normalizer (or else the biases) and the activation; collects the output.

        Args:
          outputs: of the operation.
          biases: of the layer, or None.
          data_format: see `slim.convolution`.
          dtype: of the result. Default: not cast.
        """
        if self.normalizer_fn is not None:
            outputs = self.normalizer_fn(outputs, **(self.normalizer_params or {}))
        elif biases is not None:
            outputs = add_bias(outputs, biases, data_format)
        outputs = half_precision.activated(self.activation_fn, outputs, dtype)
        outputs = quantized_activations(outputs)
        return collect_named_outputs(self.outputs_collections, current_scope().name, outputs)

    def _variable(
        self, name: str, shape: Sequence[int], dtype: tf.DType, initializer: Any, regularizer: Any
    ) -> tf.Variable:
        # TF-Slim's name for the weights of any kind.
        leaf = "weights" if name.endswith("_weights") else name
        collections = collections_of(self.variables_collections, leaf)
        if self.is_core:
            regularizer = current_pass().layer_regularizer(_PENALTY_NAMES[name], regularizer)
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
    collections: Any,
    name_scope: str,
    scope: str | None,
    default_name: str,
    outputs: tf.Tensor,
) -> tf.Tensor:
    """Collects the output of a layer without variables, such as pooling.

    Args:
      collections: where to; None for nowhere.
      name_scope: the layer's.
      scope: the layer's name, or None.
      default_name: its name without one.
      outputs: its output.
    """
    if not collections:
        return outputs
    name = current_pass().output_name(name_scope, scope, default_name)
    return collect_named_outputs(collections, name, outputs)


def smart_cond(
    pred: bool | tf.Tensor, true_fn: Callable[[], Any], false_fn: Callable[[], Any]
) -> Any:
    """Returns one of two results: chosen at once if `pred` is known, else by `tf.cond`."""
    known = known_value(pred)
    if known is None:
        return tf.cond(tf.cast(pred, tf.bool), true_fn, false_fn)
    return true_fn() if known else false_fn()


def known_value(pred: bool | tf.Tensor) -> bool | None:
    """Returns the value of a bool or of a constant tensor; None for other tensors and
    variables."""
    if isinstance(pred, bool) or not tf.is_tensor(pred):  # `is_tensor` is slow
        return bool(pred)
    value = None if isinstance(pred, tf.Variable) else tf.get_static_value(pred)
    return None if value is None else bool(value)


ZEROS = zeros_initializer()
XAVIER = xavier_initializer()
