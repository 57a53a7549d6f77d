"""Generalized divisive normalization, of learned image compression.

Ballé, Laparra and Simoncelli, https://arxiv.org/abs/1511.06281 and
https://arxiv.org/abs/1611.01704.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from slim.graph import KEYS, in_graph
from slim.layers import _common as common
from slim.layers._scoped import ScopedLayer
from slim.losses import add_loss
from slim.variables import variable


class GDN(ScopedLayer):
    """Divides each channel by the root of a learned weighted sum of all channels' squares.

    `y[i] = x[i] / sqrt(beta[i] + sum_j(gamma[j, i] * x[j]**2))`, at each position alone. Creates
    `reparam_beta` [channels] and `reparam_gamma` [channels, channels], which are no model
    variables: the roots of beta and gamma, so that values close to zero are trained slowly.

    Args:
      inverse: multiply instead of dividing: one step towards the inverse.
      beta_min: smallest value of beta.
      gamma_init: initial value of gamma's diagonal; 0 starts at the identity.
      reparam_offset: keeps the gradients of roots at zero from vanishing.
      data_format: "channels_last" or "channels_first".
      activity_regularizer: a function from the output to a penalty, which is divided by the batch
        size and added to the penalties (with a store, to the losses).
      trainable: whether optimizers may change the variables.
      name: name of the layer, made unique; "gdn" by default.
      **kwargs: `dtype` of the variables, `_scope` and `_reuse`, as for layers of TensorFlow 1.

    Raises:
      ValueError: for an unknown data format.
    """

    def __init__(
        self,
        inverse: bool = False,
        beta_min: float = 1e-6,
        gamma_init: float = 0.1,
        reparam_offset: float = 2**-18,
        data_format: str = "channels_last",
        activity_regularizer: Callable[[tf.Tensor], tf.Tensor] | None = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__("gdn", name, trainable, **kwargs)
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"data_format={data_format!r} is not known. Known: channels_last, channels_first"
            )
        self.inverse = inverse
        self.data_format = data_format
        self.activity_regularizer = activity_regularizer
        self._beta_min = beta_min
        self._gamma_init = gamma_init
        self._offset = reparam_offset
        self._beta = self._gamma = None

    @property
    def beta(self) -> tf.Tensor:
        """Beta in the last call, [channels]."""
        return self._beta

    @property
    def gamma(self) -> tf.Tensor:
        """Gamma in the last call, [channels, channels]."""
        return self._gamma

    def compute_output_shape(self, input_shape: Any) -> tf.TensorShape:
        """Returns the shape of the output, which is that of the input.

        Raises:
          ValueError: unless the rank is 3 to 5 and the number of channels is known.
        """
        shape = tf.TensorShape(input_shape)
        if shape.rank not in (3, 4, 5):
            raise ValueError(f"inputs have shape {shape}, but GDN needs a rank of 3 to 5")
        if self._channels(shape) is None:
            raise ValueError(f"the channel axis of inputs {shape} must have a known size")
        return shape

    def build(self, input_shape: Any) -> None:
        """Creates the variables for inputs of a shape; the first call does so by itself.

        Raises:
          ValueError: as `compute_output_shape`.
        """
        channels = self._channels(self.compute_output_shape(input_shape))
        with self.entered():
            self.dtype = self.dtype or tf.float32
            self._beta, self._gamma = self._parameters(channels)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the normalized inputs.

        Args:
          inputs: of rank 3 to 5, with a known number of channels.

        Raises:
          ValueError: for other inputs.
        """
        inputs = tf.convert_to_tensor(inputs, self.dtype)
        self.dtype = self.dtype or inputs.dtype.base_dtype
        shape = self.compute_output_shape(inputs.shape)
        channels = self._channels(shape)
        self._beta, self._gamma = self._parameters(channels)
        kernel = tf.reshape(self._gamma, [1] * (shape.rank - 2) + [channels, channels])

        def pool(squares: tf.Tensor, data_format: str, name: str | None) -> tf.Tensor:
            sums = tf.nn.convolution(
                squares, kernel, padding="VALID", data_format=data_format, name=name
            )
            return common.add_bias(sums, self._beta, data_format)

        spatial = "DHW"[5 - shape.rank :]
        data_format = f"NC{spatial}" if self.data_format == "channels_first" else f"N{spatial}C"
        norm = tf.sqrt(common.in_supported_format(pool, tf.square(inputs), data_format))
        outputs = inputs * norm if self.inverse else inputs / norm
        outputs.set_shape(shape)
        self._penalize(outputs)
        return outputs

    def _channels(self, shape: tf.TensorShape) -> int | None:
        return shape[1 if self.data_format == "channels_first" else -1]

    def _parameters(self, channels: int) -> tuple[tf.Tensor, tf.Tensor]:
        pedestal = self._offset**2

        def parameter(leaf: str, initial: Callable[..., Any], shape: Any, bound: float) -> Any:
            def root(shape: Any, dtype: Any = None, partition_info: Any = None) -> tf.Tensor:
                return tf.sqrt(initial(shape, dtype) + tf.constant(pedestal, dtype))

            value = variable(leaf, shape, self.dtype, root, trainable=self.trainable)
            bounded = lower_bound(value, tf.constant(bound, self.dtype))
            return tf.square(bounded) - tf.constant(pedestal, self.dtype)

        def diagonal(shape: Any, dtype: Any) -> tf.Tensor:
            return tf.constant(self._gamma_init, dtype) * tf.eye(shape[0], dtype=dtype)

        beta = parameter("reparam_beta", tf.ones, [channels], (self._beta_min + pedestal) ** 0.5)
        gamma = parameter("reparam_gamma", diagonal, [channels, channels], self._offset)
        return beta, gamma

    def _penalize(self, outputs: tf.Tensor) -> None:
        if self.activity_regularizer is None:
            return
        with tf.name_scope("ActivityRegularizer"):
            penalty = self.activity_regularizer(outputs)
            penalty /= tf.cast(tf.shape(outputs)[0], penalty.dtype)
            collection = KEYS.REGULARIZATION_LOSSES if in_graph() else KEYS.LOSSES
            add_loss(penalty, collection)


def gdn(
    inputs: tf.Tensor,
    inverse: bool = False,
    beta_min: float = 1e-6,
    gamma_init: float = 0.1,
    reparam_offset: float = 2**-18,
    data_format: str = "channels_last",
    activity_regularizer: Callable[[tf.Tensor], tf.Tensor] | None = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> tf.Tensor:
    """Applies a new `GDN` layer.

    Args:
      inputs: of rank 3 to 5, with a known number of channels.
      inverse: see `GDN`, as for the arguments that follow.
      name: exact name of the layer; None takes "gdn", made unique.
      reuse: whether the scope's variables are shared.

    Raises:
      ValueError: for an unknown data format or other inputs.
    """
    inputs = tf.convert_to_tensor(inputs)
    layer = GDN(
        inverse, beta_min, gamma_init, reparam_offset, data_format, activity_regularizer,
        trainable, name, dtype=inputs.dtype.base_dtype, _scope=name, _reuse=reuse,
    )  # fmt: skip
    return layer(inputs)


@tf.custom_gradient
def lower_bound(inputs: tf.Tensor, bound: tf.Tensor) -> Any:
    """Returns `max(inputs, bound)`; where the bound acts, only gradients away from it pass."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        passes = tf.logical_or(inputs >= bound, upstream < 0)
        return tf.cast(passes, upstream.dtype) * upstream, None

    return tf.maximum(inputs, bound), gradient
