"""docs/reliability.md: each failure has its line, and each line a test that exists."""

import re

from tests import flags_that_act, source_tree

PAGE = source_tree.ROOT / "docs" / "reliability.md"


def test_each_failure_has_a_line_and_each_line_a_test():
    lines = re.findall(r"^\| (\d+) \|.*\| `([^`]+)` \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in lines] == [*range(1, 23), *range(36, 45)]


def test_every_named_test_is_there():
    named = re.findall(r"`([\w/]+\.py::\w+)`", PAGE.read_text("utf-8"))
    assert len(named) > 30
    assert not [test for test in named if flags_that_act.missing(test)]
