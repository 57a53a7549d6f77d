"""Each flag is proven to act by a test, and docs/flags.md says which."""

import pytest

from classifier.config import options
from tests import flag_readers, flags_that_act
from tests.classifier.cli import test_original_flags as originals


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


@pytest.mark.parametrize("script", flags_that_act.PROOFS)
def test_each_flag_is_read_by_what_its_script_loads(script):
    config_class = originals.CONFIGS[script]
    found = flag_readers.readers(script, config_class)
    assert not [name for name in options.by_name(config_class) if not found.get(name)]


def test_readers_are_those_of_the_group_and_not_of_a_namesake():
    found = flag_readers.readers(
        "train_image_classifier", originals.CONFIGS["train_image_classifier"]
    )
    every = {module for modules in found.values() for module in modules}
    assert not [
        module
        for module in every
        if module.startswith(("classifier.export", "classifier.inference.evaluate"))
    ]
    # tf.data.Options has a `deterministic` too, and ModelInfo a `model_name`.
    assert found["deterministic"] == ["classifier.training.run"]
    assert found["model_name"] == ["classifier.resolve.training"]
    assert "classifier.training.batches" in found["on_bad_image"], "read by a property"
    assert found["adam_beta1"] == ["classifier.training.optimizers"], "read by a name in a table"
    assert "classifier.training.hooks.validation" in found["early_stopping_patience"], (
        "read of an attribute"
    )


def test_the_page_is_current():
    wanted = "renew it by: python -m tests.flags_that_act"
    assert flags_that_act.PAGE.read_text(encoding="utf-8") == flags_that_act.render(), wanted
