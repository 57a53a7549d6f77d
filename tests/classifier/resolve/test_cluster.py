"""Addresses of the workers, from the flags or TF_CONFIG."""

import json
import os

import pytest

from classifier.config.strategy import StrategyOptions
from classifier.resolve import cluster
from slim import _checks

HOSTS = ("a:1", "b:2")


def environment(jobs, **task):
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": task})}


def test_a_single_process_ignores_tf_config():
    alone = cluster.resolve(StrategyOptions(), {"TF_CONFIG": "x"})
    assert alone == cluster.Cluster((), 0)
    assert cluster.resolve(StrategyOptions(sync_replicas=True), {}) == alone


def test_flags_take_precedence_over_tf_config():
    options = StrategyOptions(worker_replicas=2, task=1, master=("grpc://a:1", "b:2"))
    assert cluster.resolve(options, {"TF_CONFIG": "x"}) == cluster.Cluster(HOSTS, 1)


@pytest.mark.parametrize(
    "jobs, task, place",
    [
        ({"worker": HOSTS}, {"type": "worker", "index": 1}, 1),
        ({"chief": HOSTS[:1], "worker": HOSTS[1:]}, {"type": "worker", "index": 0}, 1),
        ({"chief": HOSTS[:1], "worker": HOSTS[1:]}, {"type": "chief", "index": "0"}, 0),
    ],
)
def test_hosts_and_task_from_tf_config(jobs, task, place):
    options = StrategyOptions(worker_replicas=2)
    assert cluster.resolve(options, environment(jobs, **task)) == cluster.Cluster(HOSTS, place)


@pytest.mark.parametrize(
    "environ, message",
    [
        ({}, "worker_replicas=2 needs the workers' addresses: pass the same master=host0:port"),
        ({"TF_CONFIG": "x"}, "TF_CONFIG is not valid JSON with cluster and task .*: 'x'"),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG is not valid JSON with cluster and task"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "is not valid JSON with cluster and t"),
        ({"TF_CONFIG": "[" * 5000}, "nested deeper than 64 levels"),
        ({"TF_CONFIG": '{"cluster": [], "task": {}}'}, r"cluster is \[\], expected an object"),
        (
            {"TF_CONFIG": '{"cluster": {"worker": "ab"}}'},
            r'worker is "ab", expected a list',
        ),
        (
            {"TF_CONFIG": '{"cluster": {"worker": [1]}}'},
            r"worker.0 is 1, expected a string",
        ),
        ({"TF_CONFIG": os.fsdecode(b'"\xff"')}, "not UTF-8"),
        (environment({}, type="worker", index=True), "task.index is true, expected"),
        (environment({}, type="worker", index=-1), "task.index is -1, expected"),
        (environment({}, type="worker", index=10**30), "is too large"),
        (environment({}, type="worker", index=None), "task.index is null, expected"),
        (environment({}, type=["worker"], index=0), "task.type is .*, expected a string"),
        (
            environment({"\x1b[2J": ["a:1"]}, type="worker", index=0),
            r"unsupported jobs: \\x1b\[2J",
        ),
        (
            environment({"ps": ["a:1"], "worker": HOSTS}, type="ps", index=0),
            "TF_CONFIG: unsupported jobs: ps",
        ),
        (
            environment({"worker": ["a:1"]}, type="worker", index=0),
            "TF_CONFIG has 1 workers, but worker_replicas=2",
        ),
        (environment({"worker": HOSTS}, type="worker", index=2), "makes this task 2 of 2 workers"),
    ],
)
def test_an_invalid_tf_config_is_an_error(environ, message):
    with pytest.raises(_checks.UserError, match=message):
        cluster.resolve(StrategyOptions(worker_replicas=2), environ)


def test_a_contradiction_of_tf_config_and_task_is_an_error():
    environ = environment({"worker": HOSTS}, type="worker", index=0)
    with pytest.raises(_checks.UserError, match="makes this task 0 of 2 workers, but task=1"):
        cluster.resolve(StrategyOptions(worker_replicas=2, task=1), environ)


@pytest.mark.parametrize(
    "values, message",
    [
        (
            {"sync_replicas": True, "worker_replicas": 2},
            "replicas_to_aggregate=1 must equal worker_",
        ),
        ({"sync_replicas": True, "replicas_to_aggregate": 2}, "=2 must equal worker_replicas=1"),
        ({"replicas_to_aggregate": 2}, "replicas_to_aggregate=2 needs sync_replicas"),
    ],
)
def test_a_step_must_aggregate_one_gradient_per_worker(values, message):
    with pytest.raises(_checks.UserError, match=message):
        cluster.resolve(StrategyOptions(**values), {})
