"""Each flag is proven to act by a test, and docs/flags.md is current."""

import dataclasses
import importlib
import pkgutil

import pytest

from classifier import config
from classifier.config import options
from tests import flags_page, flags_that_act


@pytest.mark.parametrize("script", flags_that_act.PROOFS)
def test_each_flag_has_a_test(script):
    known, proven = options.by_name(flags_page.SCRIPTS[script]), flags_that_act.proofs(script)
    unproven = [name for name in known if name not in proven]
    assert not unproven, (
        f"add {unproven} to PROOFS[{script!r}] of tests/flags_that_act.py, behind a test that "
        "changes the flag and sees the difference"
    )
    removed = [name for name in proven if name not in known]
    assert not removed, f"{removed} are not flags: remove them from tests/flags_that_act.py"


def test_the_tests_exist():
    tests = {test for proofs in flags_that_act.PROOFS.values() for test in proofs}
    assert not sorted(filter(flags_that_act.missing, tests))


def test_each_flag_is_proven_by_one_test():
    for tests in flags_that_act.PROOFS.values():
        flags = [flag for text in tests.values() for flag in text.split()]
        assert len(flags) == len(set(flags))


def test_the_page_is_current():
    command = "renew it with: python -m tests.flags_page"
    assert flags_page.PAGE.read_text(encoding="utf-8") == flags_page.render(), command


def test_the_page_has_each_flag():
    for module in pkgutil.iter_modules(config.__path__, f"{config.__name__}."):
        importlib.import_module(module.name)
    names, classes = set(), [options.Options]
    for each in classes:
        if dataclasses.is_dataclass(each) and each.__module__.startswith(config.__name__):
            names |= set(options.by_name(each))
        classes += each.__subclasses__()
    page = flags_page.render()
    assert len(names) > 200
    assert not {name for name in names if f"`--{name}`" not in page}
