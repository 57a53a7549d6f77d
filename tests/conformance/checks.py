"""Which networks a check runs on, and which of these are slow or exempt: no lists of names."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from nets import nets_factory
from tests.conformance import reference
from tests.conformance.exemptions import EXEMPTIONS

# Measured on two cores: tracing goes by the variables, making and moving values by the parameters.
SECONDS_PER_VARIABLE = 0.008
SECONDS_PER_MILLION_PARAMETERS = 0.25
FAST = 3.5  # seconds, up to which a network is among the fast tests


class Cost(NamedTuple):
    """How often a check traces a network, and how often it makes or moves all its values."""

    traces: float
    values: float


COSTS = {
    "layout": Cost(traces=1, values=0),
    "heads": Cost(traces=2, values=0),
    "behaviour": Cost(traces=3, values=1),
    "logits": Cost(traces=2, values=1),
    "training": Cost(traces=4, values=1),
}


def seconds(name: str, cost: Cost) -> float:
    """Returns about how long a check of a network takes; 0 without a layout, where it fails."""
    if name not in reference.names(reference.LAYOUTS):
        return 0.0
    layout = reference.layout(name)
    variables = SECONDS_PER_VARIABLE * len(layout["variables"])
    values = SECONDS_PER_MILLION_PARAMETERS * layout["trainable_parameters"] / 1e6
    return cost.traces * variables + cost.values * values


def networks(
    check: str, kind: str, names: Iterable[str] = tuple(nets_factory.NETWORKS)
) -> list[Any]:
    """Returns a check's parameters: names, slow ones marked, exempt ones expected to fail.

    Args:
      check: name of the test function, as exemptions name it.
      kind: a key of `COSTS`.
      names: the networks; all by default.
    """
    return [pytest.param(name, marks=_marks(name, check, COSTS[kind])) for name in names]


def _marks(name: str, check: str, cost: Cost) -> list[Any]:
    marks = [pytest.mark.slow] if seconds(name, cost) > FAST else []
    reason = EXEMPTIONS.get(name, {}).get(check)
    # Strict: an exemption whose check passes is stale and fails the test.
    return marks + ([pytest.mark.xfail(reason=reason, strict=True)] if reason else [])
