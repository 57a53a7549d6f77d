"""Addresses of the workers, from the flags or TF_CONFIG."""

import json
import os

import pytest

from classifier.config import options
from classifier.config.strategy import StrategyOptions
from classifier.config.training import TrainConfig
from classifier.config.workers import WorkerOptions
from classifier.resolve import cluster, slurm
from slim import _checks

HOSTS = ("a:1", "b:2")
# The variables of `srun` with 4 tasks on 4 nodes.
SLURM = {
    "SLURM_JOB_ID": "200505",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "gnode[10,20,25,37]",
    "SLURM_STEP_NUM_NODES": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "1(x4)",
    "SLURM_PROCID": "2",
    "SLURM_NODEID": "2",
    "SLURM_LOCALID": "0",
}
POD = {"JOB_COMPLETION_INDEX": "1", "HOSTNAME": "example-job-1", "SLIM_SERVICE": "headless-svc"}


def environment(jobs, **task):
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": task})}


def of_one_job(job, count=1):
    return environment({job: [f"a:{port + 1}" for port in range(count)]}, type=job, index=0)


@pytest.mark.parametrize(
    "environ, options",
    [
        ({}, {"sync_replicas": True}),
        ({"TF_CONFIG": "x"}, {"cluster": "none"}),
        (of_one_job("chief"), {}),
        (SLURM | {"SLURM_STEP_NUM_TASKS": "2"}, {"cluster": "none"}),
    ],
)
def test_a_single_process(environ, options):
    assert cluster.resolve(StrategyOptions(**options), environ) == cluster.ALONE


@pytest.mark.parametrize("replicas", [1, 2])
def test_tf_config_describes_the_workers(replicas):
    environ = environment({"worker": HOSTS}, type="worker", index=1)
    workers = cluster.resolve(StrategyOptions(worker_replicas=replicas), environ)
    assert workers == cluster.Cluster(HOSTS, 1, "TF_CONFIG")
    config = options.build(TrainConfig, train_dir="x", dataset_dir="x", dataset_name="x")
    strategy = cluster.with_workers(config, workers).strategy
    assert (strategy.worker_replicas, strategy.task) == (2, 1)


def test_flags_take_precedence_over_tf_config():
    strategy = StrategyOptions(worker_replicas=2, task=1, master=("grpc://a:1", "b:2"))
    assert cluster.resolve(strategy, {"TF_CONFIG": "x"}) == cluster.Cluster(HOSTS, 1)


@pytest.mark.parametrize(
    "jobs, task, place",
    [
        ({"worker": HOSTS}, {"type": "worker", "index": 1}, 1),
        ({"chief": HOSTS[:1], "worker": HOSTS[1:]}, {"type": "worker", "index": 0}, 1),
        ({"chief": HOSTS[:1], "worker": HOSTS[1:]}, {"type": "chief", "index": "0"}, 0),
    ],
)
def test_hosts_and_task_from_tf_config(jobs, task, place):
    strategy = StrategyOptions(worker_replicas=2, cluster="tf_config")
    expected = cluster.Cluster(HOSTS, place, "TF_CONFIG")
    assert cluster.resolve(strategy, environment(jobs, **task)) == expected


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
            environment({"evaluator": ["a:1"], "worker": HOSTS}, type="evaluator", index=0),
            "TF_CONFIG: unsupported jobs: evaluator",
        ),
        (
            environment({"worker": ["a:1"]}, type="worker", index=0),
            "TF_CONFIG has 1 workers, but worker_replicas=2",
        ),
        (
            environment({"worker": HOSTS}, type="worker", index=2),
            "TF_CONFIG contradicts itself: this is worker 2, but its cluster has 2 of that job",
        ),
        (environment({"worker": HOSTS}, type="chief", index=0), "but its cluster has 0 of that"),
        (of_one_job("chief", 2), "TF_CONFIG has 2 chiefs. Allowed: one"),
        (environment({"worker": ["a", "b:2"]}, type="worker", index=0), "TF_CONFIG: 'a' is not ho"),
        (
            environment({"worker": ["a:1", "a:1"]}, type="worker", index=0),
            "TF_CONFIG has the address a:1 twice",
        ),
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


def on_slurm(nodes, tasks, **more):
    count = sum(slurm.tasks_per_node(tasks))
    return SLURM | {
        "SLURM_STEP_NODELIST": nodes, "SLURM_STEP_NUM_TASKS": str(count),
        "SLURM_STEP_TASKS_PER_NODE": tasks, "SLURM_PROCID": "0", "SLURM_NODEID": "0",
    } | more  # fmt: skip


@pytest.mark.parametrize(
    "environ, hosts, task",
    [
        (SLURM, ("gnode10:20080", "gnode20:20080", "gnode25:20080", "gnode37:20080"), 2),
        (
            on_slurm("localhost", "3", SLURM_PROCID="2"),
            ("localhost:20080", "localhost:20081", "localhost:20082"),
            2,
        ),
        (
            on_slurm("n[001-003,010]", "1(x4)", SLURM_PROCID="3", SLURM_NODEID="3"),
            ("n001:20080", "n002:20080", "n003:20080", "n010:20080"),
            3,
        ),
        (
            on_slurm("a1,r[1-2]n[8-9]", "1(x3),2(x2)"),
            ("a1:20080", "r1n8:20080", "r1n9:20080", "r2n8:20080", "r2n8:20081", "r2n9:20080",
             "r2n9:20081"),
            0,
        ),
        (
            on_slurm("n[8-9]", "2,1", SLURM_PROCID="1", SLURM_NODEID="1",
                     SLURM_DISTRIBUTION="cyclic", SLURM_STEP_RESV_PORTS="12000-12002"),
            ("n8:12000", "n9:12000", "n8:12001"),
            1,
        ),
    ],
)  # fmt: skip
def test_workers_of_a_slurm_step(environ, hosts, task):
    for name in ("auto", "slurm"):
        workers = cluster.resolve(StrategyOptions(cluster=name), environ)
        assert workers == cluster.Cluster(hosts, task, "Slurm")


def test_the_first_port_is_an_option():
    slurm = cluster.resolve(StrategyOptions(cluster_port=99), on_slurm("n[1-2]", "1,2"))
    assert slurm.hosts == ("n1:99", "n2:99", "n2:100")
    strategy = StrategyOptions(worker_replicas=2, cluster_port=99)
    assert cluster.resolve(strategy, POD).hosts[0] == "example-job-0.headless-svc:99"


@pytest.mark.parametrize("environ", [on_slurm("n1", "1"), {"SLURM_NTASKS": "4"}])
def test_a_slurm_allocation_of_one_task_or_without_srun_trains_alone(environ):
    assert cluster.resolve(StrategyOptions(), environ) == cluster.ALONE


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"SLURM_STEP_NODELIST": "n[1-"}, r"SLURM_STEP_NODELIST is invalid: 'n\[1-'"),
        ({"SLURM_STEP_NODELIST": "n[4-1]"}, "SLURM_STEP_NODELIST is invalid"),
        ({"SLURM_STEP_NODELIST": "n[1-999999999]"}, "SLURM_STEP_NODELIST is invalid"),
        ({"SLURM_STEP_NODELIST": "n[1-3]"}, "task 2 of 4, 3 nodes, 4 of which have 4 tasks"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x"}, "SLURM_STEP_TASKS_PER_NODE is invalid"),
        ({"SLURM_PROCID": "x"}, "SLURM_PROCID is invalid: 'x'"),
        ({"SLURM_PROCID": "4"}, "Slurm's variables contradict each other: task 4 of 4"),
        ({"SLURM_NODEID": "1"}, "Slurm placed task 2 on node 1, not 2: only the distributions"),
    ],
)
def test_invalid_variables_of_slurm(changed, message):
    with pytest.raises(_checks.UserError, match=message):
        cluster.resolve(StrategyOptions(), SLURM | changed)


def test_a_missing_variable_of_slurm():
    environ = {name: value for name, value in SLURM.items() if name != "SLURM_PROCID"}
    with pytest.raises(_checks.UserError, match="Slurm's variable SLURM_PROCID is not set"):
        cluster.resolve(StrategyOptions(), environ)


@pytest.mark.parametrize(
    "environ, hosts",
    [
        (POD, ("example-job-0.headless-svc:2222", "example-job-1.headless-svc:2222")),
        (
            {
                "JOB_COMPLETION_INDEX": "1",
                "HOSTNAME": "pytorch-workers-0-1",
                "SLIM_SERVICE": "pytorch",
            },
            ("pytorch-workers-0-0.pytorch:2222", "pytorch-workers-0-1.pytorch:2222"),
        ),
    ],
    ids=["Indexed Job", "JobSet"],
)  # fmt: skip
def test_workers_of_kubernetes(environ, hosts):
    for name in ("auto", "kubernetes"):
        workers = cluster.resolve(StrategyOptions(worker_replicas=2, cluster=name), environ)
        assert workers == cluster.Cluster(hosts, 1, "Kubernetes")
    independent = {name: value for name, value in environ.items() if name != "SLIM_SERVICE"}
    assert cluster.resolve(StrategyOptions(), independent) == cluster.ALONE


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"JOB_COMPLETION_INDEX": "3"}, "JOB_COMPLETION_INDEX=3 is not the last number of the pod"),
        ({"HOSTNAME": "example-job"}, "is not the last number of the pod's name example-job"),
        ({"SLIM_SERVICE": "a b"}, "SLIM_SERVICE is not a service name: a b"),
        (
            {"JOB_COMPLETION_INDEX": "2", "HOSTNAME": "j-2"},
            "worker_replicas=2 does not fit pod 2 of the job. Set it to the job's completions",
        ),
    ],
)
def test_invalid_variables_of_kubernetes(changed, message):
    with pytest.raises(_checks.UserError, match=message):
        cluster.resolve(StrategyOptions(worker_replicas=2), POD | changed)


@pytest.mark.parametrize(
    "name, message",
    [
        ("tf_config", "cluster=tf_config: TF_CONFIG is not set"),
        ("slurm", "cluster=slurm: SLURM_STEP_NUM_TASKS is not set. Start the workers with srun"),
        ("kubernetes", "cluster=kubernetes: JOB_COMPLETION_INDEX or SLIM_SERVICE is not set"),
    ],
)
def test_a_source_without_its_variables_is_an_error(name, message):
    with pytest.raises(_checks.UserError, match=message):
        cluster.resolve(StrategyOptions(cluster=name), {})


SERVERS = {"chief": ["c:1"], "worker": ["a:1", "b:2"], "ps": ["p:1", "q:2"]}
JOBS = [("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0), ("ps", 1)]


@pytest.mark.parametrize("task", range(5))
@pytest.mark.parametrize("source", ["TF_CONFIG", "", "Slurm"])
def test_parameter_servers_follow_the_coordinator_and_the_workers(source, task):
    hosts = ("c:1", "a:1", "b:2", "p:1", "q:2")
    values, environ = {"num_ps_tasks": 2, "worker_replicas": 2}, {}
    if source == "TF_CONFIG":
        job, index = JOBS[task]
        values, environ = {}, environment(SERVERS, type=job, index=index)
    elif source:
        environ = SLURM | {
            "SLURM_STEP_NODELIST": "n[1-5]", "SLURM_STEP_NUM_TASKS": "5",
            "SLURM_STEP_TASKS_PER_NODE": "1(x5)", "SLURM_PROCID": str(task),
            "SLURM_NODEID": str(task),
        }  # fmt: skip
        hosts = tuple(f"n{node}:{12000 + 200505 % 1000 * 16}" for node in range(1, 6))
    else:
        values |= {"master": tuple(f"grpc://{host}" for host in hosts), "task": task}
    resolved = cluster.resolve(StrategyOptions(**values), environ)
    assert resolved == cluster.Cluster(hosts, task, source, 2)
    assert (resolved.workers, resolved.job(task)) == (hosts[1:3], JOBS[task])
    paths = {"train_dir": "x", "dataset_dir": "x"}
    config = options.build(TrainConfig, dataset_name="x", steps_per_loop=2, **paths)
    strategy = cluster.with_workers(config, resolved).strategy
    assert (strategy.worker_replicas, strategy.num_ps_tasks, strategy.task) == (2, 2, task)
    assert (strategy.processes, strategy.replicas) == (5, 1)


def test_pods_of_parameter_servers():
    values = {"cluster": "kubernetes", "worker_replicas": 2, "num_ps_tasks": 1}
    resolved = cluster.resolve(StrategyOptions(**values), POD)
    assert (len(resolved.hosts), resolved.job(1)) == (4, ("worker", 0))
    environ = POD | {"JOB_COMPLETION_INDEX": "4", "HOSTNAME": "example-job-4"}
    with pytest.raises(_checks.UserError) as error:
        cluster.resolve(StrategyOptions(**values), environ)
    assert "the job's completions minus 1 and minus --num_ps_tasks=1" in error.value.as_flags


@pytest.mark.parametrize(
    "values, jobs, text",
    [
        (
            {"num_ps_tasks": 2, "worker_replicas": 2, "master": ("grpc://a:1",)},
            None,
            "--master has 1 addresses, but needs 5: of the coordinator, of --worker_replicas=2",
        ),
        ({"num_ps_tasks": 2}, None, "--num_ps_tasks=2 needs addresses: pass the same --master="),
        ({"num_ps_tasks": 1, "task": 3}, None, "--task=3 must be below 3, the coordinator, --work"),
        ({"num_ps_tasks": 1}, SERVERS, "TF_CONFIG has 2 parameter servers, but --num_ps_tasks=1"),
        ({"worker_replicas": 3}, SERVERS, "TF_CONFIG has 2 workers, but --worker_replicas=3"),
        ({}, SERVERS | {"chief": []}, "has parameter servers, but 0 chiefs and 2 workers"),
    ],
)
def test_contradictory_parameter_servers(values, jobs, text):
    environ = environment(jobs, type="worker", index=0) if jobs else {}
    with pytest.raises(_checks.UserError) as error:
        cluster.resolve(StrategyOptions(**values), environ)
    assert text in getattr(error.value, "as_flags", str(error.value))


def test_too_few_tasks_for_parameter_servers():
    with pytest.raises(_checks.UserError, match="Slurm has 4 processes, but num_ps_tasks=3 needs"):
        cluster.resolve(StrategyOptions(num_ps_tasks=3), SLURM)


def test_parameter_servers_only_train():
    environ = environment(SERVERS, type="worker", index=0)
    with pytest.raises(_checks.UserError, match="has parameter servers, which only train"):
        cluster.resolve(WorkerOptions(), environ)
