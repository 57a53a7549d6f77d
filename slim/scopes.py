"""Variable scopes, and the bookkeeping that makes automatic names unique.

`AUTO_REUSE` is the value of `tf.compat.v1`, so that code for TensorFlow 1 may use either.
"""

import contextlib
import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

AUTO_REUSE = tf.compat.v1.AUTO_REUSE
Reuse = type(AUTO_REUSE)


@dataclasses.dataclass
class VariableScope:
    """A prefix of variable names, with defaults for the variables created in it.

    In a plain `tf.Graph`, a scope is a `tf.compat.v1.VariableScope`, with the same attributes.

    Attributes:
      name: "InceptionV3/Mixed_5b"; empty at the root.
      reuse: None (a second request for a name within a pass is an error), True (variables must
        exist) or AUTO_REUSE; inherited.
      initializer: default for variables without one.
      regularizer: default for variables without one.
      original_name_scope: the TensorFlow name scope of the first time it was opened, ending in a
        slash.
      dtype: default type of the variables created in it.
    """

    name: str = ""
    reuse: bool | Reuse | None = None
    initializer: Any = None
    regularizer: Any = None
    original_name_scope: str = ""
    dtype: Any = None

    def reuse_variables(self) -> None:
        """Makes the rest of this scope, and the scopes opened in it, share existing variables."""
        self.reuse = True


class ScopeNames:
    """A tree of the scopes that a pass has opened: the source of names such as `Conv_1`."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def unique(self, scope: str, default_name: str) -> str:
        """Returns `default_name`, with the first free suffix `_1`, `_2`, ... if it is taken in
        `scope`."""
        siblings = self._node(scope)
        if not _is_open(siblings, default_name):
            return default_name
        index = 1
        while _is_open(siblings, f"{default_name}_{index}"):
            index += 1
        return f"{default_name}_{index}"

    @contextlib.contextmanager
    def opened(self, name: str, again: bool) -> Iterator[None]:
        """Records a scope as opened; on exit, its automatic names start over.

        Args:
          name: full name of the scope.
          again: whether a scope object is entered again: all names assigned before it was entered
            are then restored on exit, as in TensorFlow 1.
        """
        self._node(name)[""] = True
        before = copy.deepcopy(self._root) if again else None
        try:
            yield
        finally:
            if before is not None:
                self._root = before
            else:
                node = self._node(name)
                node.clear()
                node[""] = True

    def _node(self, name: str) -> dict[str, Any]:
        node = self._root
        for part in name.split("/") if name else ():
            node = node.setdefault(part, {})
        return node


def _is_open(siblings: dict[str, Any], name: str) -> bool:
    node = siblings
    for part in name.split("/"):
        node = node.get(part, {})
    return "" in node
