"""Default arguments of layers by scope, which keep the code of networks short.

```python
with slim.arg_scope([slim.conv2d], padding="SAME", weights_regularizer=slim.l2_regularizer(5e-4))
as scope:
    net = slim.conv2d(images, 64, [3, 3])                    # SAME, regularized
    net = slim.conv2d(net, 64, [3, 3], padding="VALID")      # an explicit argument wins
with slim.arg_scope(scope):                                  # a saved scope, opened again
    ...
```

Scopes nest and are thread-local: a replica function that runs in a thread of its own enters them
inside that function.
"""

import contextlib
import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from slim import _checks

Scope = Mapping[str, Mapping[str, Any]]


class _Stack(threading.local):
    def __init__(self) -> None:
        self.scopes: list[Scope] = [{}]


_stack = _Stack()
_defaults: dict[str, tuple[str, ...]] = {}  # key -> parameters with a default
_settable: dict[str, frozenset[str]] = {}  # key -> parameters that can be passed by name
_accept_any: set[str] = set()  # keys of the functions with **kwargs
_numbers = itertools.count()


def arg_scope_func_key(op: Callable[..., Any]) -> str:
    """Returns the key under which a scope keeps the defaults of `op`."""
    return getattr(op, "_key_op", None) or str(op)


def has_arg_scope(func: Callable[..., Any]) -> bool:
    """Returns whether `func` was wrapped by `add_arg_scope`."""
    return arg_scope_func_key(func) in _settable


def add_arg_scope(func: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates `func` so that its arguments can be set by `arg_scope`.

    Args:
      func: any function; its parameters may be set by a scope unless they are positional only.

    Returns:
      The function with its signature and docstring.
    """
    # Another function of the same name, as a notebook makes it, is another function.
    key = getattr(func, "_key_op", None) or (
        f"{func.__module__}.{func.__qualname__}#{next(_numbers)}"
    )
    parameters = inspect.signature(func).parameters.values()
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    positional = [p.name for p in parameters if p.kind in by_position]
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        _accept_any.add(key)
    _defaults[key] = tuple(p.name for p in parameters if p.default is not inspect.Parameter.empty)
    _settable[key] = frozenset(p.name for p in parameters if p.kind in by_name)

    @functools.wraps(func)
    def with_scope(*args: Any, **kwargs: Any) -> Any:
        explicit = positional[: len(args)]
        defaults = _stack.scopes[-1].get(key, {})
        chosen = {name: value for name, value in defaults.items() if name not in explicit}
        return func(*args, **{**chosen, **kwargs})

    with_scope._key_op = key  # type: ignore[attr-defined]
    return with_scope


def arg_scoped_arguments(func: Callable[..., Any]) -> tuple[str, ...]:
    """Returns the names of the parameters of `func` with a default, which a scope may replace.

    Raises:
      ValueError: if `func` is not decorated with `add_arg_scope`.
    """
    return _defaults[_key_of(func)]


def current_arg_scope() -> Scope:
    """Returns the current scope: for each function's key, its default arguments."""
    return _stack.scopes[-1]


@contextlib.contextmanager
def arg_scope(
    list_ops_or_scope: Iterable[Callable[..., Any]] | Scope, **kwargs: Any
) -> Iterator[Scope]:
    """Sets default arguments of functions within a `with` block.

    A keyword applies to those of the listed functions that accept it.

    Args:
      list_ops_or_scope: a list of functions decorated with `add_arg_scope`, or a scope saved
        by `with arg_scope(...) as scope`, which replaces the current scope.
      **kwargs: the defaults; not allowed with a saved scope.

    Yields:
      The scope, to be saved and opened again.

    Raises:
      ValueError: if there are keywords with a saved scope, or a function is not decorated.
      TypeError: if `list_ops_or_scope` is neither, or no listed function accepts a keyword.
    """
    if isinstance(list_ops_or_scope, Mapping):
        if kwargs:
            raise ValueError(
                f"a saved scope accepts no keywords, but got {_checks.listed(kwargs)}; "
                "open a second arg_scope inside it"
            )
        scope = list_ops_or_scope
    elif isinstance(list_ops_or_scope, (list, tuple)):
        scope = _extended(_stack.scopes[-1], list_ops_or_scope, kwargs)
    else:
        raise TypeError(
            f"arg_scope expects a list of functions or a saved scope, not {list_ops_or_scope!r}"
        )
    _stack.scopes.append(scope)
    try:
        yield scope
    finally:
        _stack.scopes.pop()


def _extended(
    outer: Scope, functions: Iterable[Callable[..., Any]], kwargs: Mapping[str, Any]
) -> Scope:
    """Returns `outer` with the keywords added for each function that accepts them."""
    keys = [_key_of(func) for func in functions]
    for name in kwargs:
        if not any(_accepts(key, name) for key in keys):
            accepted = sorted(set().union(*(_settable[key] for key in keys)))
            hint = _checks.suggest(name, accepted) or "."
            raise TypeError(
                f"arg_scope: none of the functions accepts {name!r}{hint} "
                f"Accepted: {_checks.listed(accepted)}"
            )
    scope = dict(outer)
    for key in keys:
        defaults = {name: value for name, value in kwargs.items() if _accepts(key, name)}
        scope[key] = {**scope.get(key, {}), **defaults}
    return scope


def _accepts(key: str, name: str) -> bool:
    return key in _accept_any or name in _settable[key]


def _key_of(func: Callable[..., Any]) -> str:
    if not has_arg_scope(func):
        raise ValueError(
            f"{func!r} is not decorated with @slim.add_arg_scope. Add it, or remove the function"
            " from the scope"
        )
    return arg_scope_func_key(func)
