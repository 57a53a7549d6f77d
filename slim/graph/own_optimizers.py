"""`slim.optimizers` in a plain graph, with the methods of a `tf.compat.v1.train.Optimizer`."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from slim import _checks
from slim.optimizers import Optimizer

v1 = tf.compat.v1


class GraphOptimizer:
    """One of `slim.optimizers`, whose slots are variables of the graph under the same names.

    Args:
      optimizer: the optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def compute_gradients(
        self, loss: tf.Tensor, var_list: Sequence[tf.Variable], **arguments: Any
    ) -> list[tuple[Any, tf.Variable]]:
        """Returns pairs (gradient, variable), as TensorFlow 1's optimizers do."""
        return v1.train.GradientDescentOptimizer(0.0).compute_gradients(loss, var_list, **arguments)

    def apply_gradients(
        self, grads_and_vars: Sequence[tuple[Any, tf.Variable]], global_step: Any = None
    ) -> tf.Operation:
        """Returns the operation that updates the variables and counts the step.

        Raises:
          UserError: if no variable has a gradient, or one is a reference variable.
        """
        pairs = [(gradient, each) for gradient, each in grads_and_vars if gradient is not None]
        if not pairs:
            raise _checks.UserError("the loss does not depend on any of the variables to train")
        variables = {variable.op.name: variable for _, variable in pairs}
        for name, variable in variables.items():
            if getattr(variable, "handle", variable).dtype != tf.resource:
                raise _checks.UserError(
                    f"{name!r} is a reference variable, which slim.optimizers cannot update. Call"
                    " tf.compat.v1.enable_resource_variables() first, or pass an optimizer of"
                    " tf.compat.v1.train"
                )
        store = _Slots(variables)
        self._optimizer.build(store, variables)  # type: ignore[arg-type]
        gradients = dict(zip(variables, (gradient for gradient, _ in pairs), strict=True))
        step = tf.constant(0, tf.int64) if global_step is None else tf.identity(global_step)

        def update(gradients: Mapping[str, Any], step: tf.Tensor) -> tf.Tensor:
            rate = self._optimizer.learning_rate_at(step)
            dense = {name: tf.convert_to_tensor(each) for name, each in gradients.items()}
            self._optimizer.apply(store, dense, rate)  # type: ignore[arg-type]
            return tf.identity(step)

        # Within a function, the assignments run in the order of the program.
        with tf.control_dependencies([tf.function(update, autograph=False)(gradients, step)]):
            return tf.no_op() if global_step is None else v1.assign_add(global_step, 1).op


class _Slots:
    """What an optimizer needs of a store, for the variables of a graph."""

    def __init__(self, variables: Mapping[str, tf.Variable]) -> None:
        self._variables = dict(variables)

    def named_variable(self, name: str) -> tf.Variable:
        return self._variables[name]

    def state(self, name: str, shape: Sequence[int], dtype: tf.DType, value: float) -> None:
        with v1.variable_scope(v1.VariableScope(reuse=v1.AUTO_REUSE)):
            with v1.name_scope(None):
                self._variables[name] = v1.get_variable(
                    name,
                    shape,
                    dtype,
                    v1.constant_initializer(value),
                    trainable=False,
                    use_resource=True,
                )
