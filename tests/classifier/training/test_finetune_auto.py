"""`--finetune=auto` and `--learning_rate=auto`."""

import collections
import json
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import slim
from classifier import inputs, network
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.resolve import cluster, finetune_plan
from classifier.training import head_fit, rate_test
from classifier.training import run as training
from classifier.training.step import block_decays
from datasets.location import Location
from nets import nets_factory
from slim import _checks, checkpoints
from tests.datasets import image_folder, sample_files

QUICK = {"batch_size": 32, "finetune": "auto", "max_number_of_steps": 6, "train_image_size": 28}


def test_the_fit_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = rng.normal(size=(90, 20)) * 5 + 100 + 2 * rng.normal(size=(3, 20))[labels]
    kernel, biases = head_fit.fit(features.astype(np.float32), labels, 4, np.ones(90), seed=0)
    scaler = StandardScaler().fit(features)
    reference = LogisticRegression(C=0.1, max_iter=1000).fit(scaler.transform(features), labels)
    logits = features @ kernel + biases
    np.testing.assert_allclose(
        tf.nn.softmax(logits)[:, :3], reference.predict_proba(scaler.transform(features)), atol=0.01
    )


@pytest.mark.parametrize("weights, expected", [([1.0, 1.0], 0), ([1.0, 30.0], 1)])
def test_image_weights_act_on_the_fit(weights, expected):
    labels = np.array([0] * 9 + [1])
    features = np.zeros((10, 2), np.float32)
    image_weights = np.array(weights)[labels]
    _, biases = head_fit.fit(features, labels, 2, image_weights / image_weights.mean(), seed=0)
    assert biases.argmax() == expected


def _with_one_linear_layer():
    """The networks for images, each family's smallest."""
    quick = ("lenet", "cifarnet", "mobilenet_v1_025")
    slow = ("mobilenet_v2_035", "mobilenet_v3_small",
            "alexnet_v2", "vgg_a", "overfeat", "inception_v1", "inception_v2", "inception_v3",
            "inception_v4", "inception_resnet_v2", "nasnet_cifar", "pnasnet_mobile",
            "resnet_v1_50", "resnet_v2_50", "mobilenet_edgetpu", "nasnet_mobile")  # fmt: skip
    return [*quick, *(pytest.param(name, marks=pytest.mark.slow) for name in slow)]


@pytest.mark.parametrize("name", _with_one_linear_layer())
def test_the_logits_are_a_linear_function_of_the_features(name):
    spec = nets_factory.NETWORKS[name]
    side = spec.image_size
    shape = [2, side, side, 1 if name == "lenet" else 3]
    images = tf.random.stateless_uniform(shape, [1, 2], -1.0, 1.0)
    store = slim.VariableStore(seed=0)
    with store.as_default():
        logits, _ = network.inference_network(name, 5)(images)
    with store.as_default():
        features, _ = network.inference_network(name, None)(images)
    if features.shape.rank == 4:
        features = tf.reduce_mean(features, [1, 2])
    variables = store.named_variables
    layer = head_fit.layer_of(variables, spec.heads[0])
    kernel = tf.reshape(variables[f"{layer}/weights"], [-1, 5])
    np.testing.assert_allclose(
        features @ kernel + variables[f"{layer}/biases"], logits, rtol=1e-3, atol=1e-3
    )


def values_of(run):
    reader = checkpoints.read(checkpoints.latest(str(run)))
    return {name: reader.get(name) for name in reader.variables()}


@pytest.fixture(scope="module")
def automatic(digits, trained, tmp_path_factory):
    """A run with checkpoints of steps 0, 2, 4 and 6, and what it has printed."""
    from tests.classifier.conftest import _train

    directory = tmp_path_factory.mktemp("automatic") / "run"
    values = {
        **QUICK,
        "checkpoint_path": trained,
        "save_interval_steps": 2,
        "max_to_keep": 0,
        "eval_every_steps": 6,
    }
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda *a, **k: lines.append(str(*a)))
        assert _train(digits, directory, **values, optimizer="rmsprop") == 0
    return directory, values, lines


@pytest.mark.slow
def test_the_plan_is_printed_and_stored(automatic):
    directory, _, lines = automatic
    text = "\n".join(lines)
    plan = "finetune=auto: --optimizer=adamw --moving_average_decay=0.9 --learning_rate=auto"
    assert plan in text
    assert "head: fitted to the features of " in text
    assert text.index("step 0 evaluated on validation") < text.index("global step")
    config = json.loads((directory / "config.json").read_text())
    assert config["resolved"]["finetune_plan"]["layer_decay"] == 0.9
    assert config["options"]["learning_rate"] > 0
    assert f"learning rate: {config['options']['learning_rate']:.2g}, from a range test" in text


@pytest.mark.slow
def test_the_head_starts_well(automatic):
    first = json.loads((automatic[0] / "metrics.jsonl").read_text().splitlines()[0])
    assert first["step"] == 0
    assert first["eval_accuracy"] > 0.85  # of random convolutions; chance is 0.1


@pytest.mark.slow
@pytest.mark.parametrize("last", [0, 2])
def test_a_killed_run_resumes_exactly(automatic, train, tmp_path, last, monkeypatch):
    directory, values, _ = automatic
    copy = shutil.copytree(directory, tmp_path / "run")
    for path in copy.glob("model.ckpt-*"):
        if int(path.name.split("-")[1].split(".")[0]) > last:
            path.unlink()
    lines = (copy / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["step"] <= last]
    (copy / "metrics.jsonl").write_text("".join(kept))
    monkeypatch.setattr(training, "find_learning_rate", None)
    answer = train(copy, **values, optimizer="rmsprop")
    assert answer.code == 0, answer.err
    assert not any("changed since" in line for line in answer.out)
    expected, resumed = values_of(directory), values_of(copy)
    assert expected.keys() == resumed.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)


@pytest.mark.slow
def test_the_features_are_computed_once(automatic, train, tmp_path, monkeypatch):
    directory, values, _ = automatic
    (tmp_path / "run").mkdir()
    for name in (".slim", "frozen_features.npz", "config.json"):
        shutil.copy(directory / name, tmp_path / "run" / name)
    monkeypatch.setattr(head_fit.dataset_features, "read", None)
    answer = train(tmp_path / "run", **values, optimizer="rmsprop")
    assert answer.code == 0, answer.err
    for name, value in values_of(directory).items():
        np.testing.assert_array_equal(values_of(tmp_path / "run")[name], value, err_msg=name)


def test_the_features_of_images_in_place_depend_on_the_images(tmp_path):
    source = str(tmp_path / "images")
    image_folder.write(source, {f"{c}/0.png": sample_files.jpeg(30, 40) for c in "ab"})
    info = types.SimpleNamespace(
        model_name="lenet", decoding="upright", multi_label=False, to_dict=collections.Counter
    )

    def key():
        location = Location("folder", source, validation_fraction=0.0)
        dataset = inputs.open_dataset(location, "train", 1 << 20, info)
        resolved = types.SimpleNamespace(model=info)
        return head_fit.HeadFit(resolved, dataset)._key(slim.VariableStore())

    before = key()
    assert key() == before
    image_folder.write(source, {"b/1.png": sample_files.jpeg(20, 30)})
    assert key() != before


def test_damaged_features_are_computed_again(tmp_path):
    (tmp_path / "f.npz").write_bytes(b"PK\x03\x04")
    assert head_fit.read_features(str(tmp_path / "f.npz"), "key") is None
    np.savez(tmp_path / "g.npz", features=np.ones(2), labels=np.ones(2), key="other")
    assert head_fit.read_features(str(tmp_path / "g.npz"), "key") is None
    assert head_fit.read_features(str(tmp_path / "g.npz"), "other") is not None


def planned(**values):
    config = options.build(TrainConfig, train_dir="r", dataset_dir="d", **values)
    return finetune_plan.planned(config, steps_per_epoch=10, has_validation=True)


def test_options_that_are_set_stay():
    config, changed = planned()
    assert config.run.max_number_of_steps == changed["max_number_of_steps"] == 50
    assert (config.schedule.decay_steps, config.validation.eval_every_steps) == (50, 13)
    config, changed = planned(
        optimizer="momentum",
        learning_rate=0.5,
        learning_rate_decay_type="fixed",
        max_number_of_epochs=2,
        eval_every_epochs=1,
        layer_decay=0.5,
    )
    assert (config.optimizer.optimizer, config.schedule.learning_rate) == ("momentum", 0.5)
    assert config.run.max_number_of_steps is None
    assert sorted(changed) == ["freeze_batch_norm", "moving_average_decay", "random_crop"]


@pytest.mark.parametrize(
    "losses, rate",
    [
        ([1.0, 0.9, 0.5, 0.4, 3.0], 0.004),  # rates 0.01, 0.02, ..: the last good one was 0.04
        ([1.0, np.nan], 0.001),
        ([1.0, 0.9, np.inf], 0.001),
    ],
)
def test_the_rate_is_below_that_of_the_rise(losses, rate):
    rates = [0.01 * 2**step for step in range(len(losses))]
    assert [rate_test.is_rising(losses[:n]) for n in range(len(losses))] == [False] * len(losses)
    assert rate_test.is_rising(losses)
    assert rate_test.best_rate(rates, losses) == rate


@pytest.mark.slow
def test_learning_rate_auto_is_found_before_the_first_step(train, tmp_path):
    answer = train(tmp_path / "run", learning_rate="auto")
    assert answer.code == 0, answer.err
    rate = json.loads((tmp_path / "run" / "config.json").read_text())["options"]["learning_rate"]
    assert answer.out[0].startswith(f"learning rate: {rate:.2g}, from a range test of ")
    assert 1e-5 < rate < 1
    # A resumed run has the same rate; without its file, it cannot.
    answer = train(tmp_path / "run", learning_rate="auto", max_number_of_steps=3)
    assert not any("range test" in line for line in answer.out)
    (tmp_path / "run" / "config.json").unlink()
    answer = train(tmp_path / "run", learning_rate="auto", max_number_of_steps=4)
    assert "--learning_rate=auto needs the config.json of the run to resume" in answer.err[0]


def test_learning_rate_auto_supports_a_single_worker(resolved):
    run = resolved(learning_rate=0.0)
    workers = cluster.Cluster(("a:1", "b:1"), 0)
    with pytest.raises(_checks.UserError, match=r"learning_rate=auto supports a single worker"):
        training.check_automatic(run, workers)


def test_layers_have_smaller_rates_the_closer_they_are_to_the_image():
    names = ["N/conv1/weights", "N/conv1/biases", "N/block/unit_1/w", "N/block/unit_2/w", "N/fc/w"]
    assert list(block_decays(names, 0.5).values()) == [0.25, 0.25, 0.5, 0.5, 1.0]
    assert block_decays(["a/w", "b/w"], 0.5) == {"a/w": 0.5, "b/w": 1.0}


@pytest.mark.slow
def test_layer_decay_changes_the_updates(train, trained, tmp_path):
    changes = {}
    for decay in (1.0, 0.5):
        answer = train(
            tmp_path / str(decay),
            checkpoint_path=trained,
            layer_decay=decay,
            optimizer="sgd",
            max_number_of_steps=1,
            weight_decay=0,
        )
        assert answer.code == 0, answer.err
        changes[decay] = values_of(tmp_path / str(decay))
    before = values_of(trained)
    for layer, factor in (("conv1", 0.125), ("fc3", 0.5), ("fc4", 1.0)):
        name = f"LeNet/{layer}/biases"
        full, decayed = (changes[decay][name] - before[name] for decay in (1.0, 0.5))
        np.testing.assert_allclose(decayed, factor * full, rtol=1e-3, atol=1e-8)


def test_automatic_fine_tuning_needs_a_checkpoint():
    with pytest.raises(_checks.UserError, match="finetune=auto needs checkpoint_path"):
        planned(finetune="auto")
    with pytest.raises(_checks.UserError, match="finetune=auto and trainable_scopes are mutually"):
        planned(finetune="auto", checkpoint_path="c", trainable_scopes=("a",))
