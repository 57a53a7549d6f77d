"""What the scripts answer before TensorFlow is loaded: help, wrong flags, names and folders."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = [
    "train_image_classifier.py",
    "eval_image_classifier.py",
    "export_inference_graph.py",
    "predict_image_classifier.py",
    "download_and_convert_data.py",
]
# Runs a script as the shell does, then says how it ended and whether it loaded TensorFlow.
RUNNER = """
import json, runpy, sys
path, report, *arguments = sys.argv[1:]
sys.argv = [path, *arguments]
sys.path[0] = path.rpartition("/")[0]
code = None
try:
    runpy.run_path(path, run_name="__main__")
except SystemExit as end:
    code = end.code
with open(report, "w") as file:
    json.dump({"code": code, "tensorflow": "tensorflow" in sys.modules}, file)
"""


def answer(folder, script, *arguments):
    """Runs a script; returns its exit code, what it printed, and whether it loaded TensorFlow."""
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(ROOT / script), str(report), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    ended = json.loads(report.read_text())
    return ended["code"], done.stdout, done.stderr, ended["tensorflow"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_does_not_load_tensorflow(tmp_path, script):
    code, out, err, tensorflow = answer(tmp_path, script, "--help")
    assert (code, err, tensorflow) == (0, "", False)
    assert f"usage: {script} " in out


@pytest.mark.parametrize(
    "flags, told",
    [
        (
            ["--train_dir=run", "--dataset_dir=.", "--save_inerval_secs=5"],
            "Unknown flag --save_inerval_secs=5; did you mean '--save_interval_secs'",
        ),
        (
            ["--train_dir=run", "--dataset_dir=.", "--model_name=lenett"],
            "--model_name='lenett' is not known; did you mean 'lenet'",
        ),
        (
            ["--train_dir=run", "--dataset_dir=./dat", "--model_name=lenet"],
            "--dataset_dir='./dat' does not exist; did you mean ",
        ),
        (["--train_dir=run", "--model_name=lenet"], "--dataset_dir is required: "),
    ],
)
def test_wrong_training_flags_are_errors_before_tensorflow_loads(tmp_path, flags, told):
    (tmp_path / "data").mkdir()
    code, out, err, tensorflow = answer(
        tmp_path, "train_image_classifier.py", "--dataset_name=digits", "--model_name=lenet", *flags
    )
    assert (code, out, tensorflow) == (2, "", False)
    (line,) = err.splitlines()
    assert line.startswith(f"train_image_classifier.py: {told}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "script, flags, told",
    [
        ("eval_image_classifier.py", ["--dataset_dir=."], "--checkpoint_path is required"),
        ("eval_image_classifier.py", ["--dataset_dir=.", "--checkpoint_path=."], "no checkpoint"),
        (
            "export_inference_graph.py",
            ["--checkpoint_path=./run", "--output_dir=o"],
            "--checkpoint_path='./run' does not exist",
        ),
        (
            "predict_image_classifier.py",
            ["--checkpoint_path=ok", "--images=*.png"],
            "--images='*.png' matches no file",
        ),
        (
            "download_and_convert_data.py",
            ["--dataset_name=digit", "--dataset_dir=d"],
            "--dataset_name='digit' is not known; did you mean 'digits'? Known: ",
        ),
    ],
)
def test_wrong_flags_of_other_scripts_are_errors_before_tensorflow_loads(
    tmp_path, script, flags, told
):
    (tmp_path / "ok").mkdir()
    (tmp_path / "ok" / "model.ckpt-1.index").touch()
    code, out, err, tensorflow = answer(tmp_path, script, *flags)
    assert (code, out, tensorflow) == (2, "", False)
    (line,) = err.splitlines()
    assert told in line


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_have_no_logic_of_their_own(script):
    assert len((ROOT / script).read_text().splitlines()) < 80
