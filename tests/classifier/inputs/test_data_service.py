"""Batches from the worker of a tf.data service on the loopback interface."""

import contextlib
import json
import socket
import subprocess
import sys

import pytest

from classifier import inputs
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.inputs import data_service
from slim import _checks
from tests.classifier import toys

# A process that knows nothing of this project.
SERVER = """
import sys
import tensorflow as tf

service = tf.data.experimental.service
dispatcher = service.DispatchServer()
address = dispatcher.target.removeprefix("grpc://")
config = service.WorkerConfig(dispatcher_address=address)
workers = [service.WorkerServer(config) for _ in range(int(sys.argv[1]))]
print("grpc://" + address, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def served(folder, workers):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(workers)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(tmp_path_factory.mktemp("elsewhere"), 1) as target:
        yield target


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return toys.load(toys.write(tmp_path_factory.mktemp("toy")))


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 25 * 7])
def test_the_batches_are_the_same_in_the_same_order(toy, address, start):
    settings = {"start_index": start, "mixing": inputs.Mixing(seed=5, clones=1, mixup_alpha=0.2)}
    actual = toys.first(toys.training(toy, data_service=address, **settings), 18)
    toys.assert_same(actual, toys.first(toys.training(toy, **settings), 18))


@pytest.mark.slow
def test_one_workers_parts_of_the_batches_are_in_their_order(toy, address):
    settings = {"start_index": 80, "worker": (1, 2), "batch_size": 8}
    actual = toys.first(toys.training(toy, data_service=address, **settings), 18)
    toys.assert_same(actual, toys.first(toys.training(toy, **settings), 18))


@pytest.mark.slow
def test_two_workers_are_refused(toy, tmp_path):
    with served(tmp_path, 2) as target:
        message = f"^The tf.data service at '{target}' returned batches twice or out of order"
        with pytest.raises(_checks.UserError, match=message), inputs.translate_errors(toy):
            toys.first(toys.training(toy, data_service=target), 200)


@pytest.mark.slow
@pytest.mark.parametrize("worker", [(0, 1), (1, 2)])
def test_workers_with_dispatchers_of_their_own_take_turns(toy, address, tmp_path, worker):
    mixing = inputs.Mixing(seed=5, clones=1, mixup_alpha=0.2)
    settings = {"start_index": 24, "worker": worker, "batch_size": 8, "mixing": mixing}
    with served(tmp_path, 1) as second, served(tmp_path, 1) as third:
        services = ",".join([address, second, third])
        actual = toys.first(toys.training(toy, data_service=services, **settings), 20)
    toys.assert_same(actual, toys.first(toys.training(toy, **settings), 20))


def test_an_address_that_occurs_twice_is_an_error():
    assert data_service.addresses("grpc://a:1,grpc://b:1") == ["grpc://a:1", "grpc://b:1"]
    with pytest.raises(_checks.UserError, match="data_service: 'grpc://a:1' occurs twice"):
        data_service.addresses("grpc://a:1,grpc://a:1")


@pytest.mark.slow
def test_bad_data_is_named(tmp_path, address):
    records = toys.images(60)
    records[17] = records[17]._replace(label=6)
    dataset = toys.load(toys.write(tmp_path, records=records))
    with pytest.raises(
        _checks.UserError, match=f"^Label 6 of 'café/017.png' .{toys.SHARD}, record"
    ):
        toys.run(dataset, "training", data_service=address)
    records[17] = records[17]._replace(label=5, encoded=b"x")
    dataset = toys.load(toys.write(tmp_path, records=records))
    with pytest.raises(_checks.RunError, match="^Cannot decode image 'café/017.png'"):
        toys.run(dataset, "training", data_service=address)


@pytest.mark.slow
def test_a_run_trains_on_them(train, tmp_path, address):
    finals = []
    for more in ({}, {"data_service": address}):
        folder = tmp_path / str(len(more))
        done = train(folder, log_every_n_steps=1, **more)
        assert (done.code, done.err) == (0, [])
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        finals.append([json.loads(line)["loss"] for line in lines])
    assert finals[0] == finals[1]
    done = train(tmp_path / "skip", data_service=address, on_bad_image="skip")
    assert (done.code, done.err) == (
        2,
        ["train: --on_bad_image=skip cannot be used with --data_service"],
    )


def test_unreachable_server_is_an_error(toy):
    with socket.socket() as held:
        held.bind(("localhost", 0))
        port = held.getsockname()[1]
        with pytest.raises(_checks.UserError, match=f":{port}': no tf.data service dispatcher"):
            toys.training(toy, data_service=f"grpc://localhost:{port}")


@pytest.mark.parametrize("address", ["host:1", "grpc://host", "grpc://:1", "grpc://host:a"])
def test_invalid_address_is_an_error(address):
    with pytest.raises(_checks.UserError, match=f"data_service='{address}' must be grpc://host"):
        data_service.split_address(address)


def test_addresses():
    assert data_service.split_address("grpc://feeder:5000") == ("feeder", 5000)
    assert data_service.split_address("grpc://[::1]:5000") == ("::1", 5000)


def test_cache_with_a_data_service_is_an_error():
    flags = {"train_dir": "run", "dataset_dir": "data", "cache": "memory"}
    with pytest.raises(_checks.UserError, match="^cache has no effect with data_service"):
        options.build(TrainConfig, **flags, data_service="grpc://host:1")
