"""Each flag is proven to act by a test, and docs/flags.md says which."""

import pytest

from classifier import options
from tests import flags_that_act
from tests.classifier import test_original_flags as originals


@pytest.mark.parametrize("script", flags_that_act.PROOFS)
def test_each_flag_has_a_test(script):
    known, proven = options.by_name(originals.CONFIGS[script]), flags_that_act.proofs(script)
    unproven = [name for name in known if name not in proven]
    assert not unproven, (
        f"add {unproven} to PROOFS[{script!r}] of tests/flags_that_act.py, behind a test that "
        "changes the flag and sees the difference"
    )
    gone = [name for name in proven if name not in known]
    assert not gone, f"{gone} are no flags: remove them from tests/flags_that_act.py"


def test_the_tests_are_there():
    named = {test for tests in flags_that_act.PROOFS.values() for test in tests}
    assert not sorted(filter(flags_that_act.missing, named))


def test_a_flag_is_proven_in_one_place():
    for tests in flags_that_act.PROOFS.values():
        flags = [flag for text in tests.values() for flag in text.split()]
        assert len(flags) == len(set(flags))


def test_the_page_is_current():
    wanted = "renew it by: python -m tests.flags_that_act"
    assert flags_that_act.PAGE.read_text(encoding="utf-8") == flags_that_act.render(), wanted
