"""Batch normalization."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from slim._shapes import static_sizes
from slim.arg_scope import add_arg_scope
from slim.graph import KEYS
from slim.initializers import ones_initializer, zeros_initializer
from slim.layers import _common as common
from slim.layers import _half_precision as half_precision
from slim.layers._moving_averages import (
    Averages,
    DebiasedAverages,
    RenormAverages,
    check_clipping,
)
from slim.layers._replicas import num_replicas, over_replicas
from slim.outputs import collect_named_outputs
from slim.passes import current_pass
from slim.variables import model_variable, variable_scope

_INITIALIZERS = {
    "beta": zeros_initializer(),
    "gamma": ones_initializer(),
    "moving_mean": zeros_initializer(),
    "moving_variance": ones_initializer(),
}
# cuDNN's smallest epsilon; TF-Slim raises smaller ones to it on every device.
_FUSED_MIN_EPSILON = 1.001e-5
_UPDATE_OPS = KEYS.UPDATE_OPS


@add_arg_scope
def batch_norm(
    inputs: tf.Tensor,
    decay: float = 0.999,
    center: bool = True,
    scale: bool = False,
    epsilon: float = 0.001,
    activation_fn: common.Activation = None,
    param_initializers: Mapping[str, Any] | None = None,
    param_regularizers: Mapping[str, Any] | None = None,
    updates_collections: Any = _UPDATE_OPS,
    is_training: bool | tf.Tensor = True,
    reuse: Any = None,
    variables_collections: common.Collections = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    batch_weights: tf.Tensor | None = None,
    fused: bool | None = None,
    data_format: str = "NHWC",
    zero_debias_moving_mean: bool = False,
    scope: Any = None,
    renorm: bool = False,
    renorm_clipping: Mapping[str, Any] | None = None,
    renorm_decay: float = 0.99,
    adjustment: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None = None,
    *,
    frozen: bool | Callable[[str], bool] = False,
    synchronized: bool = False,
) -> tf.Tensor:
    """Normalizes each channel by the statistics of the batch (Ioffe and Szegedy, 2015).

    In training the pass itself updates the moving averages: there are no update ops to run. In a
    plain `tf.Graph` the updates stand in `updates_collections`.
    Creates `beta` (if `center`), `gamma` (if `scale`), `moving_mean` and `moving_variance`.

    Args:
      inputs: [batch, ..., channels], or [batch, channels, ...] for "NCHW".
      decay: of the moving averages; they settle in about 3,000 steps with 0.999, 30 with 0.9.
      center: whether to add the learned `beta`.
      scale: whether to multiply by the learned `gamma`.
      epsilon: added to the variance.
      activation_fn: activation function, applied last.
      param_initializers: initializers by the names of the four variables.
      param_regularizers: penalties for "beta" and "gamma".
      updates_collections: where a plain graph collects the updates of the moving averages; None
        runs them with the layer. Without effect elsewhere.
      is_training: whether to use the batch's statistics instead of the moving averages.
      reuse: whether the scope's variables are shared.
      variables_collections: collections for the variables, a list, or a dict by leaf name.
      outputs_collections: collections to which the output is added.
      trainable: whether optimizers may change `beta` and `gamma`.
      batch_weights: weight of each example in the statistics, [batch].
      fused: False disables TensorFlow's fused kernel. Ranks other than 2, 4 and 5, float64,
        `batch_weights`, `renorm` and `adjustment` never use it.
      data_format: "NHWC" or "NCHW" for any rank: whether channels are the last or the second axis.
      zero_debias_moving_mean: whether the moving mean is that of the batches alone, without its
        initial zero. Creates `moving_mean/biased` and `moving_mean/local_step`.
      scope: name of the layer, `BatchNorm` by default.
      renorm: batch renormalization (Ioffe, https://arxiv.org/abs/1702.03275), which corrects the
        statistics of small batches in training. Creates `moving_stddev`, `renorm_mean` and
        `renorm_stddev`.
      renorm_clipping: limits of the correction by "rmin", "rmax" and "dmax".
      renorm_decay: decay of `renorm_mean` and `renorm_stddev`.
      adjustment: function from the dynamic shape of the inputs to a scale and an offset of the
        normalized values, in training.
      frozen: whether to use the moving averages, without an update, even in training; or a
        function that returns this for a scope name. For fine-tuning only some layers.

    Raises:
      ValueError: for an unknown data format, rank or number of channels, another key of
        `renorm_clipping`, or `renorm` or `synchronized` with an option that excludes it.
    """
    first = common.check_data_format(data_format)
    inputs = tf.convert_to_tensor(inputs)
    rank = common.known_rank(inputs, 2)
    axis = 1 if first else rank - 1
    channels = common.static_channels(inputs, axis)
    # Statistics are float32 in mixed precision too: half precision would lose digits.
    dtype = tf.float32 if inputs.dtype in (tf.float16, tf.bfloat16) else inputs.dtype
    can_fuse = batch_weights is None and not renorm and adjustment is None
    can_fuse = can_fuse and fused is not False and rank in (2, 4, 5)
    plain_updates = updates_collections == _UPDATE_OPS and not zero_debias_moving_mean
    if renorm and (batch_weights is not None or not plain_updates):
        raise ValueError(
            "renorm is not supported with batch_weights, updates_collections or"
            " zero_debias_moving_mean. Remove one of them"
        )
    if synchronized and (batch_weights is not None or common.known_value(is_training) is None):
        raise ValueError(
            "synchronized is not supported with batch_weights or with a tensor as is_training"
        )
    with variable_scope(scope, "BatchNorm", reuse=reuse) as sc:
        # TF-Slim has code of its own for some options, and a layer of TensorFlow 1 for the others.
        is_core = plain_updates and batch_weights is None and not (can_fuse and rank == 2)
        create = _Parameters(
            dtype, channels, param_initializers or {}, param_regularizers or {},
            variables_collections, trainable, is_core,
        )  # fmt: skip
        enabled = {"gamma": scale, "beta": center}
        order = ("gamma", "beta") if is_core else ("beta", "gamma")
        learned = {name: create(name) for name in order if enabled[name]}
        if frozen(sc.name) if callable(frozen) else frozen:
            is_training = False
        with current_pass().unpartitioned():
            averages = Averages(create("moving_mean"), create("moving_variance"), decay)
            if renorm:
                clipping = check_clipping(renorm_clipping)
                averages = create.renorm(averages, epsilon, renorm_decay, clipping)
        if zero_debias_moving_mean and common.known_value(is_training) is not False:
            averages = DebiasedAverages.of(averages, sc.name, model=not can_fuse)
        norm = _Norm(
            inputs, axis, learned.get("gamma"), learned.get("beta"), averages, epsilon,
            is_training, updates_collections, is_core,
        )  # fmt: skip
        is_fused = can_fuse and dtype == tf.float32
        if synchronized and num_replicas() > 1 and is_training:
            outputs = dataclasses.replace(norm, synchronized=True, as_fused=is_fused).plain()
        elif is_fused:
            outputs = norm.fused()
        else:
            outputs = norm.plain(batch_weights, adjustment)
        outputs.set_shape(inputs.shape)
        outputs = half_precision.activated(activation_fn, outputs)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@dataclasses.dataclass(frozen=True)
class _Parameters:
    """Creates the variables of a layer by their names."""

    dtype: tf.DType
    channels: int
    initializers: Mapping[str, Any]
    regularizers: Mapping[str, Any]
    variables_collections: common.Collections
    trainable: bool
    is_core: bool

    def __call__(self, name: str, initializer: Any = None) -> tf.Variable:
        learned = name in ("beta", "gamma")
        regularizer = self.regularizers.get(name) if learned else None
        if self.is_core:
            regularizer = current_pass().layer_regularizer(name, regularizer)
        return model_variable(
            name,
            [self.channels],
            self.dtype,
            initializer or self.initializers.get(name, _INITIALIZERS.get(name)),
            regularizer,
            self.trainable and learned,
            common.collections_of(self.variables_collections, name),
            # Each replica averages its own batches; reading returns the mean over replicas.
            synchronization=tf.VariableSynchronization.AUTO
            if learned
            else tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.NONE if learned else tf.VariableAggregation.MEAN,
        )

    def renorm(
        self, averages: Averages, epsilon: float, decay: Any, clipping: Mapping[str, Any]
    ) -> RenormAverages:
        """Creates the variables of batch renormalization."""
        variance = self.initializers.get("moving_variance", _INITIALIZERS["moving_variance"])
        variance = variance() if inspect.isclass(variance) else variance

        def stddev(shape: Sequence[int], dtype: Any = tf.float32, **_: Any) -> tf.Tensor:
            return tf.sqrt(variance(shape, dtype=dtype))

        # `renorm_mean` begins as `moving_mean` does.
        mean = self.initializers.get("moving_mean", _INITIALIZERS["moving_mean"])
        layer = dataclasses.replace(self, variables_collections=None)
        return RenormAverages(
            averages.mean, averages.variance, averages.decay, epsilon,
            layer("moving_stddev", stddev), layer("renorm_mean", mean),
            layer("renorm_stddev", stddev), decay, clipping,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Norm:
    """The computation of a layer: by TensorFlow's fused kernel, or by the formula.

    Attributes:
      is_core: as in `common.Layer`.
      synchronized: whether the statistics are those of all replicas' batches.
      as_fused: whether the formula computes what the kernel would.
    """

    inputs: tf.Tensor
    axis: int
    gamma: tf.Tensor | None
    beta: tf.Tensor | None
    averages: Averages
    epsilon: float
    is_training: bool | tf.Tensor
    updates_collections: Any
    is_core: bool
    synchronized: bool = False
    as_fused: bool = False

    def fused(self) -> tf.Tensor:
        """Normalizes with TensorFlow's kernel, whose batch variance has Bessel's correction."""
        inputs, channels = self.inputs, self.averages.mean.shape
        flat = inputs.shape.rank == 2
        images = tf.reshape(inputs, [-1, 1, 1, *channels.as_list()]) if flat else inputs
        first = self.axis == 1 and not flat
        layout = ("NC" if first else "N") + "DHW"[5 - images.shape.rank :] + ("" if first else "C")
        # Constants of NumPy: `tf.ones` and `tf.zeros` take half as long again to add to a graph.
        beta = _constant(0.0, channels) if self.beta is None else self.beta
        gamma = _constant(1.0, channels) if self.gamma is None else self.gamma
        one_pass = current_pass()

        def apply(is_training: bool) -> list[tf.Tensor]:
            mean, variance = self._moving()
            if is_training:
                mean, variance = one_pass.ignored_averages([mean, variance], self.is_core)
            result = tf.raw_ops.FusedBatchNormV3(
                x=images, scale=tf.convert_to_tensor(gamma), offset=tf.convert_to_tensor(beta),
                mean=mean, variance=variance, epsilon=max(self.epsilon, _FUSED_MIN_EPSILON),
                data_format=layout, is_training=is_training,
            )  # fmt: skip
            return [result.y, result.batch_mean, result.batch_variance]

        outputs, mean, variance = common.smart_cond(
            self.is_training, lambda: apply(True), lambda: apply(False)
        )
        update = self._always_updating() if self.is_core else self
        (outputs,) = update._updated(mean, variance, [outputs])
        if flat:
            known = [-1 if size is None else size for size in static_sizes(inputs)]
            outputs = tf.reshape(outputs, known if known.count(-1) < 2 else tf.shape(inputs))
        return outputs

    def plain(self, batch_weights: tf.Tensor | None = None, adjustment: Any = None) -> tf.Tensor:
        """Normalizes by the formula, for any rank; the batch variance is biased."""
        x = tf.cast(self.inputs, self.averages.mean.dtype)
        gamma, beta = self._aligned(self.gamma), self._aligned(self.beta)
        training = common.known_value(self.is_training) is not False
        if adjustment is not None and training:
            gamma, beta = _composed(self._in_training(*adjustment(tf.shape(x))), gamma, beta)
        mean, variance = common.smart_cond(
            self.is_training, lambda: self._moments(x, batch_weights), self._moving
        )
        correction: Sequence[tf.Tensor] = ()
        if isinstance(self.averages, RenormAverages) and training:
            correction = self._in_training(*self.averages.correction(mean, variance))
            gamma, beta = _composed([self._aligned(c) for c in correction], gamma, beta)
        # The correction is that of the averages before their update.
        with tf.control_dependencies(correction):
            moving = self._corrected(variance) if self.as_fused else variance
            mean, variance = self._updated(mean, moving, [mean, variance])
        epsilon = max(self.epsilon, _FUSED_MIN_EPSILON) if self.as_fused else self.epsilon
        statistics = (self._aligned(mean), self._aligned(variance))
        outputs = tf.nn.batch_normalization(x, *statistics, beta, gamma, epsilon)
        return tf.cast(outputs, self.inputs.dtype)

    def _moments(self, x: tf.Tensor, batch_weights: tf.Tensor | None) -> list[tf.Tensor]:
        rank = x.shape.rank
        axes = [i for i in range(rank) if i != self.axis]
        if self.synchronized:
            return over_replicas(*tf.nn.moments(x, axes), self.averages.mean)
        if batch_weights is None:
            return list(tf.nn.moments(x, axes))
        weights = tf.cast(batch_weights, x.dtype)
        if not weights.shape.is_compatible_with(x.shape[:1]):
            raise ValueError(
                f"batch_weights of shape {weights.shape} need one weight for each of the examples, "
                f"as inputs have shape {x.shape}"
            )
        weights = tf.reshape(weights, [-1] + [1] * (rank - 1))
        return list(tf.nn.weighted_moments(x, axes, weights))

    def _corrected(self, variance: tf.Tensor) -> tf.Tensor:
        """Returns the variance of all replicas' batches with Bessel's correction."""
        per_channel = tf.size(self.inputs) // variance.shape[0] * num_replicas()
        size = tf.cast(per_channel, variance.dtype)
        return variance * (size / tf.maximum(size - 1.0, 1.0))

    def _moving(self) -> list[tf.Variable]:
        return [self.averages.mean, self.averages.variance]

    def _aligned(self, parameter: tf.Tensor | None) -> tf.Tensor | None:
        """Returns a parameter of the channels in a shape that broadcasts with the inputs."""
        rank = self.inputs.shape.rank
        if parameter is None or self.axis == rank - 1:
            return parameter
        return tf.reshape(parameter, [-1 if i == self.axis else 1 for i in range(rank)])

    def _in_training(self, factor: tf.Tensor, offset: tf.Tensor) -> list[tf.Tensor]:
        """Returns a factor and an offset that have no effect in inference."""
        return common.smart_cond(
            self.is_training,
            lambda: [factor, offset],
            lambda: [tf.ones_like(factor), tf.zeros_like(offset)],
        )

    def _updated(
        self, mean: tf.Tensor, variance: tf.Tensor, tensors: Sequence[tf.Tensor]
    ) -> Sequence[tf.Tensor]:
        """Updates the averages in training; returns tensors, which may wait for the updates."""
        one_pass = current_pass()
        known = common.known_value(self.is_training)
        if known is False or one_pass.is_replay:
            return tensors

        def update() -> Sequence[Any]:
            updates = self.averages.update(mean, variance)
            return updates if known else [tf.convert_to_tensor(update) for update in updates]

        if self.updates_collections is None:
            return common.smart_cond(
                self.is_training, lambda: one_pass.after_updates(update(), tensors), lambda: tensors
            )
        updates = common.smart_cond(self.is_training, update, self._moving)
        one_pass.add_updates(self.updates_collections, updates, self.is_core)
        return tensors

    def _always_updating(self) -> "_Norm":
        """Returns this with a condition on the decay instead of one on the update."""
        one_pass, decay = current_pass(), self.averages.decay
        decay = common.smart_cond(
            self.is_training, lambda: one_pass.layer_constant(decay), lambda: 1.0
        )
        averages = dataclasses.replace(self.averages, decay=decay)
        known = common.known_value(self.is_training)
        return dataclasses.replace(self, averages=averages, is_training=known is not False)


def _constant(value: float, shape: Sequence[int]) -> tf.Tensor:
    return tf.constant(np.full(shape, value, np.float32))


def _composed(
    first: Sequence[tf.Tensor], gamma: tf.Tensor | None, beta: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a factor and an offset, then `gamma` and `beta`, as one factor and one offset."""
    factor, offset = first
    if gamma is not None:
        factor, offset = factor * gamma, offset * gamma
    return factor, offset if beta is None else offset + beta
