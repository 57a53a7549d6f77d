"""Files for Keras without slim."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import slim
from classifier.checkpoints import keras_weights, sources
from classifier.export import keras as keras_files
from classifier.export import keras_graph
from classifier.export import run as exporting
from classifier.inference.model import InferenceModel
from classifier.run_directory import RunDirectory
from tests.classifier import exports
from tests.classifier.export.test_formats import make_run

VIDEO_NORM = {
    "a/norm/beta": np.arange(5, dtype=np.float32),
    "a/norm/moving_mean": np.arange(5, 10, dtype=np.float32),
    "a/norm/moving_variance": np.arange(1, 6, dtype=np.float32),
}
ALONE = """
import sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
images = np.load(sys.argv[2])
before = model.predict(images, verbose=0)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.01), loss)
labels = np.arange(len(images))
losses = model.fit(images, labels, epochs=4, verbose=0).history["loss"]
assert losses[-1] < losses[0], losses
assert not {"slim", "classifier", "nets"} & set(sys.modules)
np.save(sys.argv[3], before)
print([each.name for each in model.layers if each.weights])
"""


@pytest.mark.slow
def test_keras_loads_and_trains_the_model_without_slim(
    lenet_run, lenet_classifier, tmp_path, capsys
):
    exporting.run(exports.config(lenet_run, tmp_path, formats=("keras",), check_images=2))
    assert "output logits, 4 layers with weights" in capsys.readouterr().out
    images = np.random.default_rng(1).uniform(-1, 1, [3, 28, 28, 1]).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    names = [str(tmp_path / name) for name in ("lenet.keras", "images.npy", "answer.npy")]
    stdout = subprocess.run(
        [sys.executable, "-c", ALONE, *names],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    ).stdout
    assert stdout.split("\n")[-2] == "['LeNet.conv1', 'LeNet.conv2', 'LeNet.fc3', 'LeNet.fc4']"
    actual = np.load(tmp_path / "answer.npy")
    np.testing.assert_allclose(actual, lenet_classifier(images)["logits"], atol=1e-5)


def test_weights_have_slims_names(lenet_run, lenet_classifier, tmp_path):
    exporting.run(exports.config(lenet_run, tmp_path, formats=("weights_h5",), check_images=2))
    file = keras_weights.WeightsFile(tmp_path / "lenet.weights.h5")
    values = lenet_classifier.values()
    assert set(file.variables()) == set(values)
    for name, value in values.items():
        np.testing.assert_array_equal(file.get(name), value)


def test_batch_norm_is_a_trainable_layer(tmp_path):
    run = make_run(tmp_path / "run", "mobilenet_v1_025", 3, label_names=())
    classifier = InferenceModel(
        RunDirectory(str(run)).read_model_info(), sources.open_checkpoint(str(run))
    )
    spec = tf.TensorSpec([None, 224, 224, 3], tf.float32)
    model = keras_files.functional(classifier, spec)
    layer = model.get_layer("MobilenetV1.Conv2d_0.BatchNorm")
    values = classifier.values()
    scope = "MobilenetV1/Conv2d_0/BatchNorm"
    for weight, leaf in ((layer.gamma, "gamma"), (layer.moving_mean, "moving_mean")):
        np.testing.assert_array_equal(weight.numpy(), values[f"{scope}/{leaf}"])
    assert len(model.weights) == len(values)


def test_batch_norm_of_any_rank_is_a_layer():
    with tf.Graph().as_default() as graph:
        taken = tf.raw_ops.Placeholder(dtype=tf.float32, shape=[None, 2, 3, 4, 5], name="images")
        store = slim.FrozenStore(VIDEO_NORM)
        with store.as_default():
            normal = slim.batch_norm(taken, is_training=False, epsilon=0.1, scope="a/norm")
    model = keras_graph.Translation(graph.as_graph_def(), VIDEO_NORM, normal.op.name).model("m")
    videos = np.random.default_rng(1).normal(size=[2, 2, 3, 4, 5]).astype(np.float32)
    mean, variance = VIDEO_NORM["a/norm/moving_mean"], VIDEO_NORM["a/norm/moving_variance"]
    expected = (videos - mean) / np.sqrt(variance + 0.1) + VIDEO_NORM["a/norm/beta"]
    np.testing.assert_allclose(model(videos), expected, atol=1e-5)
    assert len(model.get_layer("a.norm").trainable_weights) == 1


def test_unsupported_operation_is_an_error():
    with tf.Graph().as_default() as graph:
        tf.raw_ops.Placeholder(dtype=tf.float32, shape=[None, 2], name="images")
        tf.math.erf(graph.get_tensor_by_name("images:0"), name="strange")
    with pytest.raises(NotImplementedError, match="operation Erf of node strange is not supported"):
        keras_graph.Translation(graph.as_graph_def(), {}, "strange").model("m")


def test_local_response_normalization_matches_tensorflow():
    images = np.random.default_rng(0).normal(size=[2, 4, 3, 7]).astype(np.float32)
    settings = {"depth_radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.75}
    with tf.Graph().as_default() as graph:
        taken = tf.raw_ops.Placeholder(dtype=tf.float32, shape=[None, 4, 3, 7], name="images")
        tf.nn.local_response_normalization(taken, **settings, name="lrn")
    model = keras_graph.Translation(graph.as_graph_def(), {}, "lrn").model("m")
    expected = tf.nn.local_response_normalization(images, **settings)
    np.testing.assert_allclose(model(images), expected, atol=1e-6)


def test_strided_slice_matches_tensorflow():
    images = np.random.default_rng(0).normal(size=[2, 5, 6, 1]).astype(np.float32)
    with tf.Graph().as_default() as graph:
        taken = tf.raw_ops.Placeholder(dtype=tf.float32, shape=[None, 5, 6, 1], name="images")
        odd = taken[:, 1::2, 1::2]
    model = keras_graph.Translation(graph.as_graph_def(), {}, odd.op.name).model("m")
    np.testing.assert_array_equal(model(images), images[:, 1::2, 1::2])
