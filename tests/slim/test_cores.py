"""Counting the cores that a process may use."""

import os

import pytest

from slim import _cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity (Linux)")
def test_only_usable_cores_are_counted():
    allowed = os.sched_getaffinity(0)
    assert _cores.usable_cores() == len(allowed)
    os.sched_setaffinity(0, [min(allowed)])
    try:
        assert _cores.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_cores_without_sched_getaffinity_are_all_cores(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert _cores.usable_cores() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _cores.usable_cores() == 1
