"""The parts of a launch."""

import pytest

from benchmarks import start


def test_a_part_within_another_one_counts_once(monkeypatch):
    now = iter([1.0, 3.0, 7.0, 8.0, 10.0])
    monkeypatch.setattr(start.time, "time", lambda: next(now))
    parts = start.Parts(launch=0.0)
    with parts.inside("trace"), parts.inside("variables"):
        pass
    parts.mark("other")
    assert parts.seconds == {"other": 3.0, "trace": 3.0, "variables": 4.0}


def test_unknown_networks_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        start.main(["resnet"])
    allowed = "lenet, resnet_v1_50, nasnet_large"
    assert f"unknown network: resnet. Allowed: {allowed}" in capsys.readouterr().err
