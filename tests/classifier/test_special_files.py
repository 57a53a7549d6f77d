"""A FIFO, a directory or a device where a file is expected: a line at once, and nothing waits."""

import dataclasses
import os
import shutil

import h5py
import pytest

from classifier import ownership
from classifier.checkpoints import sources
from classifier.checkpoints.sources import open_source
from classifier.cli import flags
from classifier.config import options
from classifier.config.prediction import PredictConfig
from classifier.inference.model import InferenceModel
from classifier.resolve.prediction import prediction
from classifier.run_directory import RunDirectory
from classifier.training.hooks.bad_images import BadImagesLog
from datasets import verify
from slim import _checks, checkpoints, events
from slim.data import records


def fifo(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def directory(path):
    path.mkdir()


KINDS = {"FIFO": fifo, "device": device, "directory": directory}
# The other kinds take the same way through the scripts.
ONE_FAST = pytest.mark.parametrize(
    "make",
    [fifo, *(pytest.param(each, marks=pytest.mark.slow) for each in (device, directory))],
)


@ONE_FAST
@pytest.mark.parametrize("name", ["model_info.json", "checkpoint", "model.ckpt-7.index",
                                  "model.ckpt-7.data-00000-of-00001"])  # fmt: skip
def test_evaluation_of_a_run(make, name, tmp_path, evaluate, lenet_run):
    run = tmp_path / "run"
    shutil.copytree(lenet_run, run)
    (run / name).unlink(missing_ok=True)
    make(run / name)
    answer = evaluate(run)
    if name == "checkpoint":
        assert answer.code == 0
    else:
        assert answer.code in (1, 2)
        assert len(answer.err) == 1
        assert name.partition(".data")[0].removesuffix(".index") in answer.err[0]
    assert {path.name for path in run.iterdir()} >= {name}


@ONE_FAST
@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "nan_restores.json",
                                  "bad_files.csv"])  # fmt: skip
def test_training(make, name, tmp_path, train):
    run = tmp_path / "run"
    ownership.claim_run(str(run))
    make(run / name)
    answer = train(run, on_bad_image="skip")
    assert answer.code == 2
    assert len(answer.err) == 1
    assert name in answer.err[0]
    assert "not a regular file" in answer.err[0]


@pytest.mark.parametrize("name", ["eval", "images"])
def test_training_with_a_file_where_a_directory_is_written(name, tmp_path, train):
    (tmp_path / name).write_text("mine")
    answer = train(tmp_path, eval_every_steps=1, summarize_images=True)
    assert answer.code == 2
    assert name in answer.err[0]
    assert (tmp_path / name).read_text() == "mine"


def test_event_files_need_a_directory(tmp_path):
    (tmp_path / "eval").symlink_to("nowhere")
    with pytest.raises(_checks.UserError, match="eval is a link, but event files need a"):
        events.EventFile(str(tmp_path / "eval"))


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras", "x.npz", "model.ckpt-3"])
def test_weights(make, name, tmp_path):
    make(tmp_path / name)
    with pytest.raises((_checks.UserError, _checks.RunError), match=name):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("name", ["x.keras", "x.npz", "x.weights.h5"])
def test_weights_of_another_format(name, tmp_path):
    with h5py.File(tmp_path / name, "w") as file:
        file["a"] = [1.0]
    with pytest.raises((_checks.UserError, _checks.RunError), match=name):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_shards(make, tmp_path):
    path = tmp_path / "digits_train-00000-of-00001.tfrecord"
    make(path)
    for read in (records.count_records, records.find_whole_records):
        with pytest.raises(
            _checks.UserError, match=r"Shard .* is a .*, not a regular file: re-copy"
        ):
            read(str(path))
    with pytest.raises(_checks.UserError, match="not a regular file: re-copy"):
        records.find_all_records([str(path)], [1])
    (problem,) = verify.read_shard(str(path), num_classes=2).problems
    assert path.name in problem


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_flag_files(make, tmp_path, capsys):
    make(tmp_path / "flags")
    (tmp_path / "outer").write_text(f"# comment\n--flagfile={tmp_path}/flags\n")
    for arguments in (["--flagfile", f"{tmp_path}/flags"], [f"-flagfile={tmp_path}/outer"]):
        assert flags.main(PredictConfig, print, "", ["p", *arguments]) == 2
        error = capsys.readouterr().err
        assert "--flagfile=" in error
        assert "cannot be read: not a regular file" in error


def test_flag_files_that_cannot_be_read(tmp_path):
    def refused(message):
        with pytest.raises(_checks.UserError, match=message):
            flags.parse(PredictConfig, ["p", f"--flagfile={tmp_path}/flags"])

    refused("cannot be read: No such file")
    (tmp_path / "flags").write_bytes(b"--images=\xff")
    refused("is not UTF-8")
    (tmp_path / "flags").write_bytes(b"--images=a\0b")
    refused("contains a NUL character")
    (tmp_path / "flags").write_bytes(b"#" * (2 << 20))
    refused("cannot be read: larger than 1048576 bytes")
    (tmp_path / "flags").write_text(f"--flagfile={tmp_path}/flags\n" * 2)
    refused("includes more than 100 files, or itself")


def test_a_damaged_row_of_bad_files_is_skipped(tmp_path):
    path = tmp_path / "bad_files.csv"
    path.write_bytes(b'path,shard,record,reason\na,s,1,bad\na,s,x,bad\n\xff\n"\na,s,3,bad\nb,s')
    log = BadImagesLog(None, None, str(tmp_path))
    log.begin(None)
    assert log._known == {("s", 1), ("s", 3)}
    assert path.read_bytes().endswith(b"a,s,3,bad\n")


def test_data_without_its_index_is_not_removed_if_a_directory_is_there(tmp_path):
    checkpoints.save(tmp_path / "model.ckpt-7", {"v": [1.0]})
    (tmp_path / "model.ckpt-7.index").unlink()
    (tmp_path / "model.ckpt-7.index").mkdir()
    checkpoints.Checkpoints(tmp_path).save(8, {"v": [2.0]})
    assert (tmp_path / "model.ckpt-7.data-00000-of-00001").exists()


@pytest.mark.parametrize(
    "change, problem",
    [
        (
            {"num_classes": 1_000_000},
            "with 1000000 classes, for images of 28x28, has .* MB of weig",
        ),
        (
            {"image_size": (16384, 16384)},
            "for images of 16384x16384, has .* MB: it is not this netw",
        ),
        (
            {"model_name": "lenett"},
            "json cannot be used: model_name='lenett' is not known; did you",
        ),
        ({"preprocessing_name": "x"}, "json cannot be used: no preprocessing is known for 'x'"),
    ],
)
def test_implausible_model_info_is_an_error_before_it_fills_memory(
    change, problem, tmp_path, lenet_run
):
    run = tmp_path / "run"
    shutil.copytree(lenet_run, run)
    directory = RunDirectory(str(run))
    info = dataclasses.replace(directory.read_model_info(), label_names=(), **change)
    directory.write_model_info(info)
    config = options.build(PredictConfig, checkpoint_path=str(run), images=("x",))

    def restore():
        checkpoint = sources.open_checkpoint(str(run))
        return InferenceModel(
            prediction(config, checkpoint.info, checkpoint.head_classes).model, checkpoint
        )

    with pytest.raises(_checks.UserError, match=problem):
        restore()
