"""A trainer and the evaluation of its checkpoints, as two processes."""

import json
import re
import signal
import subprocess
import time

import commands
import pytest

pytestmark = pytest.mark.slow
CHECKPOINTS, EVERY = 200, 2


def start_loop(run, output, **more):
    flags = {"train_dir": run, "eval_interval_secs": 0, "max_num_batches": 1} | more
    argv = [f"--{name}={value}" for name, value in flags.items()]
    with open(output, "w", encoding="utf-8") as file:
        return subprocess.Popen(
            commands.command("eval_image_classifier", "--eval_loop", *argv),
            stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip


def test_each_of_200_checkpoints_is_evaluated_or_reported_as_deleted(tmp_path, digits):
    run, output = tmp_path / "run", tmp_path / "loop.txt"
    loop = start_loop(run, output, eval_json=tmp_path / "e.json", timeout_secs=300)
    last = CHECKPOINTS * EVERY
    commands.run_process(
        "train_image_classifier",
        *commands.train_flags(run, digits, last, save_interval_steps=EVERY, max_to_keep=2),
    )
    assert loop.wait(timeout=300) == 0, output.read_text()
    text = output.read_text()
    evaluated = {int(step) for step in re.findall(r"^step (\d+), ", text, re.M)}
    summary = re.search(r"checkpoints evaluated: (\d+)(?:, deleted before: (\d+))?", text)
    assert len(evaluated) == int(summary[1])
    assert int(summary[1]) + int(summary[2] or 0) == CHECKPOINTS
    assert last in evaluated
    print(f"{summary[1]} of {CHECKPOINTS} checkpoints evaluated")
    rows = json.loads((tmp_path / "e.json").read_text())["checkpoints"]
    assert {row["step"] for row in rows} == evaluated
    assert "Traceback" not in text
    assert re.search(r"^best: .*model.ckpt-\d+ \(accuracy [\d.]+\)$", text, re.M)


def test_sigterm_ends_a_waiting_loop(trained, tmp_path):
    output = tmp_path / "loop.txt"
    resolved = json.loads((trained / "config.json").read_text())
    resolved["resolved"]["number_of_steps"] = 10**6  # as if the run were not complete
    run = tmp_path / "run"
    run.mkdir()
    for path in trained.iterdir():
        if path.is_file() and path.name != "config.json":
            (run / path.name).write_bytes(path.read_bytes())
    (run / "config.json").write_text(json.dumps(resolved))
    loop = start_loop(run, output)
    deadline = time.monotonic() + 120
    while "accuracy" not in output.read_text() and time.monotonic() < deadline:
        time.sleep(0.5)
    loop.send_signal(signal.SIGTERM)
    assert loop.wait(timeout=60) == 143
    lines = output.read_text().splitlines()
    assert re.search(r"stopped by SIGTERM. checkpoints evaluated: \d+", lines[-1])
