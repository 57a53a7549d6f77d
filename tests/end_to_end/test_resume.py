"""A run that is killed or stopped, and resumed by the same command, ends as an undisturbed one."""

import random
import shutil
import signal
import time

import commands
import pytest

from slim.checkpoints import Checkpoints


def flags(train_dir, digits):
    return commands.train_flags(train_dir, digits, commands.STEPS, **commands.RUN)


def final_bytes(train_dir):
    """Returns the contents of the last checkpoint's files."""
    files = sorted(train_dir.glob(f"model.ckpt-{commands.STEPS}.*"))
    assert len(files) == 2
    return [file.read_bytes() for file in files]


@pytest.fixture(scope="module")
def seconds(tmp_path_factory, digits):
    """The seconds that an undisturbed run takes in a process of its own."""
    start = time.monotonic()
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    commands.run_process("train_image_classifier", *flags(run, digits))
    return time.monotonic() - start


def start_and_wait_for_checkpoint(train_dir, digits):
    """Starts the run and returns its process when it has written another checkpoint or ended."""
    before = commands.checkpoint_steps(train_dir)
    process = commands.start("train_image_classifier", *flags(train_dir, digits))
    end = time.monotonic() + 900  # on a busy machine
    while process.poll() is None and commands.checkpoint_steps(train_dir) <= before:
        if time.monotonic() > end:
            process.kill()
            pytest.fail("no checkpoint")
        time.sleep(0.01)
    return process


def resume(train_dir, digits):
    """Resumes the run in this process and returns its output."""
    return commands.run("train_image_classifier", *flags(train_dir, digits)).stdout


@pytest.mark.slow
def test_resume_after_two_sigkills_is_bit_identical(tmp_path, digits, trained):
    delays = random.Random(1)
    for _ in range(2):
        process = start_and_wait_for_checkpoint(tmp_path, digits)
        time.sleep(delays.random() / 5)
        process.kill()
        process.wait()
        saved = commands.checkpoint_steps(tmp_path)
        assert saved, "the run was killed before its first checkpoint"
    output = resume(tmp_path, digits)
    if commands.STEPS not in saved:
        assert f"Resuming {tmp_path} from step" in output
    assert final_bytes(tmp_path) == final_bytes(trained)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".saving-")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_resume_after_sigkill_at_a_random_moment_is_bit_identical(
    tmp_path, digits, trained, seconds, seed
):
    process = commands.start("train_image_classifier", *flags(tmp_path, digits))
    time.sleep(random.Random(seed).uniform(0.3, 1.0) * seconds)
    process.kill()
    process.wait()
    resume(tmp_path, digits)
    assert final_bytes(tmp_path) == final_bytes(trained)


def signal_after_checkpoint(number, train_dir, digits):
    """Starts a run, sends a signal after its first checkpoint, and returns the exit code."""
    process = start_and_wait_for_checkpoint(train_dir, digits)
    process.send_signal(number)
    return process.wait(timeout=900)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_saves_on_a_signal_and_its_resume_is_bit_identical(
    tmp_path, digits, trained, number
):
    run = tmp_path / "run"
    while (code := signal_after_checkpoint(number, run, digits)) == 0:  # completed before it
        shutil.rmtree(run)
    assert code == 75
    assert f"Resuming {run} from step" in resume(run, digits)
    assert max(commands.checkpoint_steps(run)) == commands.STEPS
    assert final_bytes(run) == final_bytes(trained)


def test_run_saves_on_a_signal_and_its_resume_is_bit_identical(
    tmp_path, digits, trained, monkeypatch
):
    """As above, in this process: the signal is sent after the first of the regular checkpoints."""
    run, save = tmp_path / "run", Checkpoints.save

    def save_and_signal(*arguments):
        path = save(*arguments)
        if path.endswith("-10"):
            signal.raise_signal(signal.SIGTERM)
        return path

    monkeypatch.setattr(Checkpoints, "save", save_and_signal)
    commands.run("train_image_classifier", *flags(run, digits), code=75)
    monkeypatch.undo()
    assert f"Resuming {run} from step 1" in resume(run, digits)
    assert final_bytes(run) == final_bytes(trained)


def test_complete_run_stays_unchanged(run, digits):
    before = {path.name: path.stat().st_mtime_ns for path in run.glob("model.ckpt-*")}
    output = resume(run, digits)
    assert f"{run} is already complete: {commands.STEPS} steps" in output
    assert before == {path.name: path.stat().st_mtime_ns for path in run.glob("model.ckpt-*")}


@pytest.mark.slow
def test_two_deterministic_runs_are_bit_identical(digits, tmp_path):
    for run in ("a", "b"):
        flags_ = commands.train_flags(tmp_path / run, digits, 3, deterministic=True)
        commands.run_process("train_image_classifier", *flags_)
    a, b = (sorted((tmp_path / run).glob("model.ckpt-3.*")) for run in ("a", "b"))
    assert [file.read_bytes() for file in a] == [file.read_bytes() for file in b]
    assert len(a) == 2
