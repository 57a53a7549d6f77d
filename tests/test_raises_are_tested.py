"""Every message of a `raise` occurs in a test.

A literal text of each raise in the source must have a number of characters in common with a string
in the tests. This does not prove that the line is reached, but detects messages without a test.
"""

import ast
import re

import pytest

from tests import source_tree

COMMON = 12  # characters


def raises():
    """Yields the literal texts of each raise that has any, with its position as the id."""
    for path in source_tree.files():
        for node in ast.walk(source_tree.tree(path)):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                texts = [
                    part.value
                    for argument in (*node.exc.args, *(word.value for word in node.exc.keywords))
                    for part in ast.walk(argument)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
                texts = [text for text in texts if len(text.strip()) > 3]
                if texts:
                    where = f"{path.relative_to(source_tree.ROOT)}:{node.lineno}"
                    yield pytest.param(texts, id=where)


def strings_in_tests():
    """Returns the strings of the tests except docstrings, without regex escapes."""
    strings = []
    for path in sorted((source_tree.ROOT / "tests").rglob("test_*.py")):
        tree = source_tree.tree(path)
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        strings += [
            re.sub(r"\\(?=[^\w\s])", "", node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ]
    return "\n".join(strings)


TESTED = strings_in_tests()


def is_tested(text):
    size = min(COMMON, len(text))
    return any(text[i : i + size] in TESTED for i in range(len(text) - size + 1))


@pytest.mark.parametrize("texts", list(raises()))
def test_each_message_occurs_in_a_test(texts):
    longest = sorted(texts, key=len)[-1]
    assert any(is_tested(text) for text in texts if len(text) >= min(COMMON, len(longest))), longest


def test_an_untested_message_is_detected():
    assert not is_tested("z" + "q" * COMMON)
    assert is_tested("is not known; did you mean")
