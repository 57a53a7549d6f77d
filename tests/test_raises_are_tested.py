"""Every message of a `raise` occurs in a test.

A literal text of each raise in the source must have a number of characters in common with a string
in the tests. This does not prove that the line is reached, but detects messages without a test.
"""

import ast
import functools
import re

import pytest

from tests import source_tree

COMMON = 12  # characters


def raises(path):
    """Yields the literal texts of each raise of a file that has any, with its line."""
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
                yield node.lineno, texts


@functools.cache
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


def is_tested(text):
    size = min(COMMON, len(text))
    return any(text[i : i + size] in strings_in_tests() for i in range(len(text) - size + 1))


def are_tested(texts):
    shortest = min(COMMON, len(max(texts, key=len)))
    return any(is_tested(text) for text in texts if len(text) >= shortest)


@pytest.mark.parametrize("path", source_tree.files(), ids=source_tree.module_name)
def test_each_message_occurs_in_a_test(path):
    assert [(line, texts) for line, texts in raises(path) if not are_tested(texts)] == []


def test_an_untested_message_is_detected():
    assert not is_tested("z" + "q" * COMMON)
    assert is_tested("is not known; did you mean")
