"""Limits of requests, connections and clients, and the stop."""

import concurrent.futures
import json
import socket
import time

import pytest

from classifier.serving import server
from tests.classifier.serving import servers
from tests.classifier.serving.servers import (
    HEALTH,
    IMAGES,
    START,
    encoded,
    received,
    send,
    slowed,
    wait_until,
)


def test_other_bodies_are_not_kept_and_take_no_place_of_a_request(model):
    with servers.running(model, max_batch_size=1, max_concurrent_requests=1) as client:
        body = b"x" * 2_000_000
        status, _, value = client.ask("/healthz", body, "GET")
        assert (status, value) == (200, "ok\n")
        slow = send(client, START.replace(b"POST /v1/models/lenet:predict", b"GET /healthz"))
        refused = send(client, START.replace(b"lenet:", b"other:"))
        wait_until(lambda: client.service.telemetry.active == 2)
        assert client.service.admitted == 0
        assert client.predict({"instances": [encoded(IMAGES[0])]})[0] == 200
        slow.close()
        refused.close()


def test_limits_are_options(model):
    with servers.running(
        model, max_batch_size=1, max_request_mb=1, max_instances=2, max_pixels=900
    ) as client:
        status, value = client.predict(b"x" * 1_000_001)
        assert (status, value) == (413, {"error": "The body is larger than 1 MB"})
        status, value = client.predict(b"x" * 400_000 for _ in range(3))
        assert (status, value) == (413, {"error": "The body is larger than 1 MB"})
        body = {"instances": [encoded(IMAGES[0])] * 3}
        assert "Allowed: 1 to 2" in client.predict(body)[1]["error"]


def test_max_pixels_acts(lenet_run):
    model = servers.load(lenet_run, max_pixels=783)
    with servers.running(model, max_batch_size=1, max_pixels=783) as client:
        status, value = client.predict({"instances": [encoded(IMAGES[0])]})
    assert status == 400
    assert value["error"] == "image 0: has 28 x 28 pixels, more than max_pixels=783"


@pytest.mark.parametrize("content", [b"", b"GET / HT", START, START[:-5].replace(b"100", b"9")])
def test_a_slow_client_is_disconnected(model, content):
    with servers.running(model, max_batch_size=1, client_timeout_secs=0.3) as client:
        start = time.monotonic()
        assert received(send(client, content)) == b""
        assert 0.2 < time.monotonic() - start < 10
        wait_until(lambda: client.service.telemetry.active == 0)


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        START.replace(b"100", b"9" * 30) + b"\r\n",
        START.replace(b"100", b"9" * 5000) + b"\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) * 4,
    ],
)
def test_malformed_http_is_refused(model, client, content, capfd):
    sock = send(client, content)
    sock.shutdown(socket.SHUT_WR)
    answer = received(sock)
    assert not answer or answer.split()[1][:1] == b"4"
    assert "Traceback" not in capfd.readouterr().err
    assert client.ask("/healthz")[0] == 200


def test_too_many_connections_are_refused(model, monkeypatch):
    monkeypatch.setattr(server, "_MAX_CONNECTIONS", 2)
    with servers.running(model, max_batch_size=1) as client:
        idle = [send(client, b"") for _ in range(2)]
        answer = received(send(client, HEALTH))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in answer
        idle.pop().close()
        wait_until(lambda: b" 200 " in received(send(client, HEALTH)))
        idle.pop().close()


def test_requests_over_the_limit_are_asked_to_retry(model):
    body = {"instances": [encoded(IMAGES[0])]}
    with (
        servers.running(slowed(model, 0.5), max_batch_size=1, max_concurrent_requests=2) as client,
        concurrent.futures.ThreadPoolExecutor(5) as pool,
    ):
        path = client.model + ":predict"
        answers = list(pool.map(lambda _: client.ask(path, body), range(5)))
        assert client.ask("/healthz")[0] == 200
    statuses = [status for status, _, _ in answers]
    assert sorted(set(statuses)) == [200, 503]
    for status, headers, value in answers:
        if status == 503:
            assert headers["Retry-After"] == "1"
            assert value == {"error": "The server is busy. Send the request again later"}


def test_the_work_of_a_client_that_is_gone_counts_until_it_is_done(model):
    with servers.running(slowed(model, 0.4), max_batch_size=1, batch_timeout=0) as client:
        body = json.dumps({"instances": [encoded(IMAGES[0])]}).encode()
        sock = send(client, START[:-1].replace(b"100", b"%d" % len(body)) + body)
        wait_until(lambda: client.service.telemetry.active == 1)
        time.sleep(0.1)
        sock.close()
        time.sleep(0.1)
        assert client.service.telemetry.active == 1
        wait_until(lambda: client.service.telemetry.active == 0)
        line = 'slim_requests_total{action="predict",status="499"} 1'
        assert line in client.ask("/metrics")[2].splitlines()


def test_a_stop_answers_the_accepted_requests(model):
    body = json.dumps({"instances": [encoded(IMAGES[0])]}).encode()
    head = b"POST /v1/models/lenet:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    with servers.running(slowed(model, 0.2), max_batch_size=2, batch_timeout=0) as client:
        kept = client.connection()
        assert servers.ask(kept, "/healthz")[0] == 200
        socks = [send(client, head % len(body) + body) for _ in range(6)]
        partial = send(client, head % len(body) + body[:10])
        time.sleep(0.1)
        client.stop.set()
        partial.sendall(body[10:])
        kept.request("POST", "/v1/models/lenet:predict", body)
        assert kept.getresponse().status == 200
        kept.close()
        for sock in (*socks, partial):
            assert received(sock).startswith(b"HTTP/1.1 200 OK")
    assert client.results == [True]
    with pytest.raises(ConnectionRefusedError):
        client.ask("/healthz")


def test_a_stop_waits_no_longer_than_its_timeout(model):
    with servers.running(model, max_batch_size=1, stop_timeout_secs=0.1) as client:
        sock = send(client, START)
        wait_until(lambda: client.service.telemetry.active == 1)
    assert client.results == [False]
    sock.close()
