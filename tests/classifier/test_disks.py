"""Disks that are full, read-only or gone: one line, exit code 1, and what was there is intact."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from classifier import ownership
from classifier.checkpoints import keras_weights
from classifier.cli import flags
from classifier.config.checkpoints import ConvertConfig
from classifier.config.conversion import DataConfig
from classifier.config.export import ExportConfig
from classifier.config.prediction import PredictConfig
from classifier.export import run as exporting
from classifier.inference import predict
from classifier.training import run as training
from slim import learning


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of 64 kB with some inodes."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(inodes=100, size="64k"):
        options = f"size={size},nr_inodes={inodes}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small file system is not permitted here")
        return path

    yield mount
    subprocess.run(["umount", "--lazy", str(path)], capture_output=True, check=False)


@pytest.fixture
def read_only_run(small_disk, tmp_path, lenet_run):
    """A run on a file system that became read-only."""
    disk = small_disk()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    subprocess.run(command, check=True)
    shutil.copytree(lenet_run, disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    yield disk / "run"
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk):
    """Takes the space that is left."""
    with open(disk / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def script(config_class, run, name, capsys, **options):
    """Runs a script in this process; returns its exit code and the lines on stdout and stderr."""
    argv = [name, *(f"--{key}={value}" for key, value in options.items())]
    code = flags.main(config_class, run, "", argv)
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err.splitlines()


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "format",
    [
        "saved_model",
        "keras",
        "weights_h5",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("frozen_pb", "tflite", "onnx")),
    ],
)
def test_export_to_a_full_disk_keeps_existing_files(small_disk, lenet_run, capsys, format):
    if format == "onnx":
        pytest.importorskip("onnx")
    disk = small_disk()
    ownership.claim_export(str(disk))
    (disk / "lenet.keras").write_text("of before")
    before = files(disk)
    code, _, err = script(
        ExportConfig,
        exporting.run,
        "export",
        capsys,
        checkpoint_path=lenet_run,
        output_dir=disk,
        formats=format,
    )
    assert code == 1
    (line,) = err
    assert line.startswith("export: ")
    assert "No space left on device. Free some space" in line
    assert str(disk) in line
    assert files(disk) == before
    assert (disk / "lenet.keras").read_text() == "of before"


@pytest.mark.parametrize(
    "inodes", [10, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 6, 14))]
)
def test_export_without_inodes_leaves_a_complete_version_or_none(
    small_disk, lenet_run, capsys, inodes
):
    disk = small_disk(inodes)
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    code, _, err = script(
        ExportConfig,
        exporting.run,
        "export",
        capsys,
        checkpoint_path=lenet_run,
        output_dir=disk,
        formats="saved_model",
    )
    assert (code, len(err)) in ((1, 1), (0, 0))
    left = files(disk)
    if any(name.startswith("saved_model") for name in left):
        assert "labels.txt" in left
        assert {"saved_model/300/saved_model.pb", "saved_model/300/variables"} <= left
    assert not any(name.startswith(".saving") for name in left)


def test_evaluation_prints_its_result_before_a_full_disk(small_disk, evaluate, lenet_run):
    disk = small_disk()
    assert evaluate(lenet_run, eval_json=disk / "e.json", max_num_batches=1).code == 0
    before = (disk / "e.json").read_text()
    fill(disk)
    done = evaluate(lenet_run, eval_json=disk / "e.json", max_num_batches=1)
    (line,) = done.err
    assert done.code == 1
    assert any("accuracy" in each for each in done.out)
    assert line.startswith(f"eval: could not write {disk}/e.json: No space left on device. Free ")
    assert (disk / "e.json").read_text() == before


def test_evaluation_of_events_on_a_full_disk_fails_in_a_line(small_disk, evaluate, lenet_run):
    disk = small_disk()
    fill(disk)
    done = evaluate(lenet_run, eval_dir=disk / "events", max_num_batches=1)
    (line,) = done.err
    assert done.code == 1
    assert any("accuracy" in each for each in done.out)
    assert "No space left on device" in line
    assert f"{disk}/events" in line


def test_evaluation_of_a_read_only_run_prints_the_accuracy(read_only_run, evaluate):
    done = evaluate(read_only_run, max_num_batches=1)
    assert (done.code, done.err) == (0, [])
    assert any("accuracy" in line for line in done.out)
    (warning,) = [line for line in done.out if line.startswith("warning: no events written")]
    assert f"{read_only_run}/eval is read-only. Set --eval_dir to another directory" in warning


def test_export_of_a_read_only_run_to_another_directory(read_only_run, tmp_path, capsys):
    code, _, err = script(
        ExportConfig,
        exporting.run,
        "export",
        capsys,
        checkpoint_path=read_only_run,
        output_dir=tmp_path / "out",
        formats="weights_h5",
    )
    assert (code, err) == (0, [])
    assert "lenet.weights.h5" in files(tmp_path / "out")


def test_output_on_a_read_only_disk_is_refused_before_the_work(read_only_run, digits, capsys):
    code, out, err = script(
        PredictConfig,
        predict.run,
        "predict",
        capsys,
        checkpoint_path=read_only_run,
        images=digits / "samples",
        output_csv=read_only_run / "new" / "p.csv",
    )
    (line,) = err
    assert (code, out) == (2, [])
    assert line.endswith(f"the file system of {str(read_only_run)!r} is read-only")


def test_predictions_are_printed_before_a_full_disk(small_disk, lenet_run, digits, capsys):
    disk = small_disk()
    fill(disk)
    code, out, err = script(
        PredictConfig,
        predict.run,
        "predict",
        capsys,
        checkpoint_path=lenet_run,
        images=digits / "samples",
        output_csv=disk / "p.csv",
    )
    (line,) = err
    assert (code, len(out)) == (1, len(os.listdir(digits / "samples")))
    assert line.startswith(f"predict: could not write {disk}/p.csv: No space left on device. Free ")


def test_directories_of_new_files_are_created(tmp_path, lenet_run, digits, capsys, evaluate):
    path = tmp_path / "a" / "b"
    code, _, err = script(
        PredictConfig,
        predict.run,
        "predict",
        capsys,
        checkpoint_path=lenet_run,
        images=digits / "samples",
        output_csv=path / "p.csv",
    )
    assert (code, err) == (0, [])
    done = evaluate(
        lenet_run, eval_json=path / "c" / "e.json", eval_dir=path / "d", max_num_batches=1
    )
    assert (done.code, done.err) == (0, [])
    assert {"p.csv", "c/e.json"} <= files(path)


def test_conversion_to_a_full_disk_fails_in_a_line(small_disk, capsys):
    from datasets import download_and_convert

    disk = small_disk()
    code, _, err = script(
        DataConfig,
        lambda config: download_and_convert.run(config.dataset_name, config.dataset_dir),
        "convert",
        capsys,
        dataset_name="digits",
        dataset_dir=disk / "d",
    )
    (line,) = err
    assert code == 1
    assert f"{disk}/d" in line
    assert "No space left on device" in line


@pytest.mark.parametrize("name", ["digits", pytest.param("verify", marks=pytest.mark.slow)])
def test_a_complete_dataset_on_a_read_only_disk_is_used(small_disk, capsys, name):
    from datasets import download_and_convert

    disk = small_disk(inodes=1000, size="4m")
    download_and_convert.run("digits", str(disk / "d"))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    code, out, err = script(
        DataConfig,
        lambda config: download_and_convert.run(config.dataset_name, config.dataset_dir),
        "convert",
        capsys,
        dataset_name=name,
        dataset_dir=disk / "d",
    )
    assert (code, err) == (0, [])
    assert f"{disk}/d is " + ("valid" if name == "verify" else "already complete") in "".join(out)


@pytest.mark.parametrize("name", ["a.weights.h5", "model.ckpt-1"])
def test_conversion_to_a_full_disk_keeps_existing_files(small_disk, lenet_run, capsys, name):
    from classifier.checkpoints import commands

    disk = small_disk()
    keras_weights.save(disk / "a.weights.h5", {"a/weights": np.ones([2], np.float32)})
    before = (disk / "a.weights.h5").read_bytes()
    code, _, err = script(
        ConvertConfig,
        commands.convert,
        "convert",
        capsys,
        checkpoint_path=lenet_run,
        output=disk / name,
    )
    (line,) = err
    assert code == 1
    assert "No space left on device" in line
    assert files(disk) == {"a.weights.h5"}
    assert (disk / "a.weights.h5").read_bytes() == before


class Remover(learning.Hook):
    """Removes a directory, or what is in it, after the second step."""

    def __init__(self, path):
        self._path = path

    def after_steps(self, run, numbers):
        if run.step == 2:
            shutil.rmtree(self._path)


@pytest.mark.parametrize(
    "options",
    [
        {"save_interval_steps": 3},
        pytest.param({"log_every_n_steps": 1}, marks=pytest.mark.slow),
    ],
)
def test_train_dir_removed_while_training(train, tmp_path, monkeypatch, options):
    run = tmp_path / "run"
    make_hooks = training.make_hooks
    monkeypatch.setattr(training, "make_hooks", lambda *a: [Remover(run), *make_hooks(*a)])
    done = train(run, **{"max_number_of_steps": 6, "log_every_n_steps": 100} | options)
    (line,) = done.err
    assert done.code == 1
    assert f"{run} was removed" in line
    assert not run.exists()
