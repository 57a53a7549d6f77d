"""Selects the networks of a check, and marks those that are slow, exempt or without a record."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from nets import nets_factory
from tests.conformance import reference
from tests.conformance.exemptions import EXEMPTIONS

# Measured on two cores: tracing time follows the number of variables, the time to create or copy
# values the number of parameters.
SECONDS_PER_VARIABLE = 0.008
SECONDS_PER_MILLION_PARAMETERS = 0.25
FAST = 3.5  # limit of the fast tests, in seconds
# Networks that differ from a fast one in the width or number of their layers alone.
SIZES = (
    "mobilenet_v1_050",
    "mobilenet_v1_075",
    "mobilenet_v2_035",
    "mobilenet_v2_140",
    "mobilenet_edgetpu_075",
    "mobilenet_v3_large",
    "mobilenet_v3_large_minimalistic",
    "vgg_19",
)


class Cost(NamedTuple):
    """How often a check traces a network, and how often it creates or copies all its values."""

    traces: float
    values: float
    fast: float = FAST


COSTS = {
    "layout": Cost(traces=1, values=0),
    "heads": Cost(traces=2, values=0.1, fast=2.25),
    "behaviour": Cost(traces=3, values=1),
    "logits": Cost(traces=2, values=1),
    "training": Cost(traces=4, values=1),
}


def seconds(name: str, cost: Cost) -> float:
    """Returns the estimated seconds of a check of a network; 0 without a record."""
    if not reference.has_layout(name):
        return 0.0
    layout = reference.layout(name)
    variables = SECONDS_PER_VARIABLE * len(layout["variables"])
    values = SECONDS_PER_MILLION_PARAMETERS * layout["trainable_parameters"] / 1e6
    return cost.traces * variables + cost.values * values


def networks(
    check: str,
    kind: str,
    names: Iterable[str] = tuple(nets_factory.NETWORKS),
    needs_record: bool = False,
) -> list[Any]:
    """Returns a check's parameters: names, slow ones marked, exempt ones expected to fail.

    Args:
      check: name of the test function, as in `EXEMPTIONS`.
      kind: a key of `COSTS`.
      names: the networks; all by default.
      needs_record: whether to skip networks without a record, saying how to write one.
    """
    return [
        pytest.param(name, marks=_marks(name, check, COSTS[kind], needs_record)) for name in names
    ]


def _marks(name: str, check: str, cost: Cost, needs_record: bool) -> list[Any]:
    if needs_record and not reference.has_layout(name):
        return [pytest.mark.skip(reason=reference.missing_layout(name))]
    is_slow = name in SIZES or seconds(name, cost) > cost.fast
    marks = [pytest.mark.slow] if is_slow else []
    if reason := EXEMPTIONS.get(name, {}).get(check):
        # Strict: an exemption whose check passes is stale and fails the test.
        marks.append(pytest.mark.xfail(reason=reason, strict=True))
    return marks
