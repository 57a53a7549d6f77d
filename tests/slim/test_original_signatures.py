"""Public names have TF-Slim's parameters: the same names, order and defaults.

`original_signatures.txt` holds TF-Slim's. Parameters of ours come after TF-Slim's or are keyword-
only. What differs is in `DEVIATIONS`, with the reason.

Lines of the list that start with "?" are not checked: names that are missing or still differ. To
set these marks anew, run `python tests/slim/test_original_signatures.py` and review the diff.
"""

import ast
import enum
import functools
import inspect
import pathlib
import re
import sys

import pytest
import tensorflow as tf

LIST = pathlib.Path(__file__).with_name("original_signatures.txt")
# Name -> why its signature is not TF-Slim's.
DEVIATIONS: dict[str, str] = {
    "slim.recompute_grad": "as a decorator it has no fn; None stands for a private string",
    "slim.dataset.Dataset": "eager code needs no reader, so it and what follows have defaults",
    "slim.parallel_reader.ParallelReader": "eager code has no reader class and no queue",
    "slim.parallel_reader.parallel_read": "eager code needs no reader class",
    "slim.parallel_reader.single_pass_read": "eager code needs no reader class",
}


LINE = re.compile(r"(\??)([\w.]+)\s*(.*)")
LINES = [line for line in map(LINE.match, LIST.read_text("utf-8").splitlines()) if line]
# Name -> "(signature)", "= value", "= other name" or ": property".
TABLE = {line[2]: line[3] for line in LINES}
PENDING = {line[2] for line in LINES if line[1]}


def ours(name: str):
    """Returns the object called `name`, "slim.losses.add_loss", or None if there is none."""
    import slim

    return functools.reduce(lambda o, part: getattr(o, part, None), name.split(".")[1:], slim)


def text(default) -> str:
    """Returns a default as the list writes it."""
    if isinstance(default, tf.DType | enum.Enum):
        return default.name
    if isinstance(default, tf.keras.initializers.Initializer):
        return f"{type(default).__name__}()"
    if callable(default):
        outer, local, _ = default.__qualname__.partition(".<locals>")
        return f"{outer}()" if local else default.__name__
    return repr(default)


def parameters_of(signature: str) -> dict[str, tuple[str, str | None]]:
    """Returns name -> (kind, default) of "(a, b=1, *args, c=2, **kwargs)"; the default is text."""
    arguments = ast.parse(f"def f{signature}: pass").body[0].args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    parameters = {
        each.arg: ("positional", default and ast.unparse(default))
        for each, default in zip(positional, defaults, strict=True)
    }
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters[each.arg] = ("keyword", default and ast.unparse(default))
    for each in (arguments.vararg, arguments.kwarg):
        if each is not None:
            parameters[each.arg] = ("variadic", None)
    return parameters


KINDS = {
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_POSITIONAL: "variadic",
    inspect.Parameter.VAR_KEYWORD: "variadic",
}


def parameters_here(value) -> dict[str, tuple[str, str | None]]:
    """Returns name -> (kind, default) of a function or class of ours."""
    return {
        name: (
            KINDS.get(parameter.kind, "positional"),
            None if parameter.default is parameter.empty else text(parameter.default),
        )
        for name, parameter in inspect.signature(value).parameters.items()
    }


def same_default(one: str | None, other: str | None) -> bool:
    """Compares defaults by value where they are numbers, strings or sequences."""
    try:
        one, other = ast.literal_eval(one), ast.literal_eval(other)
    except (ValueError, TypeError, SyntaxError):
        return one == other
    # An empty or equal list and tuple serve alike.
    as_list = [list(x) if isinstance(x, list | tuple) else x for x in (one, other)]
    return as_list[0] == as_list[1] and isinstance(one, bool) == isinstance(other, bool)


def difference_of_signatures(theirs: dict, here: dict) -> str:
    """Returns what differs, or an empty string."""
    theirs_by_position = [name for name, (kind, _) in theirs.items() if kind == "positional"]
    here_by_position = [name for name, (kind, _) in here.items() if kind == "positional"]
    if here_by_position[: len(theirs_by_position)] != theirs_by_position:
        return f"parameters {here_by_position} instead of {theirs_by_position}"
    for name, (kind, default) in theirs.items():
        if kind == "variadic":
            continue  # TF-Slim passes these on; a function of ours may name what it accepts
        if name not in here:
            return f"no parameter {name}"
        if not same_default(default, here[name][1]):
            return f"{name}={here[name][1] or 'required'} instead of {default or 'required'}"
    added = set(here) - set(theirs)
    required = [n for n in added if here[n][0] != "variadic" and here[n][1] is None]
    return f"requires {required}" if required else ""


def difference(name: str) -> str:
    """Returns how our `name` differs from TF-Slim's, or an empty string."""
    value, line = ours(name), TABLE[name]
    if value is None:
        return "missing"
    if line.startswith("("):
        if not callable(value):
            return f"is {value!r}"
        if inspect.isclass(value) and issubclass(value, Exception):
            return ""
        return difference_of_signatures(parameters_of(line), parameters_here(value))
    if line.startswith("= slim."):
        return "" if value is ours(line.removeprefix("= ")) else f"is not {line[2:]}"
    if line.startswith("="):
        value = sorted(value) if not isinstance(value, str) else value
        return "" if repr(value) == line[2:] else f"is {value!r}"
    return "" if isinstance(value, property) else f"is {value!r}"


@pytest.mark.parametrize("name", [name for name in TABLE if name not in PENDING])
def test_signature(name):
    if name in DEVIATIONS:
        assert difference(name), f"{name} is as in TF-Slim: remove it from DEVIATIONS"
    else:
        assert not difference(name)


def test_every_public_name_is_in_the_list():
    assert len([name for name in TABLE if name.split(".")[-2].islower()]) == 279
    assert set(DEVIATIONS) | PENDING <= set(TABLE)
    assert not set(DEVIATIONS) & PENDING


@pytest.mark.parametrize(
    "theirs, here, expected",
    [
        ("(a, b=1)", "(a, b=1.0)", ""),
        ("(a, b=1)", "(a, b=1, *, c=None)", ""),
        ("(a, b=1)", "(a, b=1, c=2)", ""),
        ("(a, *, b=1)", "(a, b=1)", ""),
        ("(a, **kwargs)", "(a, **options)", ""),
        ("(a=())", "(a=[])", ""),
        ("(a, b=1)", "(a, c=0, b=1)", r"parameters \['a', 'c', 'b'\] instead of \['a', 'b'\]"),
        ("(a, b=1)", "(a, *, b=1)", "parameters"),
        ("(a, b=1)", "(a, b=True)", "b=True instead of 1"),
        ("(a, b=1)", "(a, b)", "b=required instead of 1"),
        ("(a, b)", "(a, b=None)", "b=None instead of required"),
        ("(a, f=relu)", "(a, f=relu6)", "f=relu6 instead of relu"),
        ("(a, *, b=1)", "(a)", "no parameter b"),
        ("(a)", "(a, b)", r"requires \['b'\]"),
    ],
)
def test_differences_are_detected(theirs, here, expected):
    deviation = difference_of_signatures(parameters_of(theirs), parameters_of(here))
    assert re.match(expected, deviation)
    assert bool(deviation) == bool(expected)


def test_text_of_defaults():
    def outer():
        return lambda: None

    assert text(tf.uint8) == "uint8"
    assert text(tf.nn.relu) == "relu"
    assert text(None) == "None"
    assert text(outer()).endswith("()")


if __name__ == "__main__":
    sys.path.insert(0, str(LIST.parents[2]))
    comments = [line for line in LIST.read_text("utf-8").splitlines() if line.startswith("#")]
    marked = []
    for each, rest in TABLE.items():
        deviation = "" if each in DEVIATIONS else difference(each)
        if deviation not in ("", "missing"):
            print(f"{each}: {deviation}")
        marked.append(
            ("?" if deviation else "") + each + (rest if rest[:1] in "(:" else f" {rest}")
        )
    LIST.write_text("".join(f"{line}\n" for line in comments + marked), "utf-8")
