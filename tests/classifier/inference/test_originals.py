"""Original checkpoints through the scripts, and ours through TensorFlow 1's Saver."""

import json
import shutil
import types

import numpy as np
import pytest
import tensorflow as tf

from classifier.checkpoints import sources
from classifier.config import options
from classifier.config.training import TrainConfig
from classifier.inference import model
from classifier.model_info import ModelInfo
from classifier.resolve import warnings
from tests.classifier import originals

tf1 = tf.compat.v1
LENET = ModelInfo(model_name="lenet", num_classes=10, image_size=(28, 28), num_channels=1,
                  preprocessing_name="lenet")  # fmt: skip


in_one_format = pytest.mark.parametrize("original", ["V1"], indirect=True)


@pytest.fixture(scope="module", params=["V1", "V2"])
def original(request, tmp_path_factory):
    """The prefix of a checkpoint of lenet as a run of the original's leaves it."""
    folder = tmp_path_factory.mktemp("original")
    return originals.write(folder / "model.ckpt-1234", originals.run_values("lenet"), request.param)


def test_an_original_checkpoint_bit_for_bit(original):
    restored = model.InferenceModel(LENET, sources.open_checkpoint(original))
    assert restored.step == 1234
    values = originals.network_values("lenet")
    assert {n: v.tobytes() for n, v in restored.values().items()} == {
        n: v.tobytes() for n, v in values.items()
    }
    images = np.random.RandomState(7).uniform(-1, 1, [3, 28, 28, 1]).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session() as session:
        weights = originals.variables({name: np.zeros_like(v) for name, v in values.items()})
        tf1.train.Saver().restore(session, original)
        expected = session.run(originals.lenet(weights, images))
    np.testing.assert_allclose(restored(images)["logits"], expected, rtol=1e-5, atol=1e-5)


def test_the_averages_of_an_original_checkpoint(original):
    averages = ModelInfo(**{**LENET.to_dict(), "image_size": (28, 28), "moving_average_decay": 0.9})
    restored = model.InferenceModel(averages, sources.open_checkpoint(original))
    for name, value in originals.network_values("lenet").items():
        assert restored.values()[name].tobytes() == (0.9 * value).tobytes()


@in_one_format
def test_the_evaluation_of_an_original_checkpoint(original, evaluate, tmp_path):
    done = evaluate(
        original, model_name="lenet", dataset_name="digits", eval_json=tmp_path / "r.json"
    )
    assert (done.code, done.err) == (0, [])
    assert done.out[0] == f"Evaluating the weights of {original} on digits validation"
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["step"] == 1234
    assert f"validation accuracy {result['accuracy']:.3f} " in "\n".join(done.out)
    averages = "To use them, pass --moving_average_decay=0.9999"
    assert sum(averages in line for line in done.out) == 1
    chance = [line for line in done.out if "close to chance" in line]
    assert bool(chance) == (result["accuracy"] < 0.2)


@pytest.mark.slow
def test_ours_is_restored_by_the_originals_saver(train, tmp_path):
    done = train(tmp_path / "run", moving_average_decay=0.9)
    assert (done.code, done.err) == (0, [])
    names = [
        *originals.run_values("lenet"),
    ]
    ours = tf.train.load_checkpoint(str(tmp_path / "run"))
    assert sorted(ours.get_variable_to_shape_map()) == sorted(names)
    with tf.Graph().as_default(), tf1.Session() as session:
        zeros = {n: np.zeros_like(value) for n, value in originals.run_values("lenet").items()}
        variables = originals.variables(zeros)
        tf1.train.Saver().restore(session, tf.train.latest_checkpoint(str(tmp_path / "run")))
        restored = session.run(variables)
    assert restored["global_step"] == 2
    for name in names:
        assert restored[name].tobytes() == ours.get_tensor(name).tobytes()
        assert np.any(restored[name]) or name.endswith("biases/Momentum"), name


@in_one_format
def test_a_run_starts_from_an_original_checkpoint(original, train, tmp_path):
    done = train(tmp_path / "run", checkpoint_path=original, max_number_of_steps=1,
                 learning_rate=1e-30)  # fmt: skip
    assert (done.code, done.err) == (0, [])
    start = next(line for line in done.out if line.startswith("Starting at step 0"))
    # Slots, averages and the step are not the network's.
    assert start == (
        "Starting at step 0: restored 8, skipped 0, missing 0, unused 17 variables of " + original
    )
    ours = tf.train.load_checkpoint(str(tmp_path / "run"))
    for name, value in originals.network_values("lenet").items():
        assert ours.get_tensor(name).tobytes() == value.tobytes()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A checkpoint under the name of a published one, whose network it is not."""
    folder = tmp_path_factory.mktemp("pretrained")
    originals.write(folder / "resnet_v2_50.ckpt", originals.run_values("lenet"), "V1")
    return folder


WARNING = (
    "warning: resnet_v2_50_2017_04_14 was trained with inception preprocessing at 299; "
    "you have lenet at 28x28"
)


@pytest.mark.parametrize("place", ["", pytest.param("resnet_v2_50.ckpt", marks=pytest.mark.slow)])
def test_evaluation_warns_if_options_contradict_a_published_checkpoint(published, evaluate, place):
    flags = {"model_name": "lenet", "dataset_name": "digits", "labels_offset": 0}
    done = evaluate(published / place, **flags, max_num_batches=1)
    assert done.code == 0
    # The labels are those of the digits: their offset is nobody's concern.
    assert [line for line in done.out if "resnet_v2_50_2017" in line] == [WARNING]


def test_a_new_run_warns_if_options_contradict_a_published_checkpoint(published, train, tmp_path):
    done = train(tmp_path / "run", checkpoint_path=published / "resnet_v2_50.ckpt")
    assert done.code == 0
    assert done.out[done.out.index(WARNING) - 1].startswith("Starting at step 0: restored 8,")


def test_a_run_is_not_mistaken_for_a_published_checkpoint(evaluate, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "resnet_v2_50_2017_04_14")
    warnings = [line for line in evaluate(run).out if "warning" in line]
    assert all(line.startswith("warning: accuracy is close to chance") for line in warnings)


@pytest.mark.parametrize("dataset, expected", [("imagenet", ["labels_offset=1; you have 0"]),
                                           ("flowers", []), (None, [])])  # fmt: skip
def test_labels_offset_is_compared_for_imagenet_only(tmp_path, dataset, expected):
    info = ModelInfo(model_name="vgg_16", num_classes=1001, image_size=(224, 224),
                     preprocessing_name="vgg", dataset_name=dataset)  # fmt: skip
    prefix = str(tmp_path / "vgg_16.ckpt")
    run = types.SimpleNamespace(
        config=options.build(TrainConfig, train_dir="run", dataset_dir="data"),
        schedule=types.SimpleNamespace(learning_rate=0.01),
        model=info,
        class_counts=(),
    )
    for lines in (
        warnings.of_checkpoint(prefix, info, (224, 224), has_unused_averages=False),
        warnings.of_training(run, prefix),
    ):
        assert [line.rpartition("needs ")[2] for line in lines] == expected
    assert list(warnings.of_training(run, None)) == []
