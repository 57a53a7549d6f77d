"""docs/from_tf_slim.md lists every public name of TF-Slim, and each exists."""

import functools
import re

import pytest

import slim
from tests import names_page


def test_the_table_is_up_to_date():
    assert names_page.PAGE.read_text("utf-8") == names_page.render(), (
        "run `python -m tests.names_page`"
    )


@pytest.mark.parametrize("name", names_page.names())
def test_each_name_exists(name):
    assert functools.reduce(getattr, name.split(".")[1:], slim) is not None


def test_each_note_is_of_a_name():
    for pattern in names_page.EAGER:
        assert any(re.fullmatch(pattern, name) for name in names_page.names()), pattern
