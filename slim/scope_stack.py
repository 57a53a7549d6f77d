"""A thread's current variable scope outside a plain graph, which TensorFlow 1 knows as well.

Each scope of slim is opened as a `tf.compat.v1.variable_scope` too. One that the user opened by
TensorFlow 1 inside it is then the current scope.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence

import tensorflow as tf

from slim import _checks
from slim.scopes import VariableScope, ask_pass

v1 = tf.compat.v1


class _Current(threading.local):
    def __init__(self) -> None:
        self.scope = VariableScope()
        self.opened: v1.VariableScope | None = None  # what TensorFlow 1 has for the scope


_current = _Current()


def scope_of_thread() -> VariableScope:
    """Returns the current variable scope: slim's, or that of TensorFlow 1 opened inside it.

    Raises:
      ValueError: if TensorFlow 1's has options that mean something in a plain graph only.
    """
    scope, opened = _current.scope, v1.get_variable_scope()
    if opened is _current.opened:
        if opened.reuse is True:  # never in eager code, where TensorFlow has AUTO_REUSE
            scope.reuse = True
        return scope
    if opened.custom_getter is None and not opened.name:
        return scope  # the root of a graph in which slim has opened none
    options = ("caching_device", "partitioner")
    refused = [name for name in options if getattr(opened, name)]
    if opened.custom_getter not in (None, ask_pass):
        refused.append("custom_getter")
    only_in_graph("tf.compat.v1.variable_scope", refused)
    return scope.with_opened(opened)


@contextlib.contextmanager
def scope_as_current(scope: VariableScope, name_scope: str = "") -> Iterator[VariableScope]:
    """Makes `scope` the current variable scope (`slim.variable_scope` opens one by name).

    Args:
      scope: the scope; one that is opened for the first time gets its `original_name_scope`.
      name_scope: the TensorFlow name scope to open with it, none if empty.
    """
    outer = _current.scope, _current.opened
    with _opened(scope, name_scope) as opened:
        _current.scope, _current.opened = scope, opened
        try:
            yield scope
        finally:
            _current.scope, _current.opened = outer


@contextlib.contextmanager
def _opened(scope: VariableScope, name_scope: str) -> Iterator[v1.VariableScope]:
    """Opens a scope and a name scope in TensorFlow 1."""
    # TensorFlow 1 opens the name scope of the scope's last name itself, and another one if it may
    # not. It does not report its full name.
    own = bool(name_scope) and name_scope == scope.name.rpartition("/")[2]
    own = own and not tf.executing_eagerly()
    opened_name_scope = (
        tf.name_scope(name_scope) if name_scope and not own else contextlib.nullcontext("")
    )
    with opened_name_scope as name, v1.variable_scope(scope, auxiliary_name_scope=own) as opened:
        name = f"{v1.get_default_graph().get_name_scope()}/" if own else name
        scope.original_name_scope = scope.original_name_scope or name
        yield opened


def only_in_graph(function: str, options: Sequence[str]) -> None:
    """Raises ValueError if there are options; they mean nothing for a variable store."""
    if options:
        raise ValueError(
            f"{function}: {_checks.listed(options)} works in a tf.Graph only, and has no meaning "
            "for a variable store. Remove it, or build the network in `with "
            "tf.Graph().as_default():`"
        )
