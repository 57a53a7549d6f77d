"""Each wrong export ends in one clear line and exit code 2, and nothing is half-written."""

import dataclasses
import shutil
import sys

import pytest

from classifier import ownership
from classifier.cli import flags
from classifier.config import options
from classifier.config.export import ExportConfig
from classifier.export import run as exporting
from classifier.run_directory import RunDirectory

FORMATS = options.by_name(ExportConfig)["formats"].declared.choices


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """A copy of a finished run's newest checkpoint."""
    folder = tmp_path_factory.mktemp("bad") / "run"
    shutil.copytree(trained, folder)
    return folder


@pytest.fixture
def export(capsys):
    """Runs the export script in this process; returns its exit code and error lines."""

    def script(*given):
        code = flags.main(ExportConfig, exporting.run, "", ["export", *map(str, given)])
        err = capsys.readouterr().err.splitlines()
        return code, [line for line in err if not line.startswith("E0000")]

    return script


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def of_another_network(tmp_path, run):
    """Returns a folder with the run's checkpoint that is said to be another network's."""
    other = tmp_path / "other"
    shutil.copytree(run, other)
    info = RunDirectory(str(other)).read_model_info()
    RunDirectory(str(other)).write_model_info(
        dataclasses.replace(info, model_name="cifarnet", image_size=(32, 32))
    )
    return f"--checkpoint_path={other}"


def no_checkpoint(tmp_path, run):
    (tmp_path / "empty").mkdir()
    return f"--checkpoint_path={tmp_path / 'empty'}"


def only_its_description(tmp_path, run):
    (tmp_path / "described").mkdir()
    shutil.copy(run / "model_info.json", tmp_path / "described")
    return f"--checkpoint_path={tmp_path / 'described'}"


def file_in_the_way(tmp_path, run):
    (tmp_path / "taken").write_text("kept")
    return f"--output_dir={tmp_path / 'taken'}"


def existing_version(tmp_path, run):
    ownership.claim_export(str(tmp_path / "out"))
    (tmp_path / "out" / "saved_model" / "60").mkdir(parents=True)
    return "--formats=saved_model"


def a_video_network(tmp_path, run):
    folder = tmp_path / "video"
    shutil.copytree(run, folder)
    info = RunDirectory(str(folder)).read_model_info()
    RunDirectory(str(folder)).write_model_info(
        dataclasses.replace(info, model_name="i3d", image_size=(224, 224), num_channels=3)
    )
    return f"--checkpoint_path={folder}"


WRONG = {
    "no checkpoint": (no_checkpoint, "no checkpoint"),
    "only model_info.json": (only_its_description, "no checkpoint"),
    "no folder": ("--checkpoint_path=/nowhere/run", "'/nowhere/run'"),
    "another network": (of_another_network, "CifarNet/conv1/weights"),
    "another network's name": ("--model_name=cifarnet", "contradicts 'lenet' in model_info.json"),
    "output in /proc": ("--output_dir=/proc/out", "/proc/out"),
    "output is a file": (file_in_the_way, "is a file, not a folder"),
    "unknown format": ("--formats=frozen_bp", "did you mean 'frozen_pb'"),
    "training": ("--is_training", "is_training is refused"),
    "quantize": ("--quantize", "quantize needs a run with quantize_delay"),
    "existing version": (existing_version, "saved_model/60 exists; remove it, or choose another"),
    "unknown end point": ("--formats=frozen_pb --final_endpoint=con2", "did you mean 'conv2'"),
    "no evaluation": (
        "--eval_json=/nowhere.json",
        "is not a file written by eval_image_classifier",
    ),
    "wrong input type": ("--input_type=float", "did you mean 'float_image'"),
    "video network": (a_video_network, "takes videos"),
    "small images": ("--image_size=2", "image_size=2,2 does not fit lenet, whose own is 28"),
    "video flag": ("--is_video_model", "takes images, not videos: leave is_video_model out"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_export_is_one_line_and_writes_nothing(case, run, tmp_path, export):
    wrong, message = WRONG[case]
    given = wrong if isinstance(wrong, str) else wrong(tmp_path, run)
    before = files(tmp_path) | files(run)
    code, errors = export(
        f"--checkpoint_path={run}", f"--output_dir={tmp_path / 'out'}", *given.split()
    )
    assert code == 2, errors
    assert len(errors) == 1, errors
    assert message in errors[0]
    assert files(tmp_path) | files(run) == before


@pytest.mark.parametrize("name, size", [("alexnet_v2", 300), ("alexnet_v2", 30)])
def test_a_graph_of_a_wrong_size_is_one_line(name, size, tmp_path, export):
    code, errors = export(
        f"--model_name={name}", f"--image_size={size}", f"--output_file={tmp_path / 'net.pb'}"
    )
    assert (code, len(errors)) == (2, 1)
    assert f"image_size={size},{size} does not fit alexnet_v2, whose own is 224" in errors[0]
    assert not files(tmp_path)


@pytest.mark.parametrize("name, package", [("onnx", "tf2onnx")])
def test_a_missing_extra_is_one_line(name, package, run, tmp_path, export, monkeypatch):
    if name not in FORMATS:
        pytest.skip(f"{name} is no format")
    monkeypatch.setitem(sys.modules, package, None)
    code, errors = export(
        f"--checkpoint_path={run}", f"--output_dir={tmp_path}", f"--formats={name}"
    )
    assert code == 2
    (line,) = errors
    assert f"pip install {package} onnxruntime" in line
    assert not files(tmp_path)
