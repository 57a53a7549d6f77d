"""The launchers in scripts/cluster: what they start, and what they do when it ends."""

import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
import yaml

from classifier.cli import flags
from classifier.config.training import TrainConfig
from classifier.resolve import cluster

CLUSTER = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "cluster"

# Instead of the training script: each start exits with the next code of its task, or waits.
STUB = """
import json, pathlib, signal, sys, time
flags = dict(flag[2:].partition("=")[::2] for flag in sys.argv[1:])
place = pathlib.Path(flags["place"])
mine = place / (flags["task"] + ".starts")
starts = mine.read_text().splitlines() if mine.exists() else []
mine.write_text("\\n".join([*starts, json.dumps(flags)]))
print("task", flags["task"], flush=True)
code = json.loads(flags["codes"])[flags["task"]][len(starts)]
signal.signal(signal.SIGTERM, lambda *arguments: sys.exit(75))
if code == 0:  # after those that fail
    time.sleep(float(flags.get("delay", 0)))
if code == "wait":
    time.sleep(60)
sys.exit(code)
"""


@pytest.fixture
def local(monkeypatch):
    spec = importlib.util.spec_from_file_location("local", CLUSTER / "local.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before = {number: signal.getsignal(number) for number in range(1, 16) if number != 9}
    monkeypatch.setattr(
        module, "_command", lambda name: [sys.executable, "-c", STUB, f"--script={name}"]
    )
    monkeypatch.setattr(module, "_POLL", 0.05)
    yield module
    for number, handler in before.items():
        if handler is not None:
            signal.signal(number, handler)


def launch(local, place, codes, *more):
    code = local.main([*more, f"--place={place}", f"--codes={json.dumps(codes)}"])
    starts = {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in place.glob("*.starts")
    }
    return code, starts


def test_processes_are_started_as_one_job(local, tmp_path, capsys):
    code, starts = launch(local, tmp_path, {"0": [0], "1": [0], "2": [0]}, "--workers=3")
    assert code == 0
    first = [each[0] for _, each in sorted(starts.items())]
    assert [each["task"] for each in first] == ["0", "1", "2"]
    assert {each["worker_replicas"] for each in first} == {"3"}
    (master,) = {each["master"] for each in first}
    assert {each["script"] for each in first} == {"train_image_classifier"}
    assert len(set(re.findall(r"127\.0\.0\.1:\d+", master))) == 3
    assert "[2] task 2\n" in capsys.readouterr().out


def test_a_single_process_trains_alone(local, tmp_path):
    code, starts = launch(local, tmp_path, {"0": [0]}, "--workers=1")
    (started,) = starts["0"]
    own = {
        name: value for name, value in started.items() if name not in ("place", "codes", "script")
    }
    arguments = [f"--{name}={value}" for name, value in own.items()]
    run = [f"--train_dir={tmp_path}", f"--dataset_dir={tmp_path}"]
    config = flags.parse(TrainConfig, ["slim-train", *run, *arguments])
    assert (code, cluster.resolve(config.strategy, {})) == (0, cluster.ALONE)


def test_the_launcher_evaluates_too(local, tmp_path):
    name = "eval_image_classifier"
    _, starts = launch(local, tmp_path, {"0": [0], "1": [0]}, f"--script={name}")
    assert [each["script"] for each in starts["0"] + starts["1"]] == [name, name]


@pytest.mark.parametrize(
    "codes, restarts, code, starts",
    [
        ({"0": [1, 0], "1": [-9, 0]}, 2, 0, 2),
        ({"0": [1, 1], "1": [1, 1]}, 1, 1, 2),
        ({"0": [2, 0], "1": [2, 0]}, 3, 2, 1),
        ({"0": [75, 0], "1": [75, 0]}, 1, 0, 2),
        ({"0": [75], "1": [75]}, 0, 75, 1),
    ],
)
def test_a_failed_job_is_started_again(local, tmp_path, codes, restarts, code, starts):
    result, started = launch(local, tmp_path, codes, f"--max_restarts={restarts}")
    assert (result, len(started["0"]), len(started["1"])) == (code, starts, starts)


def test_a_worker_of_parameter_servers_is_started_again_alone(local, tmp_path, capsys):
    flags = ("--workers=2", "--ps=1", "--max_restarts=1", "--delay=1")
    codes = {"0": [0], "1": [1, 0], "2": [1], "3": [0]}
    code, starts = launch(local, tmp_path, codes, *flags)
    first = [each[0] for _, each in sorted(starts.items())]
    assert {(each["worker_replicas"], each["num_ps_tasks"]) for each in first} == {("2", "1")}
    assert len(first[0]["master"].split(",")) == len(first) == 4
    assert code == 0  # the coordinator's
    assert sorted(len(each) for each in starts.values()) == [1, 1, 1, 2]
    assert "restart 1 of 1: task" in capsys.readouterr().err


def test_a_process_that_does_not_end_is_killed(local, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(local, "_LAST_SECONDS", 0.2)
    code, _ = launch(local, tmp_path, {"0": [1], "1": ["wait"]})
    assert code == 1
    error = capsys.readouterr().err
    assert "worker 1 does not end: killed" in error
    assert "worker 0 ended with exit code 1" in error


def test_a_signal_reaches_all_processes_once(local, tmp_path):
    def send():
        while len(list(tmp_path.glob("*.starts"))) < 2:
            time.sleep(0.02)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send).start()
    codes = {"0": ["wait"] * 2, "1": ["wait"] * 2}
    code, starts = launch(local, tmp_path, codes, "--max_restarts=3")
    assert (code, len(starts["0"])) == (75, 1)


@pytest.mark.parametrize("flag", ["--workers=0", "--max_restarts=-1"])
def test_invalid_flags_of_the_launcher(local, flag, capsys):
    with pytest.raises(SystemExit) as end:
        local.main([flag])
    assert end.value.code == 2
    assert "must be positive" in (error := capsys.readouterr().err) or "be negative" in error


@pytest.mark.parametrize("code", [0, 1, 75])
def test_the_slurm_job_is_queued_again_after_it_saved(tmp_path, code):
    for name, line in {
        "srun": f'printf "%s\\n" "$@" > {tmp_path}/srun; exit {code}',
        "scontrol": f'echo "$@" > {tmp_path}/scontrol',
    }.items():
        (tmp_path / name).write_text("")
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
    done = subprocess.run(
        ["bash", str(CLUSTER / "slurm.sbatch"), "--train_dir=/a b", "--seed=1"],
        env=os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "7"},
        check=False,
    )
    assert done.returncode == code
    assert (tmp_path / "scontrol").read_text() == ("requeue 7\n" if code == 75 else "")
    arguments = (tmp_path / "srun").read_text().splitlines()
    assert arguments[2] == "slim-train"
    assert arguments[-2:] == ["--train_dir=/a b", "--seed=1"]


def of_manifest(name):
    """Returns the objects of a manifest by kind, the Job's spec, and the headless service."""
    objects = list(yaml.safe_load_all((CLUSTER / name).read_text()))
    kinds = {each["kind"]: each for each in objects}
    if "JobSet" not in kinds:
        return kinds, kinds["Job"]["spec"], kinds["Service"]["metadata"]["name"], "slim-train"
    (replicated,) = kinds["JobSet"]["spec"]["replicatedJobs"]
    service = kinds["JobSet"]["metadata"]["name"]
    return kinds, replicated["template"]["spec"], service, f"{service}-{replicated['name']}-0"


@pytest.mark.parametrize("name", ["kubernetes_job.yaml", "jobset.yaml"])
def test_the_pods_of_a_manifest_are_the_workers(name, tmp_path):
    kinds, job, service, prefix = of_manifest(name)
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["SLIM_SERVICE"] == service == pod.get("subdomain", service)
    arguments = [flag.replace("/data/flowers", str(tmp_path)) for flag in container["args"]]
    arguments = [flag.replace("/data/runs", str(tmp_path)) for flag in arguments]
    config = flags.parse(TrainConfig, ["slim-train", *arguments])
    assert config.strategy.worker_replicas == job["completions"] == job["parallelism"]
    pod_3 = environment | {"JOB_COMPLETION_INDEX": "3", "HOSTNAME": f"{prefix}-3"}
    workers = cluster.resolve(config.strategy, pod_3)
    port = container["ports"][0]["containerPort"]
    expected = tuple(f"{prefix}-{index}.{service}:{port}" for index in range(4))
    assert workers == cluster.Cluster(expected, 3, "Kubernetes")
    labels = kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    if "Service" in kinds:
        assert kinds["Service"]["spec"]["selector"] == labels == {"job-name": prefix}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kubernetes_job.yaml", "jobset.yaml"])
def test_manifests_fit_the_schemas_of_kubernetes(name):
    validate = pytest.importorskip("kubernetes_validate")
    objects = [*yaml.safe_load_all((CLUSTER / name).read_text())]
    for each in objects:
        if each["kind"] == "JobSet":  # its Jobs are those of Kubernetes
            job = each["spec"]["replicatedJobs"][0]["template"]
            each = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}} | job
        validate.validate(each, "1.34", strict=True)
