"""Scripts stopped by a signal: one line, an exit code, and no leftover files."""

import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

from slim import checkpoints
from tests import source_tree

# Runs a script as from a shell and sends it a signal when it imports a module.
RUNNER = """
import os, runpy, signal, sys
module, number, path, *arguments = sys.argv[1:]
class Finder:
    def find_spec(self, name, *rest):
        if name == module:
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Finder())
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs of a shell may ignore it
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # jobs of nohup ignore it
sys.argv = [path, *arguments]
sys.path[0] = os.path.dirname(path)
if path.endswith(".py"):
    runpy.run_path(path, run_name="__main__")
else:
    sys.path[0] = os.getcwd()
    runpy.run_module(path, run_name="__main__", alter_sys=True)
"""
NUMBERS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]
CONVERT = "download_and_convert_data"
FETCH = "classifier.checkpoints fetch"


@pytest.fixture
def flags(tmp_path):
    """Returns the flags of each script."""
    (tmp_path / "model.ckpt-1.index").touch()
    (tmp_path / "a.png").touch()
    checkpoint, data = f"--checkpoint_path={tmp_path}", f"--dataset_dir={tmp_path}"
    return {
        "train_image_classifier": [f"--train_dir={tmp_path}/run", "--dataset_name=digits", data],
        "eval_image_classifier": [checkpoint, data],
        "export_inference_graph": [checkpoint, f"--output_dir={tmp_path}/out"],
        "predict_image_classifier": [checkpoint, f"--images={tmp_path}"],
        CONVERT: ["--dataset_name=digits", f"--dataset_dir={tmp_path}/new"],
        "classifier.checkpoints": ["inspect", checkpoint],
        "classifier.serve": [checkpoint, "--port=0"],
        FETCH: ["fetch", "inception_v1_2016_08_28.tar.gz", f"{tmp_path}/new"],
    }


def path_of(script):
    if script.startswith("classifier."):
        return script.split()[0]
    return str(source_tree.ROOT / f"{script}.py")


def stopped_at(module, number, script, arguments):
    """Returns exit code, stdout and stderr of a script stopped at the import of a module."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, module, str(int(number)), path_of(script), *arguments],
        cwd=source_tree.ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "script, module",
    [
        ("train_image_classifier", "classifier.cli.flags"),
        ("train_image_classifier", "tensorflow"),
        ("eval_image_classifier", "tensorflow"),
        ("export_inference_graph", "tensorflow"),
        ("predict_image_classifier", "tensorflow"),
        (CONVERT, "tensorflow"),
        ("classifier.checkpoints", "tensorflow"),
        ("classifier.serve", "tensorflow"),
        (FETCH, "classifier.cli.front_door"),
    ],
)
def test_signal_during_the_imports_ends_a_script_in_a_line(tmp_path, flags, script, module):
    before = sorted(os.listdir(tmp_path))
    number = NUMBERS[len(script) % 3]
    code, out, err = stopped_at(module, number, script, flags[script])
    (line,) = err.splitlines()
    assert (code, out) == (128 + number, "")
    assert line.endswith(f": stopped by {number.name} before the work began")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    "script, module",
    [
        (FETCH, "datasets.download"),
        pytest.param(
            "eval_image_classifier", "classifier.inference.evaluate", marks=pytest.mark.slow
        ),
        pytest.param("train_image_classifier", "classifier.training.run", marks=pytest.mark.slow),
        pytest.param("export_inference_graph", "classifier.export.run", marks=pytest.mark.slow),
        pytest.param(
            "predict_image_classifier", "classifier.inference.predict", marks=pytest.mark.slow
        ),
        pytest.param("classifier.serve", "classifier.serving.run", marks=pytest.mark.slow),
        pytest.param(CONVERT, "datasets.digits", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("number", NUMBERS)
def test_signal_during_the_work_ends_a_script_in_a_line(tmp_path, flags, script, module, number):
    before = sorted(os.listdir(tmp_path))
    code, _, err = stopped_at(module, number, script, flags[script])
    (line,) = err.splitlines()
    assert code == 128 + number
    assert f": stopped by {number.name}. " in line
    assert "Run the same command again" in line
    assert sorted(os.listdir(tmp_path)) == before


def wait_for(condition, process, seconds=120):
    """Waits until a condition holds while a process runs."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def image_folder(tmp_path):
    """A folder of images that take a while to convert."""
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    for name in "ab":
        (tmp_path / "source" / name).mkdir(parents=True)
        for number in range(400):
            PIL.Image.fromarray(pixels + number % 256).save(
                tmp_path / "source" / name / f"{number}.png", compress_level=0
            )
    return tmp_path / "source"


@pytest.mark.slow
@pytest.mark.parametrize("to_group", [False, True])
@pytest.mark.parametrize("number", NUMBERS)
def test_stopped_conversion_ends_its_workers_and_resumes(tmp_path, image_folder, number, to_group):
    out = tmp_path / "out"
    command = [sys.executable, path_of(CONVERT), "--dataset_name=folder"]
    command += [f"--source_dir={image_folder}", f"--dataset_dir={out}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    journal = out / "conversion.partial" / "journal.jsonl"
    wait_for(lambda: journal.exists() and journal.read_text().count("\n") > 1, process)
    (os.killpg if to_group else os.kill)(process.pid, number)
    _, err = process.communicate(timeout=120)
    (line,) = [line for line in err.splitlines() if "stopped" in line]
    assert process.returncode == 128 + number
    assert "kept in" in line
    assert "the same command resumes" in line
    assert "Traceback" not in err
    assert "resource_tracker" not in err
    end = time.monotonic() + 30
    pgrep = ["pgrep", "-g", str(process.pid)]
    while subprocess.run(pgrep, capture_output=True, check=False).stdout:
        assert time.monotonic() < end, "a worker is still there"
        time.sleep(0.05)
    assert not list(out.rglob("*.incomplete"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def train_command(folder, digits):
    command = [sys.executable, path_of("train_image_classifier"), f"--train_dir={folder}"]
    command += ["--dataset_name=digits", f"--dataset_dir={digits}", "--model_name=lenet"]
    return [*command, "--batch_size=8", "--save_interval_steps=5", "--log_every_n_steps=1"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder with the digits."""
    from datasets import download_and_convert

    folder = tmp_path_factory.mktemp("digits")
    download_and_convert.convert("digits", str(folder))
    return folder


@pytest.mark.slow
def test_training_saves_when_its_terminal_is_closed(tmp_path, digits):
    run = tmp_path / "run"
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, train_command(run, digits))
    end = time.monotonic() + 120
    os.set_blocking(terminal, False)
    while not list(run.glob("model.ckpt-*.index")):
        assert time.monotonic() < end
        try:
            os.read(terminal, 1 << 16)
        except BlockingIOError:
            time.sleep(0.02)
    saved = checkpoints.latest(run)
    os.close(terminal)  # the kernel sends SIGHUP, and each write fails from here on
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 75
    assert checkpoints.latest(run) != saved or not (run / "train.lock").exists()
    assert not list(run.glob(".saving-*"))


@pytest.mark.slow
def test_training_under_nohup_is_not_stopped_by_sighup(tmp_path, digits):
    run = tmp_path / "run"
    process = subprocess.Popen(
        ["nohup", *train_command(run, digits)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: checkpoints.latest(run) if run.is_dir() else None, process)
    process.send_signal(signal.SIGHUP)
    saved = checkpoints.latest(run)
    wait_for(lambda: checkpoints.latest(run) != saved, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 75
    assert "stopped by SIGTERM at step" in err
