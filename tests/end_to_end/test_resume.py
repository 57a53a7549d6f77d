"""A run that is killed or stopped, and resumed by the same command, ends where it would have."""

import pathlib
import random
import shutil
import signal
import time

import commands
import pytest

STEPS = 60
RUN = {"save_interval_steps": 5, "moving_average_decay": 0.9, "log_every_n_steps": 5}


def final_bytes(train_dir: pathlib.Path) -> list[bytes]:
    """Returns the files of the last checkpoint."""
    files = sorted(train_dir.glob(f"model.ckpt-{STEPS}.*"))
    assert len(files) == 2
    return [file.read_bytes() for file in files]


def checkpoints(train_dir: pathlib.Path) -> set[str]:
    return {path.stem for path in train_dir.glob("model.ckpt-*.index")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, digits):
    """The last checkpoint of a run that nobody disturbed, and the seconds that it took."""
    train_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    begun = time.monotonic()
    commands.run("train_image_classifier", *commands.train_flags(train_dir, digits, STEPS, **RUN))
    return final_bytes(train_dir), time.monotonic() - begun


def wait_for_checkpoint(process, train_dir, seen, limit=120):
    """Waits until the run has written another checkpoint, or is over."""
    end = time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None and not checkpoints(train_dir) - seen:
        time.sleep(0.01)


def kill_after_next_checkpoint(train_dir, digits, delay):
    """Starts the run, kills it a while after a save, and returns the checkpoints it left."""
    seen = checkpoints(train_dir)
    process = commands.start(
        "train_image_classifier", *commands.train_flags(train_dir, digits, STEPS, **RUN)
    )
    wait_for_checkpoint(process, train_dir, seen)
    time.sleep(delay)
    process.kill()
    process.wait()
    return checkpoints(train_dir)


def resumed_to_the_end(train_dir, digits):
    flags = commands.train_flags(train_dir, digits, STEPS, **RUN)
    return commands.run("train_image_classifier", *flags).stdout


@pytest.mark.slow
def test_killed_twice_in_one_run(tmp_path, digits, undisturbed):
    wanted, _ = undisturbed
    generator = random.Random(1)
    left = [kill_after_next_checkpoint(tmp_path, digits, generator.random() / 5) for _ in range(2)]
    assert all(left), "the run was killed before its first checkpoint"
    said = resumed_to_the_end(tmp_path, digits)
    if f"model.ckpt-{STEPS}" not in left[-1]:
        assert f"Resuming {tmp_path} from step" in said
    assert final_bytes(tmp_path) == wanted
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".saving-")]


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(10))
def test_killed_at_a_random_moment(tmp_path, digits, undisturbed, moment):
    wanted, seconds = undisturbed
    process = commands.start(
        "train_image_classifier", *commands.train_flags(tmp_path, digits, STEPS, **RUN)
    )
    time.sleep(random.Random(moment).uniform(0.3, 1.0) * seconds)
    process.kill()
    process.wait()
    resumed_to_the_end(tmp_path, digits)
    assert final_bytes(tmp_path) == wanted


def send_signal(number, train_dir, digits):
    """Starts a run, sends a signal once it has saved, and returns how it ended."""
    process = commands.start(
        "train_image_classifier", *commands.train_flags(train_dir, digits, STEPS, **RUN)
    )
    wait_for_checkpoint(process, train_dir, set())
    process.send_signal(number)
    return process.wait(timeout=60)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_saves_first(tmp_path, digits, undisturbed, number):
    wanted, _ = undisturbed
    run = tmp_path / "run"
    while (code := send_signal(number, run, digits)) == 0:  # in its last steps, which it finished
        shutil.rmtree(run)
    assert code == 75
    said = resumed_to_the_end(run, digits)
    newest = max(int(name.rpartition("-")[2]) for name in checkpoints(run))
    assert newest == STEPS
    assert "Resuming" in said
    assert final_bytes(run) == wanted


def test_a_finished_run_says_so(trained, digits):
    before = {path.name: path.stat().st_mtime_ns for path in trained.glob("model.ckpt-*")}
    flags = commands.train_flags(
        trained, digits, 60, save_interval_steps=20, moving_average_decay=0.9
    )
    said = commands.run("train_image_classifier", *flags).stdout
    assert f"{trained} is already complete: 60 steps" in said
    assert before == {path.name: path.stat().st_mtime_ns for path in trained.glob("model.ckpt-*")}
