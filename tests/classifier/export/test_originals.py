"""Export of TF-Slim checkpoints, which have no model_info.json."""

import numpy as np
import pytest
import tensorflow as tf

from classifier.export import run as exporting
from slim import _checks
from tests.classifier import exports, originals

IMAGES = np.random.RandomState(0).uniform(-1, 1, [2, 28, 28, 1]).astype(np.float32)
IMAGE = np.random.RandomState(1).randint(0, 256, [31, 30, 1]).astype(np.uint8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A LeNet checkpoint with the name of a published one."""
    values = originals.network_values("lenet")
    return originals.published(tmp_path_factory.mktemp("original"), values)


def ask(path, inputs):
    """Returns the logits of a frozen graph of lenet."""
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        return session.run("LeNet/fc4/BiasAdd:0", {"input:0": inputs})


def test_model_name_is_sufficient(checkpoint, tmp_path, capsys):
    exporting.run(exports.config(checkpoint, tmp_path, formats=("frozen_pb",), model_name="lenet"))
    expected = originals.lenet(originals.network_values("lenet"), IMAGES)
    np.testing.assert_allclose(ask(tmp_path / "lenet.pb", IMAGES), expected, rtol=1e-4, atol=1e-4)
    names = [".slim", "README.md", "lenet.pb", "model_info.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    stdout = capsys.readouterr().out.splitlines()
    assert "with 10 classes" in stdout[0]
    assert stdout[1] == (
        "warning: resnet_v2_50_2017_04_14 was trained with inception preprocessing at 299;"
        " you have lenet at 28x28"
    )


@pytest.mark.parametrize("decay", [None, 0.9])
def test_averages_are_used_or_reported(tmp_path, capsys, decay):
    path = originals.write(tmp_path / "run" / "model.ckpt-1234", originals.run_values("lenet"))
    config = exports.config(
        path, tmp_path / "out", formats=("weights_h5",), model_name="lenet",
        moving_average_decay=decay,
    )  # fmt: skip
    exporting.run(config)
    stdout = capsys.readouterr().out
    kind = "the moving averages of the weights" if decay else "the weights"
    assert f"classes: {kind} of step 1234\n" in stdout
    warning = (
        "warning: the checkpoint has moving averages of its weights, which are not used. To use"
        " them, pass --moving_average_decay=0.9999"
    )
    assert (warning in stdout) == (decay is None)


@pytest.mark.parametrize("name", [pytest.param("lenet", marks=pytest.mark.slow), "cifarnet"])
def test_the_preprocessing_that_the_options_name(checkpoint, tmp_path, capsys, name):
    from preprocessing import preprocessing_factory

    config = exports.config(
        checkpoint, tmp_path, formats=("frozen_pb",), model_name="lenet", preprocessing_name=name,
        input_type="encoded_image",
    )  # fmt: skip
    exporting.run(config)
    assert f"you have {name} at 28x28" in capsys.readouterr().out
    prepared = preprocessing_factory.get_preprocessing(name)(tf.constant(IMAGE), 28, 28)
    expected = originals.lenet(originals.network_values("lenet"), prepared[tf.newaxis].numpy())
    actual = ask(tmp_path / "lenet.pb", [tf.io.encode_png(IMAGE).numpy()])
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    assert f"`{name}`, as in evaluation" in (tmp_path / "README.md").read_text()


def test_classes_are_those_of_dataset_name(checkpoint, tmp_path):
    flags = {"model_name": "lenet", "dataset_name": "cifar10", "formats": ("frozen_pb",)}
    exporting.run(exports.config(checkpoint, tmp_path / "ten", **flags))
    assert "Trained on `cifar10`" in (tmp_path / "ten" / "README.md").read_text()
    with pytest.raises(_checks.UserError, match="Use the dataset that the checkpoint was trained"):
        exporting.run(exports.config(checkpoint, tmp_path / "nine", **flags, labels_offset=1))
    with pytest.raises(_checks.UserError, match="labels_offset needs dataset_name"):
        exporting.run(
            exports.config(checkpoint, tmp_path / "nine", model_name="lenet", labels_offset=1)
        )
    assert not (tmp_path / "nine").exists()
