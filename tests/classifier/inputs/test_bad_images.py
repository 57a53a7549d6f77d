"""Images that cannot be decoded, left out of training: its batches and its runs."""

import csv
import dataclasses
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from classifier import inputs
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.inputs.bad_images import stand_in
from classifier.training import run as training
from classifier.training.hooks.bad_images import BadImagesLog
from datasets import dataset_info
from slim import _checks
from tests import source_tree
from tests.classifier import toys

BAD = (2, 20, 21, 59)  # places in the files; three kinds of damage


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return toys.load(toys.write(tmp_path_factory.mktemp("clean")))


def damaged(directory, places=BAD):
    records = toys.images(60)
    for place in places:
        kinds = (b"", b"<html>404</html>", records[place].encoded[:-20])
        records[place] = records[place]._replace(encoded=kinds[place % 3])
    return toys.load(toys.write(directory, records=records))


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    return damaged(tmp_path_factory.mktemp("broken"))


def identities(places=BAD):
    starts = (0, 13, 43)
    shards = [sum(place >= start for start in starts[1:]) for place in places]
    return {(shard, place - starts[shard]) for place, shard in zip(places, shards, strict=True)}


def batches(dataset, count, **kwargs):
    return toys.first(toys.training(dataset, **kwargs), count)


def test_only_the_bad_examples_differ(clean, broken):
    skipped = inputs.BadImages()
    actual = batches(broken, 18, skipped=skipped)
    bad = set()
    for batch, whole in zip(actual, batches(clean, 18), strict=True):
        good = batch["weight"] == 1
        np.testing.assert_array_equal(batch["image"][good], whole["image"][good])
        np.testing.assert_array_equal(batch["label"][good], whole["label"][good])
        first = int(np.argmax(good))
        for place in np.flatnonzero(~good):
            assert batch["weight"][place] == 0
            np.testing.assert_array_equal(batch["image"][place], batch["image"][first])
            assert batch["label"][place] == batch["label"][first]
        for key in ("shard", "record", "epoch", "index"):
            np.testing.assert_array_equal(batch[key], whole[key])
        bad |= set(zip(batch["shard"][~good], batch["record"][~good], strict=True))
    assert bad == identities(), "18 batches of 7 are more than two epochs of 60"
    assert set(skipped.take_new()) == identities()
    assert skipped.take_new() == []


@pytest.mark.slow
def test_valid_images_are_the_same_as_without_skipping(clean):
    actual = batches(clean, 9, skipped=inputs.BadImages())
    for batch, plain in zip(actual, batches(clean, 9), strict=True):
        np.testing.assert_array_equal(batch.pop("weight"), np.ones(7, np.float32))
        toys.assert_same([batch], [plain])


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 8])
def test_resuming_gives_the_same_tail(broken, threads):
    whole = batches(broken, 12, skipped=inputs.BadImages())
    for start in (1, 4, 9):
        tail = batches(
            broken,
            12 - start,
            skipped=inputs.BadImages(),
            start_index=7 * start,
            num_preprocessing_threads=threads,
        )
        toys.assert_same(tail, whole[start:])


def test_a_batch_without_a_good_picture_has_no_weight(tmp_path):
    dataset = damaged(tmp_path, range(60))
    (batch,) = batches(dataset, 1, skipped=inputs.BadImages())
    assert not batch["weight"].any()
    assert not batch["image"].any()


@pytest.mark.slow
def test_a_record_that_is_not_an_example_stops_the_run(tmp_path):
    dataset = toys.load(toys.write(tmp_path))
    with tf.io.TFRecordWriter(str(tmp_path / toys.SHARD)) as writer:
        for _ in range(30):
            writer.write(b"\xff\xff\xff")
    with pytest.raises(_checks.RunError, match="record 0 is not a tf.train.Example"):
        toys.run(dataset, "training", skipped=inputs.BadImages())


def test_the_first_good_one_stands_in():
    batch = {
        "image": tf.constant([1.0, 2.0, 3.0, 4.0]),
        "label": tf.constant([5, 6, 7, 8]),
        "weight": tf.constant([0.0, 1.0, 0.0, 1.0]),
        "record": tf.constant([0, 1, 2, 3]),
    }
    actual = stand_in(batch)
    assert actual["image"].numpy().tolist() == [2, 2, 2, 4]
    assert actual["label"].numpy().tolist() == [6, 6, 6, 8]
    assert actual["record"].numpy().tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_evaluation_counts_the_good_ones(clean, broken):
    skipped = inputs.BadImages()
    actual = list(toys.evaluation(broken, skipped=skipped).as_numpy_iterator())
    places = iter(range(60))
    for batch, whole in zip(actual, toys.evaluation(clean).as_numpy_iterator(), strict=True):
        assert batch.keys() == whole.keys()
        bad = np.array([next(places, -1) in BAD for _ in whole["mask"]])
        np.testing.assert_array_equal(batch["mask"], whole["mask"] & ~bad)
        np.testing.assert_array_equal(batch["image"][~bad], whole["image"][~bad])
        np.testing.assert_array_equal(batch["label"], whole["label"])
    assert set(skipped.take_new()) == identities()


def test_a_bad_picture_is_described(broken):
    bad = inputs.describe_bad_image(broken, 1, 7)
    assert (bad.file, bad.shard, bad.record) == ("café/020.png", toys.SHARD, 7)
    assert bad.reason.startswith(f"{len(toys.png(20)) - 20} bytes with a PNG header; ")
    assert str(bad).startswith(f"Cannot decode image 'café/020.png' ({toys.SHARD}, record 7): ")
    good = inputs.describe_bad_image(broken, 0, 0)
    assert good.reason.endswith("the requested part is damaged")


# ---- runs ----------------------------------------------------------------------------------------


def train(dataset_dir, train_dir, steps, **more):
    values = {
        "dataset_name": "folder",
        "dataset_dir": str(dataset_dir),
        "train_dir": str(train_dir),
        "model_name": "lenet",
        "batch_size": 8,
        "max_number_of_steps": steps,
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "save_summaries_secs": 0,
        "log_every_n_steps": 1,
    }
    training.run(options.build(TrainConfig, **(values | more)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The broken dataset where the scripts find it."""
    directory = tmp_path_factory.mktemp("folder")
    damaged(directory)
    info = dataset_info.read(str(directory))
    dataset_info.write(dataclasses.replace(info, name="folder"), str(directory))
    return directory


def listed(train_dir):
    with open(train_dir / "bad_files.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_run_leaves_them_out_and_names_them(tmp_path, folder, capsys):
    with pytest.raises(_checks.RunError, match="^Cannot decode image 'café/0.*record "):
        train(folder, tmp_path / "error", 9)
    train(folder, tmp_path / "run", 9, on_bad_image="skip", max_bad_fraction=0.1)
    output = capsys.readouterr().out
    rows = listed(tmp_path / "run")
    assert sorted(row["path"] for row in rows) == [f"café/{place:03d}.png" for place in BAD]
    for row in rows:
        message = f"Cannot decode image {row['path']!r} ({row['shard']}, record {row['record']}): "
        assert f"skipped image: {message}{row['reason']}\n" in output
    assert f"skipped 4 bad images, listed in {tmp_path / 'run' / 'bad_files.csv'}" in output

    train(folder, tmp_path / "run", 18, on_bad_image="skip", max_bad_fraction=0.1)
    output = capsys.readouterr().out
    assert "skipped image: " not in output, "they were logged at the first start"
    assert "skipped 4 bad images" in output
    assert len(listed(tmp_path / "run")) == 4


@pytest.mark.slow
def test_evaluation_inside_training_leaves_them_out_too(tmp_path, folder, capsys):
    flags = {"eval_every_steps": 2, "eval_split_name": "train", "on_bad_image": "skip"}
    train(folder, tmp_path / "run", 4, max_bad_fraction=0.1, **flags)
    output = capsys.readouterr().out
    assert output.count("train accuracy") == output.count(" (56 of 60 images)") == 2
    assert output.count("skipped image in evaluation: Cannot decode image 'café/0") == 4, (
        "each once"
    )


def test_too_many_stop_the_run(tmp_path, folder):
    with pytest.raises(_checks.RunError) as caught:
        train(folder, tmp_path / "run", 9, on_bad_image="skip")
    count = len(listed(tmp_path / "run"))
    assert count in (1, 2, 3, 4)
    assert str(caught.value) == (
        f"too many bad images in folder/train: {count} of 60; the limit is max_bad_fraction=0.01."
        f" They are listed in {tmp_path / 'run' / 'bad_files.csv'}"
    )


def hook(dataset, train_dir, *left_out):
    """Returns the hook of a run that finds these places bad."""
    bad_images = types.SimpleNamespace(take_new=lambda: list(left_out))
    return BadImagesLog(bad_images, dataset, str(train_dir), max_fraction=1)


@pytest.mark.parametrize("left", [0, 3, 24, 30, -40, -1])
def test_a_list_that_was_cut_is_read_to_the_cut(tmp_path, broken, left):
    actual = [(0, 2), (1, 7)]
    hook(broken, tmp_path, *actual).after_steps(None, {})
    whole, rows = (tmp_path / "bad_files.csv").read_bytes(), listed(tmp_path)
    assert len(rows) == 2
    (tmp_path / "bad_files.csv").write_bytes(whole[:left])
    resumed = hook(broken, tmp_path, *actual)
    resumed.begin(None)
    resumed.after_steps(None, {})
    assert listed(tmp_path) == rows
    assert (tmp_path / "bad_files.csv").read_bytes() == whole


@pytest.mark.slow
def test_two_clones_leave_out_too(tmp_path, folder):
    code = (
        "import sys, tensorflow as tf; from tests.classifier.inputs import test_bad_images as t\n"
        "cpu, = tf.config.list_physical_devices('CPU')\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "more = dict(batch_size=4, num_clones=2, clone_on_cpu=True, max_bad_fraction=0.1)\n"
        "t.train(*sys.argv[1:], 9, on_bad_image='skip', **more)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(tmp_path)],
        cwd=source_tree.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "devices: CPU:0, CPU:1" in done.stdout
    assert len(listed(tmp_path)) == 4


def test_a_limit_needs_something_to_limit():
    required = {"train_dir": "run", "dataset_dir": "data"}
    with pytest.raises(_checks.UserError, match="max_bad_fraction needs on_bad_image=skip"):
        options.build(TrainConfig, **required, max_bad_fraction=0.5)


def test_several_workers_cannot_leave_out(tmp_path, folder):
    with pytest.raises(_checks.UserError, match="on_bad_image=skip supports a single worker only"):
        train(
            folder, tmp_path, 1,
            on_bad_image="skip", worker_replicas=2, replicas_to_aggregate=2, sync_replicas=True,
            task=0, master=("localhost:1", "localhost:2"),
        )  # fmt: skip
