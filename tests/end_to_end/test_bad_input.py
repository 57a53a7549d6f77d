"""Each wrong input ends with a one-line error and an exit code, and existing files stay intact."""

import json
import os
import shutil

import commands
import pytest
import tensorflow as tf

from classifier.training import loss as training_loss
from slim import checkpoints
from slim.run_lock import TrainDirLock


def train(train_dir, data, steps=3, code=0, **more):
    """Trains on the digits in this process; returns the finished script."""
    flags = commands.train_flags(train_dir, data, steps, **more)
    return commands.run("train_image_classifier", *flags, code=code)


def error(train_dir, data, steps=3, code=2, **more):
    """Returns the error line of a training run that fails."""
    flags = commands.train_flags(train_dir, data, steps, **more)
    return commands.error("train_image_classifier", *flags, code=code)


@pytest.fixture
def data_and_shard(digits, tmp_path):
    """A copy of the dataset, and its first training shard, for a test to damage."""
    data = shutil.copytree(digits, tmp_path / "data")
    return data, data / "digits_train-00000-of-00002.tfrecord"


def test_train_dir_that_is_a_file_is_an_error_and_the_file_stays(digits, tmp_path):
    (tmp_path / "run").write_text("kept")
    assert "is a regular file, not a directory" in error(tmp_path / "run", digits)
    assert (tmp_path / "run").read_text() == "kept"


def test_train_dir_that_cannot_be_created_is_an_error(digits):
    assert "/proc/run" in error("/proc/run", digits)


def test_empty_dataset_directory_is_an_error_before_the_run_starts(tmp_path):
    (tmp_path / "data").mkdir()
    error(tmp_path / "run", tmp_path / "data")
    assert not (tmp_path / "run").exists()


def test_shard_truncated_within_a_record_is_an_error(data_and_shard, tmp_path):
    data, shard = data_and_shard
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2 + 7])
    assert shard.name in error(tmp_path / "run", data)


@pytest.mark.slow
def test_shard_truncated_between_records_is_an_error(data_and_shard, tmp_path):
    data, shard = data_and_shard
    # A record is its length (8 bytes), two checksums of 4 bytes, and its content.
    content = shard.read_bytes()
    shard.write_bytes(content[: 16 + int.from_bytes(content[:8], "little")])
    # With the truncated file's size in dataset_info.json, so that only the image count is wrong.
    info = json.loads((data / "dataset_info.json").read_text())
    for entry in info["splits"]["train"]["shards"]:
        entry["bytes"] = (data / entry["file"]).stat().st_size
    (data / "dataset_info.json").write_text(json.dumps(info))
    assert shard.name in error(tmp_path / "run", data, code=1)
    assert not list(tmp_path.glob("run/model.ckpt*"))


@pytest.mark.slow
def test_label_out_of_range_is_an_error_that_names_its_record(digits, tmp_path):
    message = error(tmp_path / "run", digits, labels_offset=1)
    for part in ("is out of range", "record", "labels_offset=0"):
        assert part in message


@pytest.mark.slow
def test_loss_that_becomes_nan_is_an_error_and_the_checkpoints_stay(run, digits):
    before = checkpoint_files(run)
    more = commands.RUN | {"learning_rate": 1e20}
    message = error(run, digits, commands.STEPS + 40, code=1, **more)
    for part in ("at step ", "learning rate 1e+20", "Likely causes", "Earlier checkpoints"):
        assert part in message
    assert checkpoint_files(run) == before


def checkpoint_files(directory):
    """Returns the contents of the checkpoints' files."""
    return {path.name: path.read_bytes() for path in directory.glob("model.ckpt*")}


def truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# A flipped bit is among the damages of tests/slim/test_checkpoints_damage.py.
@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncate, flip_bit])
def test_resume_with_a_damaged_newest_checkpoint_uses_the_previous_one(
    digits, trained, run, damage, caplog
):
    newest = f"model.ckpt-{commands.STEPS}.data-00000-of-00001"
    damage(run / newest)
    output = train(run, digits, commands.STEPS, **commands.RUN).stdout
    assert f"Resuming {run} from step 40" in output
    assert "UNREADABLE CHECKPOINT" in caplog.text
    assert (run / newest).read_bytes() == (trained / newest).read_bytes()


@pytest.mark.parametrize(
    "state", [None, *(pytest.param(each, marks=pytest.mark.slow) for each in (b"\0garbage {", b""))]
)
def test_resume_with_a_damaged_state_file_finds_the_newest_checkpoint(digits, run, state):
    (run / "checkpoint").unlink()
    if state is not None:
        (run / "checkpoint").write_bytes(state)
    output = train(run, digits, commands.STEPS, **commands.RUN).stdout
    assert f"Resuming {run} from step {commands.STEPS}" in output
    assert "already complete" in output


def test_resume_without_an_intact_checkpoint_is_an_error(digits, run):
    for path in run.glob("model.ckpt-*.data-*"):
        truncate(path)
    flags = commands.train_flags(run, digits, commands.STEPS, **commands.RUN)
    message = commands.run("train_image_classifier", *flags, code=1).stderr
    assert "is readable" in message
    assert "start over" in message


def test_second_trainer_in_a_directory_is_an_error_that_names_the_first(digits, run):
    with TrainDirLock(run):
        message = error(run, digits, commands.STEPS + 10, **commands.RUN)
    assert f"is in use by process {os.getpid()} on host" in message


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"train_image_size": 2},
            "image size 2x2 is not supported by lenet. Use its default, 28",
        ),
        (
            {"preprocessing_name": "vgg", "train_image_size": 299},
            "use at most 256 pixels or --preprocessing_name=inception",
        ),
        (
            {"model_name": "s3dg"},
            "train it with slim.learning.train and your own batches",
        ),
    ],
)
def test_unsupported_image_size_or_network_is_an_error(digits, tmp_path, options, message):
    assert message in error(tmp_path / "run", digits, **options)


def test_another_network_in_the_same_train_dir_is_an_error_and_changes_nothing(digits, run):
    before = commands.snapshot(run)
    more = commands.RUN | {"model_name": "cifarnet"}
    assert "lenet -> cifarnet" in error(run, digits, commands.STEPS, **more)
    assert commands.snapshot(run) == before


@pytest.mark.slow
def test_initial_checkpoint_of_another_network_is_an_error(digits, trained, tmp_path):
    message = error(tmp_path / "run", digits, model_name="cifarnet", checkpoint_path=trained)
    assert "such as CifarNet/conv1/weights. Its scopes match lenet" in message
    assert not list((tmp_path / "run").glob("model.ckpt*"))


@pytest.mark.slow
def test_scope_without_a_variable_is_an_error_that_names_the_scopes(digits, trained, tmp_path):
    more = {"checkpoint_path": trained, "checkpoint_exclude_scopes": "LeNet/fc5"}
    message = error(tmp_path / "run", digits, **more)
    assert "checkpoint_exclude_scopes: 'LeNet/fc5' matches no variable" in message
    assert "LeNet/fc4" in message


@pytest.mark.slow
def test_starts_from_a_checkpoint_and_trains_one_scope(digits, trained, tmp_path):
    output = train(
        tmp_path / "run",
        digits,
        checkpoint_path=trained,
        checkpoint_exclude_scopes="LeNet/fc4",
        trainable_scopes="LeNet/fc4",
    ).stdout
    assert "restored 6, skipped 2 (head), missing 0" in output
    before, after = (
        checkpoints.read(checkpoints.find(directory)) for directory in (trained, tmp_path / "run")
    )
    weights = [
        name
        for name in after.variables()
        if name.startswith("LeNet/") and name.rpartition("/")[2] in ("weights", "biases")
    ]
    assert len(weights) == 8
    changed = {name for name in weights if (after.get(name) != before.get(name)).any()}
    assert changed == {"LeNet/fc4/weights", "LeNet/fc4/biases"}


@pytest.mark.slow
def test_out_of_memory_error_says_what_to_reduce(digits, tmp_path, monkeypatch):
    make_loss = training_loss.training_loss

    def loss_with_giant_tensor(*args, **kwargs):
        loss_fn = make_loss(*args, **kwargs)

        def giant(image, label, **rest):
            loss, metrics = loss_fn(image, label, **rest)
            return loss + tf.reduce_sum(tf.fill([1 << 23, 1 << 23], loss)), metrics

        return giant

    monkeypatch.setattr(training_loss, "training_loss", loss_with_giant_tensor)
    message = error(tmp_path / "run", digits, code=1, batch_size=16)
    assert "out of memory with lenet at batch_size=16, 28x28 images" in message
    assert "Try --batch_size=8, a smaller --train_image_size" in message
