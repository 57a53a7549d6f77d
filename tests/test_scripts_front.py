"""Help and errors that the scripts print before TensorFlow is loaded."""

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
# Runs a script as from a shell, then reports its exit code and whether it loaded TensorFlow.
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


def run_script(folder, script, *arguments):
    """Runs a script; returns its exit code, stdout, stderr, and whether it loaded TensorFlow."""
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(ROOT / script), str(report), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(report.read_text())
    return result["code"], done.stdout, done.stderr, result["tensorflow"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_does_not_load_tensorflow(tmp_path, script):
    code, out, err, tensorflow = run_script(tmp_path, script, "--help")
    assert (code, err, tensorflow) == (0, "", False)
    assert f"Usage: {script} " in out


@pytest.mark.parametrize(
    "flags, message",
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
def test_wrong_training_flags_are_errors_before_tensorflow_loads(tmp_path, flags, message):
    (tmp_path / "data").mkdir()
    code, out, err, tensorflow = run_script(
        tmp_path, "train_image_classifier.py", "--dataset_name=digits", "--model_name=lenet", *flags
    )
    assert (code, out, tensorflow) == (2, "", False)
    (line,) = err.splitlines()
    assert line.startswith(f"train_image_classifier.py: {message}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "script, flags, message",
    [
        (
            "eval_image_classifier.py",
            ["--batch_size=1"],
            "--checkpoint_path or --train_dir is required",
        ),
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
    tmp_path, script, flags, message
):
    (tmp_path / "ok").mkdir()
    (tmp_path / "ok" / "model.ckpt-1.index").touch()
    code, out, err, tensorflow = run_script(tmp_path, script, *flags)
    assert (code, out, tensorflow) == (2, "", False)
    (line,) = err.splitlines()
    assert message in line


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_have_no_logic_of_their_own(script):
    assert len((ROOT / script).read_text().splitlines()) < 80
