"""Effects of options of data, devices and checkpoints on runs."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from classifier.inputs import preprocessing, shuffling
from classifier.training import optimizers
from classifier.training.batches import TrainingBatches
from classifier.training.hooks.tensorboard import EventHook
from classifier.training.step import devices_of
from datasets import dataset_factory, download, download_and_convert
from slim import train_loop
from tests.classifier import at_once, shifted_labels
from tests.datasets import sample_files


def metrics(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def shapes(run_dir):
    return dict(tf.train.list_variables(str(run_dir)))


def saved_steps(run_dir):
    return sorted(int(path.stem.partition("-")[2]) for path in run_dir.glob("model.ckpt-*.index"))


@pytest.fixture(scope="module")
def color_images(tmp_path_factory):
    """Color images in the format of CIFAR-10."""
    directory = tmp_path_factory.mktemp("color")
    source = directory / "source"
    source.mkdir()
    (source / "cifar-10-binary.tar.gz").write_bytes(sample_files.cifar10_archive(per_batch=10)[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_problem", lambda file, path: None)  # not the published archive
        download_and_convert.convert("cifar10", str(directory / "data"), source_dir=str(source))
    return directory / "data"


@pytest.mark.slow
def test_data_and_network(train, digits, color_images, tmp_path):
    for name, channels in (("colour", 3), ("gray", 1)):
        result = train(
            tmp_path / name, dataset_name="cifar10", dataset_dir=color_images,
            use_grayscale=channels == 1,
        )  # fmt: skip
        assert (result.code, result.err) == (0, [])
        assert "dataset: cifar10 train, 50 images, 10 classes, 1 shard(s)" in result.out
        assert f"lenet at 28x28x{channels}, " in "".join(result.out)
        assert shapes(tmp_path / name)["LeNet/conv1/weights"] == [5, 5, channels, 32]
    result = train(tmp_path / "cifarnet", model_name="cifarnet")
    assert result.code == 0
    assert "CifarNet/conv1/weights" in shapes(tmp_path / "cifarnet")


@pytest.mark.slow
def test_labels_offset_trains_the_same_classes(train, digits, tmp_path):
    shifted = shifted_labels.write(digits, tmp_path / "shifted")
    each = {"log_every_n_steps": 1, "max_number_of_steps": 2}
    train(tmp_path / "plain", **each)
    result = train(tmp_path / "shifted_run", **each, dataset_dir=shifted, labels_offset=1)
    assert (result.code, result.err) == (0, [])
    expected, actual = metrics(tmp_path / "plain"), metrics(tmp_path / "shifted_run")
    assert [line["loss"] for line in actual] == [line["loss"] for line in expected]
    train(tmp_path / "background", **each, dataset_dir=shifted)
    assert shapes(tmp_path / "background")["LeNet/fc4/biases"] == [11]


@pytest.mark.slow
def test_eval_split_name_selects_the_split(train, tmp_path):
    for split, num_images in (("validation", 360), ("train", 1437)):
        result = train(tmp_path / split, eval_every_steps=2, eval_split_name=split)
        assert (result.code, result.err) == (0, [])
        (evaluation,) = (line for line in metrics(tmp_path / split) if "eval_accuracy" in line)
        assert evaluation["eval_num_images"] == num_images


EACH_STEP = {"save_interval_secs": 0, "save_interval_steps": 1}
SAVED = {
    "end": ({"save_interval_secs": 0}, [4]),
    "seconds": ({"save_interval_secs": 2}, [2, 4]),
    "epochs": ({"save_interval_secs": 0, "save_interval_epochs": 2 * 8 / 1437}, [2, 4]),
    "newest": (EACH_STEP | {"max_to_keep": 2}, [3, 4]),
    "hours": (EACH_STEP | {"max_to_keep": 1, "keep_checkpoint_every_n_hours": 1e-9}, [1, 2, 3, 4]),
    "loops": (EACH_STEP | {"steps_per_loop": 2}, [2, 4]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVED)
def test_checkpoints_are_saved_and_kept_at_their_intervals(train, tmp_path, monkeypatch, name):
    more, expected = SAVED[name]
    seconds = itertools.count()  # each call advances the clock by one
    monkeypatch.setitem(train_loop.train.__kwdefaults__, "clock", lambda: float(next(seconds)))
    result = train(tmp_path, max_number_of_steps=4, **more)
    assert (result.code, result.err) == (0, [])
    assert saved_steps(tmp_path) == expected


@pytest.mark.slow
def test_summaries_are_written_at_the_interval(train, tmp_path, monkeypatch):
    seconds = itertools.count()  # each call advances the clock by one
    *others, _ = EventHook.__init__.__defaults__
    defaults = (*others, lambda: float(next(seconds)))
    monkeypatch.setattr(EventHook.__init__, "__defaults__", defaults)
    steps = {}
    for interval in (1, 600):
        run_dir = tmp_path / str(interval)
        result = train(run_dir, max_number_of_steps=4, save_summaries_secs=interval)
        assert (result.code, result.err) == (0, [])
        (path,) = run_dir.glob("events.*")
        events = tf.compat.v1.train.summary_iterator(str(path))
        steps[interval] = [
            event.step
            for event in events
            if any(value.tag == "total_loss" for value in event.summary.value)
        ]
    assert steps == {1: [1, 2, 3, 4], 600: [4]}


def test_parameter_servers_need_addresses(train, tmp_path):
    result = train(tmp_path / "run", num_ps_tasks=1)
    assert (result.code, len(result.err)) == (2, 1)
    assert "num_ps_tasks=1 needs addresses: pass the same --master=" in result.err[0]
    assert not (tmp_path / "run").exists()


def first_batch(run):
    data = run.config.data
    dataset = dataset_factory.get_dataset(
        data.dataset_name, data.dataset_split_name, data.dataset_dir
    )
    return next(iter(TrainingBatches(run, dataset)(0)))


@pytest.mark.slow
def test_the_shuffle_buffer_changes_the_order(resolved):
    """The digits are 0.8 MB: one window of 512 MB, or several of 1 MB."""
    orders = {}
    for megabytes in (512, 1):
        batch = first_batch(resolved(batch_size=64, shuffle_buffer_mb=megabytes))
        orders[megabytes] = batch["record"].numpy()
    assert (orders[512] != orders[1]).any()
    # A window has images from a part of the files only.
    assert np.ptp(orders[1]) < np.ptp(orders[512])


# Option -> (other options, value, step, learning rates at the step without and with the option). An
# epoch of the digits is 1437 / 32 = 45 steps, and half of that with two clones.
EXPONENTIAL = {"learning_rate_decay_factor": 0.5, "learning_rate": 0.5}
PIECEWISE = EXPONENTIAL | {"learning_rate_decay_type": "piecewise", "piecewise_rates": (0.25,)}
DURATIONS = {
    "num_epochs_per_decay": (EXPONENTIAL, 1.0, 45, (0.5, 0.25)),
    "decay_per_clone": (EXPONENTIAL | {"num_clones": 2}, True, 45, (0.25, 0.5)),
    "warmup_epochs": (EXPONENTIAL, 1.0, 0, (0.5, 0.0)),
    "piecewise_epochs": (PIECEWISE | {"piecewise_steps": (10,)}, (1.0,), 40, (0.25, 0.5)),
}


@pytest.mark.parametrize("name", DURATIONS)
def test_durations_in_epochs(resolved, name):
    common, value, step, expected = DURATIONS[name]
    changed = {key: each for key, each in common.items() if key != "piecewise_steps"}
    runs = (resolved(**each) for each in (common, changed | {name: value}))
    rates = [float(optimizers.make_learning_rate(run.schedule)(tf.constant(step))) for run in runs]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_shards_are_read_in_parallel(resolved, monkeypatch, count):
    counter = at_once.Counter()
    monkeypatch.setattr(shuffling, "_read_segment", counter.wrapped(shuffling._read_segment))
    small_buffer = {"shuffle_buffer_mb": 1, "num_readers": count}  # about ten segments
    first_batch(resolved(batch_size=4, **small_buffer))
    assert counter.most == at_once.possible(count)


@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_images_are_preprocessed_in_parallel(resolved, monkeypatch, count):
    counter, prepare = at_once.Counter(), preprocessing.preprocessing_fn
    monkeypatch.setattr(
        preprocessing, "preprocessing_fn", lambda *a, **more: counter.wrapped(prepare(*a, **more))
    )
    first_batch(resolved(batch_size=8, num_preprocessing_threads=count))
    assert counter.most == at_once.possible(count)


def test_clones_on_the_cpu(resolved, monkeypatch):
    gpu = tf.config.LogicalDevice("/device:GPU:0", "GPU")
    for name in ("list_logical_devices", "list_physical_devices"):
        real = getattr(tf.config, name)
        listed = lambda kind=None, real=real: [gpu] if kind == "GPU" else real(kind)  # noqa: E731
        monkeypatch.setattr(tf.config, name, listed)
    monkeypatch.setattr(tf.config, "get_logical_device_configuration", lambda device: None)
    for on_cpu, kind in ((False, "GPU"), (True, "CPU")):
        run = resolved(clone_on_cpu=on_cpu)
        assert f":{kind}:0" in devices_of(run.config).names()[0]
