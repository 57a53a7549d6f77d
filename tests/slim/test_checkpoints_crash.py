"""SIGKILL at every file operation of a save and at random moments; evaluation during training.

One process imports TensorFlow and is forked for each life of the trainer.
"""

import json
import os
import subprocess
import sys

import pytest

TRAINER = """
import json, os, random, shutil, signal, sys, tempfile, time
import tensorflow as tf
from slim import checkpoints

def values(step):
    return {"w": tf.fill([20000], float(step)), "global_step": tf.constant(step, tf.int64)}

def life(directory, log, saves, body=lambda: None):
    variables = {"w": tf.Variable(tf.zeros([20000])), "global_step": tf.Variable(0, dtype=tf.int64)}
    manager = checkpoints.Checkpoints(directory, max_to_keep=2)
    restored = manager.restore_latest(variables)
    step = restored.step if restored else 0
    assert variables["w"].numpy().min() == variables["w"].numpy().max() == step
    assert variables["global_step"].numpy() == step
    report(log, {"restored": step, "unreadable": restored and restored.unreadable})
    body()
    for step in range(step + 1, step + 1 + saves):
        manager.save(step, values(step))
        report(log, {"saved": step, "files": sorted(os.listdir(directory))})

def report(log, record):
    with open(log, "a") as file:
        file.write(json.dumps(record) + "\\n")

def fork(function, *args):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            function(*args)
            code = 0
        finally:
            os._exit(code)
    return pid
"""

EVERY_STEP = """
def doomed(directory, log, saves, fatal):
    # Dies just before file operation number `fatal`.
    count = 0
    def wrap(module, name):
        function = getattr(module, name)
        def wrapped(*args, **kwargs):
            nonlocal count
            count += 1
            if count > fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        setattr(module, name, wrapped)
    def arm():
        for name in ("replace", "remove", "fsync", "rmdir", "unlink", "mkdir"):
            wrap(os, name)
        for module, name in ((shutil, "rmtree"), (tempfile, "mkdtemp")):
            wrap(module, name)
    life(directory, log, saves, arm)

def lives(paths):
    for path in paths:
        life(path, path + ".log", 1)

root = sys.argv[1]
os.waitpid(fork(life, root + "/grown", root + "/grown.log", 3), 0)
fatal = 0
while True:
    new, old = (f"{root}/{fatal}-{name}" for name in ("new", "old"))
    os.mkdir(new)
    shutil.copytree(root + "/grown", old)
    shutil.copy(root + "/grown.log", old + ".log")
    for path in (new, old):
        pid = fork(doomed, path, path + ".log", 1, fatal)
        _, status = os.waitpid(pid, 0)
        assert status in (0, signal.SIGKILL), status
    _, again = os.waitpid(fork(lives, (new, old)), 0)
    assert again == 0, again
    if status == 0:
        break
    fatal += 1
print(fatal)
"""

RANDOM = """
random.seed(int(sys.argv[2]))
directory = sys.argv[1] + "/run"
log = directory + ".log"
os.mkdir(directory)
for _ in range(10):
    before = os.path.getsize(log) if os.path.exists(log) else 0
    pid = fork(life, directory, log, 10**6)
    while not os.path.exists(log) or os.path.getsize(log) == before:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.3))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
_, status = os.waitpid(fork(life, directory, log, 1), 0)
assert status == 0, status
"""

EVALUATOR = """
# The trainer keeps one checkpoint: each is deleted as soon as the next is saved.
directory = sys.argv[1] + "/run"
os.mkdir(directory)
def train():
    manager = checkpoints.Checkpoints(directory, max_to_keep=1)
    for step in range(1, 121):
        manager.save(step, values(step))
pid = fork(train)
# The evaluator alternates between fast and so slow that its open checkpoint is deleted.
read, gone, prefix = [], 0, None
while prefix := checkpoints.wait_for_new_checkpoint(directory, prefix, 0.001, timeout=5):
    try:
        reader = checkpoints.read(prefix)
        time.sleep((0, 0.2)[(len(read) + gone) % 2])
        w = reader.get("w")
        assert w.min() == w.max() == reader.get("global_step") == int(prefix.rpartition("-")[2])
        read.append(int(w[0]))
    except checkpoints.CheckpointGone:
        gone += 1
assert os.waitpid(pid, 0)[1] == 0
assert read == sorted(set(read)) and read[-1] == 120
print(len(read), gone)
"""


def run(body, *arguments):
    """Runs `body` with the functions of TRAINER; returns its output."""
    command = [sys.executable, "-W", "ignore", "-c", TRAINER + body, *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    answer = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=500, check=False
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


def records(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def check_history(history):
    """Checks that each life resumes from the last saved step and reads no damaged file."""
    last = 0
    for record in history:
        assert not record.get("unreadable")
        if "restored" in record:
            assert last <= record["restored"] <= last + 1
        last = max(last, record.get("saved", record.get("restored")))


@pytest.mark.slow
def test_sigkill_at_any_file_operation_of_a_save_leaves_an_intact_checkpoint(tmp_path):
    operations = int(run(EVERY_STEP, tmp_path))
    assert operations > 10
    assert len(list(tmp_path.glob("*.log"))) == 2 * operations + 3
    for log in tmp_path.glob("*.log"):
        history = records(log)
        check_history(history)
        files = history[-1]["files"]
        assert not [name for name in files if name.startswith(".saving-")]
        assert len(files) <= 5, files


@pytest.mark.slow
def test_sigkill_at_ten_random_moments_leaves_an_intact_checkpoint(tmp_path):
    run(RANDOM, tmp_path, 20161)
    history = records(tmp_path / "run.log")
    check_history(history)
    assert sum("restored" in record for record in history) == 11
    assert len(history[-1]["files"]) == 5
    assert history[-1]["saved"] >= 2


@pytest.mark.slow
def test_evaluator_reads_complete_checkpoints_while_the_trainer_deletes_them(tmp_path):
    read, gone = map(int, run(EVALUATOR, tmp_path).split())
    assert read >= 3
    assert gone >= 1
