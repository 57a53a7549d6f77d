"""Each wrong export ends with a one-line error and exit code 2, and writes nothing."""

import dataclasses
import shutil
import sys

import commands
import pytest

from classifier import ownership
from classifier.run_directory import RunDirectory

STEPS = 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits):
    """A run of few steps."""
    run = tmp_path_factory.mktemp("short") / "run"
    commands.run("train_image_classifier", *commands.train_flags(run, digits, STEPS))
    return run


def relabeled(run, copy, **changes):
    """Returns the flag for a copy of a run whose model_info.json is changed."""
    shutil.copytree(run, copy)
    info = RunDirectory(str(copy)).read_model_info()
    RunDirectory(str(copy)).write_model_info(dataclasses.replace(info, **changes))
    return f"--checkpoint_path={copy}"


def checkpoint_of_another_network(tmp_path, run):
    return relabeled(run, tmp_path / "other", model_name="cifarnet", image_size=(32, 32))


def video_network(tmp_path, run):
    shape = {"image_size": (224, 224), "num_channels": 3}
    return relabeled(run, tmp_path / "video", model_name="i3d", **shape)


def empty_directory(tmp_path, run):
    (tmp_path / "empty").mkdir()
    return f"--checkpoint_path={tmp_path / 'empty'}"


def only_model_info(tmp_path, run):
    (tmp_path / "described").mkdir()
    shutil.copy(run / "model_info.json", tmp_path / "described")
    return f"--checkpoint_path={tmp_path / 'described'}"


def file_as_output_dir(tmp_path, run):
    (tmp_path / "taken").write_text("kept")
    return f"--output_dir={tmp_path / 'taken'}"


def existing_version(tmp_path, run):
    ownership.claim_export(str(tmp_path / "out"))
    (tmp_path / "out" / "saved_model" / str(STEPS)).mkdir(parents=True)
    return "--formats=saved_model"


# The flags, or a function that prepares files and returns them, and the error.
WRONG = {
    "no checkpoint": (empty_directory, "no checkpoint"),
    "only model_info.json": (only_model_info, "no checkpoint"),
    "no directory": ("--checkpoint_path=/nowhere/run", "'/nowhere/run'"),
    "another network": (checkpoint_of_another_network, "CifarNet/conv1/weights"),
    "another network's name": ("--model_name=cifarnet", "contradicts 'lenet' in model_info.json"),
    "output in /proc": ("--output_dir=/proc/out", "/proc/out"),
    "output is a file": (file_as_output_dir, "is a regular file, not a directory"),
    "unknown format": ("--formats=frozen_bp", "did you mean 'frozen_pb'"),
    "training": ("--is_training", "is_training must be false: exported models are"),
    "quantize": ("--quantize", "quantize needs a run with --quantize_delay"),
    "existing version": (
        existing_version,
        f"saved_model/{STEPS} exists. Remove it, or use another",
    ),
    "unknown end point": ("--formats=frozen_pb --final_endpoint=con2", "did you mean 'conv2'"),
    "no evaluation": (
        "--eval_json=/nowhere.json",
        "does not exist",
    ),
    "wrong input type": ("--input_type=float", "did you mean 'float_image'"),
    "video network": (video_network, "expects videos"),
    "small images": (
        "--image_size=2",
        "image size 2x2 is not supported by lenet. Use its default, 28",
    ),
    "video flag": ("--is_video_model", "expects images. Remove --is_video_model"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_export_is_an_error_and_writes_nothing(case, trained, tmp_path):
    flags, message = WRONG[case]
    flags = flags if isinstance(flags, str) else flags(tmp_path, trained)
    before = commands.snapshot(tmp_path), commands.snapshot(trained)
    assert message in commands.error(
        "export_inference_graph",
        f"--checkpoint_path={trained}",
        f"--output_dir={tmp_path / 'out'}",
        *flags.split(),
    )
    assert (commands.snapshot(tmp_path), commands.snapshot(trained)) == before


@pytest.mark.parametrize("size", [300, 30])
def test_graph_of_an_unsupported_image_size_is_an_error(size, tmp_path):
    message = commands.error(
        "export_inference_graph",
        "--model_name=alexnet_v2",
        f"--image_size={size}",
        f"--output_file={tmp_path / 'net.pb'}",
    )
    assert (
        f"image size {size}x{size} is not supported by alexnet_v2. Use its default, 224" in message
    )
    assert not commands.snapshot(tmp_path)


def test_missing_packages_of_a_format_are_an_error(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    message = commands.error(
        "export_inference_graph",
        f"--checkpoint_path={trained}",
        f"--output_dir={tmp_path}",
        "--formats=onnx",
    )
    assert "pip install tf2onnx onnxruntime" in message
    assert not commands.snapshot(tmp_path)
