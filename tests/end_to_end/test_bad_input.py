"""Each wrong input ends in one clear line and an exit code, and leaves what was there as it was."""

import json
import shutil

import commands
import pytest
import tensorflow as tf

from classifier.cli import flags
from classifier.config.training import TrainConfig
from classifier.training import loss
from classifier.training import run as training


@pytest.fixture
def train(capsys):
    """Runs the training script in this process; returns its exit code, output and error lines."""

    def run(train_dir, data, steps=3, **more):
        argv = ["train", *commands.train_flags(train_dir, data, steps, **more)]
        code = flags.main(TrainConfig, training.run, "", argv)
        out, err = capsys.readouterr()
        return code, out, [line for line in err.splitlines() if not line.startswith("E0000")]

    return run


def damaged(digits, tmp_path):
    """Returns a copy of the data and its first training shard, to be spoilt."""
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    return data, data / "digits_train-00000-of-00002.tfrecord"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_folder_of_the_run_is_a_file(train, digits, tmp_path):
    (tmp_path / "run").write_text("kept")
    code, _, errors = train(tmp_path / "run", digits)
    assert code == 2
    assert len(errors) == 1
    assert "is a file" in errors[0]
    assert (tmp_path / "run").read_text() == "kept"


def test_the_folder_of_the_run_cannot_be_written_to(train, digits):
    code, _, errors = train("/proc/run", digits)
    assert code == 2
    assert len(errors) == 1
    assert "/proc/run" in errors[0]


def test_the_dataset_is_empty(train, tmp_path):
    (tmp_path / "data").mkdir()
    code, _, errors = train(tmp_path / "run", tmp_path / "data")
    assert code == 2
    assert len(errors) == 1
    assert not (tmp_path / "run").exists()


def test_a_shard_is_cut_in_a_record(train, digits, tmp_path):
    data, shard = damaged(digits, tmp_path)
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2 + 7])
    code, _, errors = train(tmp_path / "run", data)
    assert code == 2
    assert len(errors) == 1
    assert shard.name in errors[0]


def test_a_shard_is_cut_between_records(train, digits, tmp_path):
    data, shard = damaged(digits, tmp_path)
    # A record is its length (8 bytes), two checksums of 4 bytes, and itself.
    whole = shard.read_bytes()
    first = 16 + int.from_bytes(whole[:8], "little")
    shard.write_bytes(whole[:first])
    # As a copy made by other means would be: dataset_info.json knows no sizes.
    info = json.loads((data / "dataset_info.json").read_text())
    for each in info["splits"]["train"]["shards"]:
        each["bytes"] = (data / each["file"]).stat().st_size
    (data / "dataset_info.json").write_text(json.dumps(info))
    code, _, errors = train(tmp_path / "run", data)
    assert code in (1, 2)
    assert len(errors) == 1
    assert shard.name in errors[0]
    assert not list((tmp_path / "run").glob("model.ckpt*")) if (tmp_path / "run").exists() else True


def test_a_label_is_out_of_range(train, digits, tmp_path):
    code, _, errors = train(tmp_path / "run", digits, labels_offset=1)
    assert code == 2
    assert len(errors) == 1
    assert "is out of range" in errors[0]
    assert "record" in errors[0]
    assert "labels_offset=0" in errors[0]


def test_the_loss_is_not_a_number(train, digits, tmp_path):
    run = tmp_path / "run"
    assert train(run, digits, 2)[0] == 0
    before = contents(run)
    code, _, errors = train(run, digits, 40, learning_rate=1e20)
    assert code == 1
    assert len(errors) == 1
    for part in ("at step ", "learning rate 1e+20", "Likely causes", "last good checkpoint"):
        assert part in errors[0]
    after = contents(run)
    assert all(after[name] == before[name] for name in before if name.startswith("model.ckpt"))
    assert {name for name in after if name.startswith("model.ckpt")} == {
        name for name in before if name.startswith("model.ckpt")
    }


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory, digits):
    """A run of 4 steps with checkpoints at 2 and 4."""
    folder = tmp_path_factory.mktemp("two") / "run"
    argv = ["train", *commands.train_flags(folder, digits, 4, save_interval_steps=2)]
    assert flags.main(TrainConfig, training.run, "", argv) == 0
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def flip(path):
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    path.write_bytes(spoilt)


@pytest.mark.parametrize("spoil", [cut, flip])
def test_the_newest_checkpoint_is_damaged(train, digits, two_checkpoints, tmp_path, spoil, caplog):
    run = tmp_path / "run"
    shutil.copytree(two_checkpoints, run)
    spoil(run / "model.ckpt-4.data-00000-of-00001")
    code, out, _ = train(run, digits, 4, save_interval_steps=2)
    assert code == 0
    assert f"Resuming {run} from step 2" in out
    assert "UNREADABLE CHECKPOINT" in caplog.text
    same = "model.ckpt-4.data-00000-of-00001"
    assert (run / same).read_bytes() == (two_checkpoints / same).read_bytes()


@pytest.mark.parametrize("state", [None, b"", b"\0garbage {"])
def test_the_state_file_is_damaged(train, digits, two_checkpoints, tmp_path, state):
    run = tmp_path / "run"
    shutil.copytree(two_checkpoints, run)
    (run / "checkpoint").unlink()
    if state is not None:
        (run / "checkpoint").write_bytes(state)
    code, out, _ = train(run, digits, 4, save_interval_steps=2)
    assert code == 0
    assert f"Resuming {run} from step 4" in out
    assert "already complete" in out


def test_no_checkpoint_is_readable(train, digits, two_checkpoints, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(two_checkpoints, run)
    for path in run.glob("model.ckpt-*.data-*"):
        cut(path)
    code, _, errors = train(run, digits, 4, save_interval_steps=2)
    assert code == 1
    assert any("is readable" in line for line in errors)
    assert any("start over" in line for line in errors)


def test_two_trainers_on_one_folder(digits, tmp_path, train):
    run = tmp_path / "run"
    first = commands.start("train_image_classifier", *commands.train_flags(run, digits, 5000))
    try:
        while not (run / "train.lock").exists() and first.poll() is None:
            pass
        code, _, errors = train(run, digits, 5000)
        assert code == 2
        assert len(errors) == 1
        assert f"is in use by process {first.pid} on host" in errors[0]
    finally:
        first.kill()
        first.wait()


def test_images_of_a_size_that_the_network_cannot_take(train, digits, tmp_path):
    code, _, errors = train(tmp_path / "run", digits, train_image_size=2)
    assert (code, len(errors)) == (2, 1)
    assert "image_size=2,2 does not fit lenet, whose own is 28: choose that" in errors[0]


def test_images_of_a_size_that_the_preprocessing_cannot_give(train, digits, tmp_path):
    code, _, errors = train(
        tmp_path / "run", digits, preprocessing_name="vgg", train_image_size=299
    )
    assert (code, len(errors)) == (2, 1)
    assert "choose at most 256 pixels, or preprocessing_name=inception; a call from" in errors[0]


def test_a_network_of_videos(train, digits, tmp_path):
    code, _, errors = train(tmp_path / "run", digits, model_name="s3dg")
    assert (code, len(errors)) == (2, 1)
    assert "expects videos" in errors[0]
    assert "train this one by slim.learning.train, with batches of your own" in errors[0]


def test_another_network_in_the_same_folder(train, digits, two_checkpoints, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(two_checkpoints, run)
    before = contents(run)
    code, _, errors = train(run, digits, 4, model_name="cifarnet")
    assert code == 2
    assert len(errors) == 1
    assert "lenet -> cifarnet" in errors[0]
    assert contents(run) == before


def test_the_checkpoint_to_start_from_is_of_another_network(
    train, digits, two_checkpoints, tmp_path
):
    code, _, errors = train(
        tmp_path / "run", digits, 4, model_name="cifarnet", checkpoint_path=two_checkpoints
    )
    assert code == 2
    assert len(errors) == 1
    assert "such as CifarNet/conv1/weights. Its scopes are those of lenet" in errors[0]
    assert not list((tmp_path / "run").glob("model.ckpt*"))


def test_a_scope_matches_nothing(train, digits, two_checkpoints, tmp_path):
    code, _, errors = train(
        tmp_path / "run",
        digits,
        4,
        checkpoint_path=two_checkpoints,
        checkpoint_exclude_scopes="LeNet/fc5",
    )
    assert code == 2
    assert "checkpoint_exclude_scopes: 'LeNet/fc5' matches no variable" in errors[0]
    assert "LeNet/fc4" in errors[0]


def test_starts_from_a_checkpoint_and_trains_one_scope(train, digits, two_checkpoints, tmp_path):
    run = tmp_path / "run"
    code, out, _ = train(
        run,
        digits,
        4,
        checkpoint_path=two_checkpoints,
        checkpoint_exclude_scopes="LeNet/fc4",
        trainable_scopes="LeNet/fc4",
    )
    assert code == 0
    assert "restored 6, skipped 2 (head), missing 0" in out
    from slim import checkpoints

    ours, theirs = (
        checkpoints.read(checkpoints.find(run)),
        checkpoints.read(checkpoints.find(two_checkpoints)),
    )
    same = {
        name: (ours.get(name) == theirs.get(name)).all()
        for name in ours.variables()
        if name.startswith("LeNet/") and "Momentum" not in name
    }
    assert {name for name, equal in same.items() if not equal} == {
        "LeNet/fc4/weights",
        "LeNet/fc4/biases",
    }


SAME = "--batch_size=8 --accumulate_steps=2 keeps the same global batch"
OTHERS = "a smaller --train_image_size, --recompute_gradients, or --trainable_scopes"


@pytest.mark.parametrize(
    "batch_size, advice",
    [
        (
            16,
            f"Try --batch_size=8, {OTHERS} ({SAME}); the last checkpoint",
        ),
        # No two equal batches make 33 images, and one image is no batch to make smaller.
        (33, f"Try --batch_size=16, {OTHERS}; the last checkpoint"),
        (1, f"Try {OTHERS}; the last checkpoint"),
    ],
)
def test_the_memory_is_not_enough(train, digits, tmp_path, monkeypatch, batch_size, advice):
    make_loss = loss.training_loss

    def with_a_giant_tensor(*args, **kwargs):
        loss_fn = make_loss(*args, **kwargs)

        def giant(image, label, **rest):
            total, numbers = loss_fn(image, label, **rest)
            return total + tf.reduce_sum(tf.fill([1 << 23, 1 << 23], total)), numbers

        return giant

    monkeypatch.setattr(loss, "training_loss", with_a_giant_tensor)
    code, _, errors = train(tmp_path / "run", digits, batch_size=batch_size)
    assert code == 1
    assert len(errors) == 1
    assert f"out of memory with lenet at batch_size={batch_size}, 28x28 images" in errors[0]
    assert advice in errors[0]
