"""Layer objects in the manner of TensorFlow 1, whose calls share one scope of variables."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from slim.graph import KEYS
from slim.passes import current_scope
from slim.scopes import AUTO_REUSE
from slim.variables import get_trainable_variables, get_variables, variable_scope


class ScopedLayer:
    """A layer whose first call opens a variable scope; later calls share its variables.

    The variables belong to the current store, or to the plain `tf.Graph`, under the scope's name.

    Args:
      default_name: name of the scope, made unique, unless `_scope` or `_reuse` is set.
      name: replaces `default_name`.
      trainable: whether optimizers may change the variables.
      dtype: type of the variables; None takes that of the first input.
      _scope: exact name of the scope, or a scope.
      _reuse: whether the scope's variables are shared.
    """

    def __init__(
        self,
        default_name: str,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        _scope: Any = None,
        _reuse: Any = None,
    ) -> None:
        self._default_name = name or default_name
        self.trainable = trainable
        self.dtype = None if dtype is None else tf.as_dtype(dtype)
        self._scope = _scope if _scope is not None or not _reuse else self._default_name
        self._reuse = _reuse
        self.built = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the result of `call` within the layer's scope."""
        with self.entered():
            return self.call(*args, **kwargs)

    apply = __call__

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Enters the layer's scope, which the first entry names."""
        scope, reuse = self._scope, AUTO_REUSE if self.built else self._reuse
        with variable_scope(scope, None if scope else self._default_name, reuse=reuse):
            if not self.built:
                self._scope, self.built = current_scope(), True
            yield

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the layer, in its scope."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Last part of the scope's name; the default name before the first call."""
        return self.scope_name.rpartition("/")[2] if self.built else self._default_name

    @property
    def scope_name(self) -> str:
        """Full name of the layer's variable scope.

        Raises:
          ValueError: before the first call.
        """
        if not self.built:
            raise ValueError(
                f"{type(self).__name__} has no scope before its first call: call it on a tensor"
            )
        return self._scope.name

    @property
    def variables(self) -> list[tf.Variable]:
        """The layer's variables, in order of creation."""
        return get_variables(self._pattern(), collection=KEYS.GLOBAL_VARIABLES)

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        """The variables that optimizers may change."""
        return get_trainable_variables(self._pattern())

    @property
    def non_trainable_variables(self) -> list[tf.Variable]:
        """The variables that optimizers do not change."""
        trained = {id(variable) for variable in self.trainable_variables}
        return [variable for variable in self.variables if id(variable) not in trained]

    weights = variables
    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables

    def _pattern(self) -> str:
        return re.escape(self.scope_name) + "/" if self.built else "(?!)"
