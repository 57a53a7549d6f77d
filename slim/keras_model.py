"""A slim network as a `keras.Model`."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from slim import _checks, losses, outside_variables
from slim.compat import packages
from slim.store import VariableStore


@keras.saving.register_keras_serializable(package="slim")
class KerasModel(keras.Model):
    """A slim network with Keras' `compile`, `fit`, `evaluate`, `predict`, `save` and `load_model`.

    ```python
    model = slim.KerasModel("resnet_v1_50", num_classes=10)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels)
    ```

    The variables of its store are the model's weights, under the same names. `fit` updates batch
    norm's averages and adds the network's penalties and its own losses to the loss.

    Args:
      network: a name of `nets.nets_factory`, or a function `(images, is_training) -> logits`, which
        may return further outputs after the logits. To load a saved model, a function must be
        registered by `keras.saving.register_keras_serializable` or passed in `custom_objects`.
      num_classes: number of classes of a network given by name.
      weight_decay: coefficient of the L2 penalty of a network given by name.
      store: holds the variables; a new one by default.
      **kwargs: of `keras.Model`.

    Attributes:
      store: the variables, which `slim.checkpoints.restore` can assign after the model is built.

    Raises:
      UserError: if `network` is neither a name nor a function, or the name is not known.
    """

    def __init__(
        self,
        network: str | Callable[..., Any],
        num_classes: int | None = None,
        weight_decay: float = 0.0,
        store: VariableStore | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not (isinstance(network, str) or callable(network)):
            raise _checks.UserError(
                f"network={network!r} must be a name of nets.nets_factory, such as 'resnet_v1_50',"
                " or a function (images, is_training) -> logits"
            )
        self._network = network
        self._options = {"num_classes": num_classes, "weight_decay": weight_decay}
        self._run_network = (
            _by_name(network, self._options) if isinstance(network, str) else network
        )
        self.store = VariableStore() if store is None else store
        self._slim_weights: list[keras.Variable] = []
        self._adopted = False
        self.supports_jit = False

    def build(self, input_shape: Any) -> None:
        """Creates the variables for float images of this shape."""
        spec = tf.TensorSpec(input_shape, tf.as_dtype(self.compute_dtype))
        outside_variables.build(
            self.store, lambda images: self._run_network(images, is_training=True), spec
        )
        weights = []
        for name, variable in self.store.named_variables.items():
            *scopes, last = name.split("/")
            with _name_scopes(scopes):
                # By a function: Keras may create the variable later.
                weights.append(
                    keras.Variable(
                        lambda shape, dtype, variable=variable: tf.identity(variable),
                        shape=variable.shape,
                        dtype=variable.dtype.name,
                        trainable=self.store.records[name].trainable,
                        autocast=False,
                        name=last,
                    )
                )
        self._slim_weights = weights
        self._adopt()

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> Any:
        """Returns the logits."""
        self._adopt()
        with self.store.as_default():
            outputs = self._run_network(inputs, is_training=bool(training))
            for loss in [*losses.get_losses(), *losses.get_regularization_losses()]:
                self.add_loss(loss)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that create an equal model."""
        network = self._network
        if not isinstance(network, str):
            network = keras.saving.serialize_keras_object(network)
        return {**super().get_config(), "network": network, **self._options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KerasModel":
        """Creates a model from the result of `get_config`."""
        config = dict(config)
        if not isinstance(config["network"], str):
            config["network"] = keras.saving.deserialize_keras_object(config["network"])
        return cls(**config)

    def _adopt(self) -> None:
        """Puts Keras' variables in the store, once Keras has created them."""
        if self._adopted or not all(_exists(weight) for weight in self._slim_weights):
            return
        for name, weight in zip(list(self.store.named_variables), self._slim_weights, strict=True):
            self.store.add(self.store.records[name], weight.value)
        self._adopted = bool(self._slim_weights)


def _exists(weight: keras.Variable) -> bool:
    return isinstance(weight.value, tf.Variable)


@contextlib.contextmanager
def _name_scopes(names: list[str]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(keras.name_scope(name))
        yield


def _by_name(name: str, options: dict[str, Any]) -> Callable[..., Any]:
    # By name, because the networks are built from this package, not the other way round.
    factory = packages.import_module("nets", "nets_factory")
    _checks.one_of("network", name, factory.NETWORKS)
    return lambda images, is_training: factory.get_network_fn(
        name, is_training=is_training, **options
    )(images)
