"""The benchmark of the server."""

import pytest

from benchmarks import serving


def test_the_verdict_compares_with_the_bare_model():
    times = {"bare model": (2.0, 1.0), "1 client": (2.2, 1.1), "16 clients": (1.0, 0.5)}
    latencies = [0.001 * number for number in range(1, 201)]
    assert serving.verdict("net", times, latencies, 100) == (
        "net: 16 clients 2.00 of the bare model's images/s (100/s), 1 client 1.10 of its latency"
        " (22.0 ms); latency of 16 clients: median 100 ms, 99 % below 199 ms"
    )


@pytest.mark.slow
def test_the_server_and_the_bare_model_are_timed(capsys):
    flags = ["--images=8", "--rounds=1", "--image_size=32", "--clients=2"]
    serving.main(["mobilenet_v1_025", *flags])
    assert capsys.readouterr().out.startswith("mobilenet_v1_025: 2 clients ")
