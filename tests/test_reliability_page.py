"""docs/reliability.md lists each failure with an existing test."""

import re

from tests import flags_that_act, source_tree

PAGE = source_tree.ROOT / "docs" / "reliability.md"


def test_page_lists_each_failure_with_a_test():
    lines = re.findall(r"^\| (\d+) \|.*\| `([^`]+)` \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in lines] == [*range(1, 23), *range(36, 45)]


def test_each_test_named_on_the_page_exists():
    named = re.findall(r"`([\w/]+\.py::\w+)`", PAGE.read_text("utf-8"))
    assert len(named) > 30
    assert not [test for test in named if flags_that_act.missing(test)]
