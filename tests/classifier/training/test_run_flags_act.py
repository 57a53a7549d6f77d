"""Options of the data, the devices and the checkpoints: each changes what a run does."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from classifier.config import options as options_lib
from classifier.config.training import TrainConfig
from classifier.inputs import preprocessing, shuffling
from classifier.resolve.training import training_run
from classifier.training import optimizers
from classifier.training.batches import TrainingBatches
from classifier.training.hooks.tensorboard import EventHook
from classifier.training.step import deployment_config
from datasets import dataset_factory, download, download_and_convert
from slim import learning
from tests.classifier import at_once, shifted_labels
from tests.datasets import sample_files


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def shapes(folder):
    return dict(tf.train.list_variables(str(folder)))


def saved_steps(folder):
    return sorted(int(path.stem.partition("-")[2]) for path in folder.glob("model.ckpt-*.index"))


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Coloured pictures: those of CIFAR-10, in its true format."""
    folder = tmp_path_factory.mktemp("coloured")
    source = folder / "source"
    source.mkdir()
    (source / "cifar-10-binary.tar.gz").write_bytes(sample_files.cifar10_archive(per_batch=10)[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_problem", lambda file, path: None)  # not the published archive
        download_and_convert.convert("cifar10", str(folder / "data"), source_dir=str(source))
    return folder / "data"


@pytest.mark.slow
def test_data_and_network(train, digits, coloured, tmp_path):
    for name, channels in (("colour", 3), ("gray", 1)):
        told = train(
            tmp_path / name, dataset_name="cifar10", dataset_dir=coloured,
            use_grayscale=channels == 1,
        )  # fmt: skip
        assert (told.code, told.err) == (0, [])
        assert "cifar10 train: 50 images, 10 classes, 1 shard(s)" in told.out
        assert f"lenet at 28x28x{channels}, " in "".join(told.out)
        assert shapes(tmp_path / name)["LeNet/conv1/weights"] == [5, 5, channels, 32]
    told = train(tmp_path / "cifarnet", model_name="cifarnet")
    assert told.code == 0
    assert "CifarNet/conv1/weights" in shapes(tmp_path / "cifarnet")


@pytest.mark.slow
def test_labels_that_begin_at_one(train, digits, tmp_path):
    shifted = shifted_labels.write(digits, tmp_path / "shifted")
    each = {"log_every_n_steps": 1, "max_number_of_steps": 2}
    train(tmp_path / "plain", **each)
    told = train(tmp_path / "shifted_run", **each, dataset_dir=shifted, labels_offset=1)
    assert (told.code, told.err) == (0, [])
    wanted, found = metrics(tmp_path / "plain"), metrics(tmp_path / "shifted_run")
    assert [line["loss"] for line in found] == [line["loss"] for line in wanted]
    train(tmp_path / "background", **each, dataset_dir=shifted)
    assert shapes(tmp_path / "background")["LeNet/fc4/biases"] == [11]


@pytest.mark.slow
def test_which_split_is_evaluated(train, tmp_path):
    for split, images_of_it in (("validation", 360), ("train", 1437)):
        told = train(tmp_path / split, eval_every_steps=2, eval_split_name=split)
        assert (told.code, told.err) == (0, [])
        (found,) = (line for line in metrics(tmp_path / split) if "eval_accuracy" in line)
        assert found["eval_num_images"] == images_of_it


EACH_STEP = {"save_interval_secs": 0, "save_interval_steps": 1}
LEFT = {
    "end": ({"save_interval_secs": 0}, [4]),
    "seconds": ({"save_interval_secs": 2}, [2, 4]),
    "epochs": ({"save_interval_secs": 0, "save_interval_epochs": 2 * 8 / 1437}, [2, 4]),
    "newest": (EACH_STEP | {"max_to_keep": 2}, [3, 4]),
    "hours": (EACH_STEP | {"max_to_keep": 1, "keep_checkpoint_every_n_hours": 1e-9}, [1, 2, 3, 4]),
    "loops": (EACH_STEP | {"steps_per_loop": 2}, [2, 4]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEFT)
def test_which_checkpoints_are_left(train, tmp_path, monkeypatch, name):
    more, wanted = LEFT[name]
    seconds = itertools.count()  # one goes by at each look
    monkeypatch.setitem(learning.train.__kwdefaults__, "clock", lambda: float(next(seconds)))
    told = train(tmp_path, max_number_of_steps=4, **more)
    assert (told.code, told.err) == (0, [])
    assert saved_steps(tmp_path) == wanted


@pytest.mark.slow
def test_summaries_each_so_many_seconds(train, tmp_path, monkeypatch):
    seconds = itertools.count()  # one goes by at each look
    *others, _ = EventHook.__init__.__defaults__
    defaults = (*others, lambda: float(next(seconds)))
    monkeypatch.setattr(EventHook.__init__, "__defaults__", defaults)
    found = {}
    for asked in (1, 600):
        told = train(tmp_path / str(asked), max_number_of_steps=4, save_summaries_secs=asked)
        assert (told.code, told.err) == (0, [])
        (path,) = (tmp_path / str(asked)).glob("events.*")
        events = tf.compat.v1.train.summary_iterator(str(path))
        tags = {event.step: {value.tag for value in event.summary.value} for event in events}
        found[asked] = [step for step in tags if "total_loss" in tags[step]]
    assert found == {1: [1, 2, 3, 4], 600: [4]}


def test_parameter_servers_are_refused(train, tmp_path):
    told = train(tmp_path / "run", num_ps_tasks=1)
    assert (told.code, len(told.err)) == (2, 1)
    assert "num_ps_tasks=1 is not supported: there are no parameter servers" in told.err[0]
    assert not (tmp_path / "run").exists()


@pytest.fixture
def resolved(digits, tmp_path):
    """Returns runs of LeNet on the digits, by their options."""

    def resolve(**values):
        given = {"train_dir": str(tmp_path), "dataset_name": "digits", "dataset_dir": str(digits)}
        return training_run(options_lib.build(TrainConfig, **given, **values))

    return resolve


def first_batch(run):
    data = run.config.data
    dataset = dataset_factory.get_dataset(
        data.dataset_name, data.dataset_split_name, data.dataset_dir
    )
    return next(iter(TrainingBatches(run, dataset)(0)))


def test_the_shuffle_buffer_changes_the_order(resolved):
    """The digits are 0.8 MB: one window of 512 MB's, several of 1 MB's."""
    orders = {
        megabytes: first_batch(
            resolved(model_name="lenet", batch_size=64, shuffle_buffer_mb=megabytes)
        )["record"].numpy()
        for megabytes in (512, 1)
    }
    assert (orders[512] != orders[1]).any()
    # A window's images come from a stretch of the files, not from all of them.
    assert np.ptp(orders[1]) < np.ptp(orders[512])


# What a run does without the option, the option, and the learning rate at a step of each. An epoch
# of the digits is 1437 / 32 = 45 steps, and half of that with two clones.
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
    common, value, step, wanted = DURATIONS[name]
    with_it = {key: each for key, each in common.items() if key != "piecewise_steps"}
    runs = (resolved(model_name="lenet", **each) for each in (common, with_it | {name: value}))
    found = [float(optimizers.make_learning_rate(run.schedule)(tf.constant(step))) for run in runs]
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize("asked", [1, 2])
def test_shards_are_read_side_by_side(resolved, monkeypatch, asked):
    counter = at_once.Counter()
    monkeypatch.setattr(shuffling, "_read_segment", counter.wrapped(shuffling._read_segment))
    few_at_once = {"shuffle_buffer_mb": 1, "num_readers": asked}  # some ten segments of the shards
    first_batch(resolved(model_name="lenet", batch_size=4, **few_at_once))
    assert counter.most == at_once.possible(asked)


@pytest.mark.parametrize("asked", [1, 2])
def test_images_are_prepared_side_by_side(resolved, monkeypatch, asked):
    counter, prepare = at_once.Counter(), preprocessing.preprocessing_fn
    monkeypatch.setattr(
        preprocessing, "preprocessing_fn", lambda *a, **more: counter.wrapped(prepare(*a, **more))
    )
    first_batch(resolved(model_name="lenet", batch_size=8, num_preprocessing_threads=asked))
    assert counter.most == at_once.possible(asked)


def test_clones_on_the_cpu(resolved, monkeypatch):
    real = tf.config.list_logical_devices
    gpu = tf.config.LogicalDevice("/device:GPU:0", "GPU")
    monkeypatch.setattr(
        tf.config, "list_logical_devices", lambda kind=None: [gpu] if kind == "GPU" else real(kind)
    )
    for on_cpu, kind in ((False, "GPU"), (True, "CPU")):
        run = resolved(model_name="lenet", clone_on_cpu=on_cpu)
        assert f":{kind}:0" in deployment_config(run.config).devices()[0]
