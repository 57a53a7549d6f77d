"""Variable scopes, and the bookkeeping that makes automatic names unique.

Outside a plain `tf.Graph`, too, slim's scopes and `tf.compat.v1.variable_scope` nest in any order:
each scope of slim is entered as one of TensorFlow 1, whose `get_variable` then asks the pass.
`AUTO_REUSE` is the value of `tf.compat.v1`, so that code for TensorFlow 1 may use either.
"""

import contextlib
import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1
AUTO_REUSE = v1.AUTO_REUSE
Reuse = type(AUTO_REUSE)


def ask_pass(getter: Any, name: str, **options: Any) -> tf.Variable:
    """Returns the variable that `tf.compat.v1.get_variable` requests in a scope of slim.

    Args:
      getter: TensorFlow's own, which is not called.
      name: full name.
      **options: the request's; those without a meaning here are ignored or refused by the pass.
    """
    from slim.passes import current_pass  # a pass has scopes

    return current_pass().get_variable_by_name(name, options)


@dataclasses.dataclass
class VariableScope(v1.VariableScope):
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
      opened: the scope opened by TensorFlow 1 that this one describes, or None.
    """

    name: str = ""
    reuse: bool | Reuse | None = None
    initializer: Any = None
    regularizer: Any = None
    original_name_scope: str = ""
    dtype: Any = None
    opened: Any = None
    caching_device = partitioner = constraint = use_resource = None

    @property
    def custom_getter(self) -> Any:
        """What `tf.compat.v1.get_variable` calls in this scope."""
        return ask_pass

    @property
    def _name_scope(self) -> str:
        return self.original_name_scope

    def reuse_variables(self) -> None:
        """Makes the rest of this scope, and the scopes opened in it, share existing variables."""
        self.reuse = True
        if self.opened is not None:
            self.opened.reuse_variables()

    def with_opened(self, opened: v1.VariableScope) -> "VariableScope":
        """Returns the scope that TensorFlow 1 opened inside this one, as one of slim.

        Args:
          opened: the scope, not one of slim. In eager code its `reuse` is always AUTO_REUSE.
        """
        # A scope with another getter was opened in another graph: its name lacks this one's.
        inside = opened.custom_getter is ask_pass
        return VariableScope(
            name=opened.name if inside else f"{self.name}/{opened.name}".strip("/"),
            reuse=opened.reuse or self.reuse,
            initializer=opened.initializer or self.initializer,
            regularizer=opened.regularizer or self.regularizer,
            original_name_scope=opened.original_name_scope,
            dtype=self.dtype if opened.dtype == tf.float32 else opened.dtype,
            opened=opened,
        )


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

    def forget(self, name: str) -> None:
        """Makes a scope's name free again: that of a scope which TensorFlow 1 numbers."""
        parent, _, leaf = name.rpartition("/")
        self._node(parent).pop(leaf, None)

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
