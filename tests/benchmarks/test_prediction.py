"""The benchmark of prediction."""

import pytest

from benchmarks import prediction


def test_the_verdict_compares_with_the_slower_half():
    times = {
        "predict": (2.0, 1.0),
        "reading and decoding": (0.5, 0.25),
        "network": (1.9, 0.95),
        "one after the other": (2.4, 1.2),
    }
    assert prediction.verdict("net", times, 100) == (
        "net: 0.950 of the rate of network alone, target of 0.9 reached; 1.200 of one half"
        " after the other; images/s: predict 50, reading and decoding 200, network 53, one after"
        " the other 42"
    )
    times["network"] = (1.0, 0.5)
    assert "0.500 of the rate of network alone, target of 0.9 missed" in prediction.verdict(
        "net", times, 100
    )


@pytest.mark.slow
def test_prediction_and_its_halves_are_timed(capsys):
    prediction.main(["mobilenet_v1_025", "--images=4", "--rounds=1", "--image_size=32"])
    output = capsys.readouterr().out
    assert output.startswith("mobilenet_v1_025: ")
    assert "load average: " in output
