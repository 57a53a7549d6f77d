import re
import subprocess
import sys

import pytest

import slim
from slim import _checks


def test_suggest_names_the_nearest_values():
    known = ["inception_v1", "inception_v2", "vgg_16"]
    assert _checks.suggest("vgg16", known) == "; did you mean 'vgg_16'?"
    assert _checks.suggest("inception_v3", known) == (
        "; did you mean 'inception_v2' or 'inception_v1'?"
    )
    assert _checks.suggest("inception_v3", known[1:]) == "; did you mean 'inception_v2'?"


def test_suggest_is_empty_without_a_near_value():
    assert _checks.suggest("resnet", ["vgg_16", "lenet_old_style_name"]) == ""
    assert _checks.suggest("resnet", []) == ""


def test_listed_shortens_long_lists_and_counts_the_rest():
    assert _checks.listed(["a", 2, "c"]) == "a, 2, c"
    assert _checks.listed("abcde", most=2) == "a, b, ... (3 more)"
    assert _checks.listed([]) == ""


def test_one_of_returns_the_value():
    assert _checks.one_of("padding", "SAME", ["SAME", "VALID"]) == "SAME"
    assert _checks.one_of("size", 3, iter([1, 3])) == 3


@pytest.mark.parametrize(
    "value, message",
    [
        ("SAM", "padding='SAM' is not known; did you mean 'SAME'? Known: SAME, VALID"),
        ("x", "padding='x' is not known. Known: SAME, VALID"),
        (None, "padding=None is not known. Known: SAME, VALID"),
    ],
)
def test_one_of_error_has_the_value_and_the_allowed_ones(value, message):
    with pytest.raises(_checks.UserError) as refusal:
        _checks.one_of("padding", value, ["SAME", "VALID"])
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    "check, good, bad, message",
    [
        (_checks.positive, [1, 0.1, None], 0, "steps=0 must be positive"),
        (_checks.positive, [], -2.5, "steps=-2.5 must be positive"),
        (_checks.positive, [], float("nan"), "steps=nan must be positive"),
        (_checks.non_negative, [0, 3, None], -1, "steps=-1 must not be negative"),
        (_checks.non_negative, [], float("nan"), "steps=nan must not be negative"),
    ],
)
def test_range_checks_accept_and_reject_numbers(check, good, bad, message):
    for value in good:
        check(steps=value)
    with pytest.raises(_checks.UserError, match=f"^{re.escape(message)}$"):
        check(first=1, steps=bad)


def test_in_range_includes_its_ends():
    _checks.in_range(0.0, 1.0, lowest=0.0, highest=1.0, missing=None)
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(_checks.UserError, match=f"^rate={bad} must lie between 0.0 and 1.0$"):
            _checks.in_range(0.0, 1.0, rate=bad)


def test_missing_extra_is_an_error_with_the_install_command():
    _checks.installed({"tensorflow": "tensorflow"})
    # Names of packages, because `slim` on the index is another project.
    message = "^no-such is not installed; install it with: pip install tensorflow no-such$"
    with pytest.raises(_checks.UserError, match=message):
        _checks.installed({"tensorflow": "tensorflow", "no_such": "no-such"})


def test_user_error_is_a_value_error_and_run_error_is_not():
    assert issubclass(_checks.UserError, ValueError)
    assert issubclass(_checks.RunError, RuntimeError)


def test_unknown_attribute_of_slim_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'slim' has no attribute 'conv4d'"):
        slim.conv4d  # noqa: B018


def test_dir_of_slim_is_sorted():
    assert dir(slim) == sorted(slim.__all__)
    assert {"arg_scope", "conv2d", "losses"} <= set(dir(slim))


def test_modules_without_tensorflow_do_not_load_it():
    program = (
        "import sys, slim, slim._checks\n"
        "slim.arg_scope, dir(slim)\n"
        "sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
