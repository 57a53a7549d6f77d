"""Scopes as values, and the bookkeeping that makes automatic names unique."""

import contextlib
import copy
import dataclasses
import enum
from collections.abc import Iterator
from typing import Any


class Reuse(enum.Enum):
    """How a scope treats variables that exist: the value of `reuse` besides True and None."""

    AUTO = "auto"


AUTO_REUSE = Reuse.AUTO


@dataclasses.dataclass(frozen=True)
class VariableScope:
    """A prefix of variable names with defaults for the variables made below it.

    Attributes:
      name: "InceptionV3/Mixed_5b"; empty at the root.
      reuse: None (a second request for a name within a pass is an error), True (variables must
        exist) or AUTO_REUSE; inherited.
      initializer: for variables that name none.
      regularizer: for variables that name none.
      original_name_scope: the TensorFlow name scope that was opened with it the first time, ending
        in a slash.
    """

    name: str = ""
    reuse: bool | Reuse | None = None
    initializer: Any = None
    regularizer: Any = None
    original_name_scope: str = ""


ROOT = VariableScope()


class ScopeNames:
    """The scopes that a pass has opened, a tree: the source of the names `Conv`, `Conv_1`, ..."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def unique(self, scope: str, default_name: str) -> str:
        """Returns `default_name`, or with the first free `_1`, `_2`, ... if it is taken below
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
        """Notes that a scope is open; on leaving, its automatic names start afresh.

        Args:
          name: full name of the scope.
          again: whether it is entered as an object a second time: then the names that were given
            before, here and elsewhere, are restored on leaving, as TensorFlow 1 does.
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
