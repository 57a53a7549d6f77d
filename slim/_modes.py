"""Functions that serve both a plain `tf.Graph` and eager code, by what they are given."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from slim import _checks

Function = Callable[..., Any]


def serves_both(graph: Function, eager: Function) -> Callable[[Function], Function]:
    """Makes two functions one.

    The decorated function has the name and the docstring, receives the arguments and returns
    whether they are for `eager`. The result has the parameters of `graph`, which are TF-Slim's,
    then by keyword those that only `eager` has.

    Args:
      graph: for a plain graph.
      eager: without one.
    """

    def decorate(is_eager: Function) -> Function:
        name = is_eager.__name__

        @functools.wraps(is_eager)
        def function(*args: Any, **kwargs: Any) -> Any:
            if is_eager(*args, **kwargs):
                _check(name, eager, graph, "without a tf.Graph", args, kwargs)
                return eager(*args, **kwargs)
            _check(name, graph, eager, "in a tf.Graph", args, kwargs)
            return graph(*args, **kwargs)

        function.__signature__ = _merged(graph, eager)  # type: ignore[attr-defined]
        del function.__wrapped__  # type: ignore[attr-defined]
        return function

    return decorate


def _merged(graph: Function, eager: Function) -> inspect.Signature:
    parameters = dict(inspect.signature(graph).parameters)
    for name, parameter in inspect.signature(eager).parameters.items():
        default = None if parameter.default is parameter.empty else parameter.default
        keyword = parameter.replace(kind=parameter.KEYWORD_ONLY, default=default)
        parameters.setdefault(name, keyword)
    return inspect.Signature(list(parameters.values()))


def _check(
    name: str, function: Function, other: Function, where: str, args: Any, kwargs: Any
) -> None:
    """Raises UserError for arguments that only the function of the other mode has."""
    accepted = inspect.signature(function).parameters
    positional = [p.name for p in accepted.values() if p.kind is not p.KEYWORD_ONLY]
    if len(args) > len(positional):
        raise _checks.UserError(
            f"{name} {where} accepts {len(positional)} arguments by position"
            f" ({_checks.listed(positional)}), but received {len(args)}. Pass the others by keyword"
        )
    foreign = [key for key in kwargs if key not in accepted]
    if foreign and foreign[0] in inspect.signature(other).parameters:
        raise _checks.UserError(
            f"{name} has no argument {foreign[0]!r} {where}. Remove it. Accepted:"
            f" {_checks.listed(accepted)}"
        )
