"""HParams: values keep the types of their defaults."""

import json

import pytest

from slim.compat.hparams import HParams


def params():
    return HParams(rate=0.1, steps=10, name="a", sizes=[1, 2], flag=False)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ("rate=1", {"rate": 1.0}),
        ("steps=3,name=x y", {"steps": 3, "name": "x y"}),
        ("sizes=[3, 4,5],flag=True", {"sizes": [3, 4, 5], "flag": True}),
        ("sizes[1]=7,sizes[2]=8", {"sizes": [1, 7, 8]}),
        ("flag=1, rate=2e-3", {"flag": True, "rate": 0.002}),
    ],
)
def test_parse(text, expected):
    assert params().parse(text).values() == params().values() | expected


@pytest.mark.parametrize(
    "text, error, message",
    [
        ("steps", ValueError, "Malformed hyperparameter value: 'steps'"),
        ("steps=1.5", ValueError, "Could not cast hyperparameter steps of type int from '1.5'"),
        ("flag=maybe", ValueError, "Could not cast hyperparameter flag of type bool"),
        ("size=1", ValueError, r"Unknown hyperparameter size. Known: \['flag', 'name', 'rate'"),
        ("steps=[1]", ValueError, "Hyperparameter steps must be a single value"),
        ("sizes=1", ValueError, "Hyperparameter sizes must be a list"),
        ("steps[0]=1", ValueError, r"Hyperparameter steps is not a list. Remove \[0\]"),
    ],
)
def test_values_that_do_not_fit_are_errors(text, error, message):
    with pytest.raises(error, match=message):
        params().parse(text)


def test_values_are_set_added_and_removed():
    hparams = params()
    hparams.set_hparam("steps", 3)
    with pytest.raises(ValueError, match="Could not cast"):
        hparams.set_hparam("steps", True)
    with pytest.raises(ValueError, match="Could not cast"):
        hparams.set_hparam("steps", 1.5)
    with pytest.raises(KeyError, match="Unknown hyperparameter step. Known"):
        hparams.set_hparam("step", 1)
    hparams.add_hparam("more", "x")
    hparams.override_from_dict({"more": "y"}).parse_json('{"rate": 3}')
    hparams.del_hparam("flag")
    assert (hparams.steps, hparams.more, hparams.rate) == (3, "y", 3.0)
    assert "more" in hparams
    assert "flag" not in hparams
    assert hparams.get("flag", 5) == 5
    assert json.loads(hparams.to_json()) == hparams.values()
    assert repr(HParams(b=1, a="x")) == "HParams(a='x', b=1)"


def test_model_structure_is_kept():
    hparams = HParams(model_structure="net")
    assert hparams.get_model_structure() == "net"
    hparams.set_model_structure("other")
    assert hparams.get_model_structure() == "other"


def test_names_and_lists_that_cannot_be_added_are_errors():
    with pytest.raises(ValueError, match="Hyperparameter name is reserved: parse"):
        HParams(parse=1)
    with pytest.raises(ValueError, match="Multi-valued hyperparameters cannot be empty: sizes"):
        HParams(sizes=[])
    with pytest.raises(ValueError, match="hparam_def is not supported"):
        HParams(object())
