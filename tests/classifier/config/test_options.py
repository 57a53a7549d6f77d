import dataclasses
import functools

import pytest

from classifier.config import options
from classifier.config.options import Options, option, required
from classifier.config.problems import Problem, named
from slim import _checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cooking(Options):
    """The kitchen."""

    dish: str = required("What to cook.")
    minutes: int = option(10, "Minutes on the fire.", check=_checks.positive)
    heat: float = option(0.5, "Share.", check=functools.partial(_checks.in_range, 0, 1))
    tools: tuple[str, ...] = option((), "Tools.", choices=("pan", "pot"))
    tray: tuple[int, int] | None = option(None, "Centimetres.")
    lid: bool = option(False, "Cover it.")
    turns: tuple[int, ...] = option((), "Minutes after which to turn it.")
    shares: tuple[float, ...] = option((), "Of each spice.")

    def conflicts(self):
        if self.lid and self.tray:
            yield Problem("{} does not fit {}", named("lid"), named("tray"))


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("minutes", "12", 12),
        ("heat", "1e-1", 0.1),
        ("tools", "pan, pot", ("pan", "pot")),
        ("tools", "", ()),
        ("tray", "30", (30, 30)),
        ("tray", "30,40", (30, 40)),
        ("tray", "", None),
        ("lid", "True", True),
        ("turns", "3, 5", (3, 5)),
        ("turns", "", ()),
        ("shares", "0.5,2", (0.5, 2.0)),
        ("lid", "f", False),
        ("dish", "soup, hot", "soup, hot"),
    ],
)
def test_texts_become_values_of_the_declared_kind(name, text, value):
    assert options.by_name(Cooking)[name].parse(text) == value


@pytest.mark.parametrize(
    "name, text, meaning",
    [
        ("minutes", "1.5", "'1.5' is not an integer"),
        ("minutes", "", "'' is not an integer"),
        ("heat", "nan", "'nan' is not a number"),
        ("heat", "inf", "'inf' is not a number"),
        ("tray", "1,2,3", "'1,2,3' is not a size such as 224"),
        ("turns", "3,x", "'3,x' is not a list of integers"),
        ("shares", "1,,2", "'1,,2' is not a list of numbers"),
        ("lid", "yes please", "'yes please' is not true or false"),
    ],
)
def test_text_of_another_kind_is_an_error(name, text, meaning):
    with pytest.raises(_checks.UserError, match=meaning):
        options.by_name(Cooking)[name].parse(text)


def test_all_problems_of_a_group_are_reported_at_once():
    with pytest.raises(_checks.UserError) as caught:
        Cooking(dish=" ", minutes=0, heat=2.0, tools=("pan", "pto"))
    assert str(caught.value).splitlines() == [
        "dish=' ' has an empty item (a space after a comma?)",
        "minutes=0 must be positive",
        "heat=2.0 must lie between 0 and 1",
        "tools='pto' is not known; did you mean 'pot'? Known: pan, pot",
    ]


def test_conflicts_are_looked_for_when_each_option_is_in_order():
    with pytest.raises(_checks.UserError, match="^lid does not fit tray$"):
        Cooking(dish="soup", lid=True, tray=(1, 2))


def test_build_names_unknown_and_missing_options():
    with pytest.raises(_checks.UserError) as caught:
        options.build(Cooking, minuts=3)
    assert str(caught.value).splitlines() == [
        "Unknown option minuts; did you mean 'minutes'?",
        "dish is required: What to cook.",
    ]


def test_flatten_undoes_build():
    values = {
        "dish": "soup",
        "tray": [1, 2],
        "tools": ["pan"],
        "lid": False,
        "turns": [],
        "shares": [],
    }
    built = options.build(Cooking, dish="soup", tray=(1, 2), tools=("pan",))
    assert options.flatten(built) == {"minutes": 10, "heat": 0.5, **values}


def test_the_title_of_a_group_is_its_docstring():
    (group,) = options.groups_of(Cooking)
    assert (group.attribute, group.title) == ("", "The kitchen")
