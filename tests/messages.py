"""The texts of the project's errors: of each `raise`, exception and `Problem` in the source."""

import ast
import itertools
import pathlib
import re
from collections.abc import Iterable

from tests import source_tree

_PROBLEM = re.compile(r"(Problem|problems\.error)$")  # a template and its parts
_EXCEPTION = re.compile(r"(Error|BadImage|Failure)$")
_ALTERNATIVES = 8  # of one expression


def of_file(path: pathlib.Path) -> dict[str, int]:
    """Returns text -> line of the errors that a file constructs; `...` stands for what varies."""
    tree = source_tree.tree(path)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    texts: dict[str, int] = {}
    nested: set[int] = set()
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call) or id(call) in nested:
            continue
        if isinstance(node, ast.Raise):
            values = [call, *_returned(call, functions)]
        elif _PROBLEM.search(ast.unparse(call.func)) or _EXCEPTION.search(ast.unparse(call.func)):
            values = [call]
        else:
            continue
        nested |= {id(part) for part in ast.walk(call)}
        for value in values:
            for text in _texts(value):
                text = re.sub(r"(\.\.\.)+", "...", " ".join(text.split()))
                if re.search(r"[a-z]{3}", text):
                    texts.setdefault(text, value.lineno)
    return texts


def _returned(call: ast.Call, functions: dict[str, ast.FunctionDef]) -> list[ast.expr]:
    """Returns the results of the module's functions that construct an exception or its text."""
    calls = [each for each in (call, *call.args) if isinstance(each, ast.Call)]
    names = {ast.unparse(each.func) for each in calls}
    return [
        part.value
        for name in sorted(names & set(functions))
        for part in ast.walk(functions[name])
        if isinstance(part, ast.Return) and part.value
    ]


def _texts(node: ast.expr) -> list[str]:
    """Returns the texts of an expression, one for each alternative."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.FormattedValue):
        return _texts(node.value) if isinstance(node.value, ast.IfExp) else ["..."]
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return _joined(map(_texts, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined([_texts(node.left), _texts(node.right)])
    if isinstance(node, ast.Call):
        return _of_call(ast.unparse(node.func), node.args)
    return ["..."]


def _joined(parts: Iterable[list[str]]) -> list[str]:
    return ["".join(each) for each in itertools.islice(itertools.product(*parts), _ALTERNATIVES)]


def _of_call(name: str, arguments: list[ast.expr]) -> list[str]:
    if name.split(".")[-1] == "named":
        return ["--" + "=".join(_texts(each)[0] for each in arguments)]
    if _PROBLEM.search(name) and arguments:
        parts = [(_texts(each) or ["..."])[0] for each in arguments[1:]]
        return [_filled(template, parts) for template in _texts(arguments[0])]
    values = [each for each in arguments if not isinstance(getattr(each, "value", ""), int)]
    return [text for each in values for text in _texts(each)]


def _filled(template: str, parts: list[str]) -> str:
    values = iter(parts)
    return re.sub(r"\{[^}]*\}", lambda _: next(values, "..."), template)
