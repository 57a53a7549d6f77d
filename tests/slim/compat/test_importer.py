"""`slim.compat.install()`: the module paths of TF-Slim and of contrib."""

import importlib
import sys
import types
from unittest import mock

import pytest
import tensorflow as tf

import slim
from slim import compat
from slim.compat.modules import SOURCES
from slim.store import ShapeStore


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Installs for one test: other tests must not import these names."""
    finders, modules = list(sys.meta_path), set(sys.modules)
    compat.install()
    yield
    sys.meta_path[:] = finders
    for name in set(sys.modules) - modules:
        if name.startswith(("tf_slim", "tensorflow.contrib")):
            del sys.modules[name]
    for module in (tf, tf.compat.v1, importlib.import_module("tensorflow.compat.v1")):
        vars(module).pop("contrib", None)


@pytest.mark.parametrize("name", SOURCES)
def test_each_module_is_imported_with_its_names(name):
    module = importlib.import_module(name)
    assert all(hasattr(module, each) for each in module.__all__)


def test_names_are_those_of_this_library():
    import tf_slim
    from tensorflow.contrib import slim as contrib_slim
    from tf_slim.layers import layers
    from tf_slim.losses import loss_ops

    assert tf_slim.conv2d is contrib_slim.conv2d is layers.conv2d is slim.conv2d
    assert loss_ops.mean_squared_error is slim.losses.mean_squared_error
    assert contrib_slim.init_ops.zeros_initializer is tf.compat.v1.zeros_initializer
    assert tf.contrib.framework.nest is tf.nest
    assert tf.compat.v1.contrib.layers.l2_regularizer is slim.l2_regularizer
    assert tf.contrib.slim.nets.resnet_v1.resnet_v1_50
    assert "conv2d" in dir(layers)


@pytest.mark.parametrize(
    "version", ["resnet_v1", pytest.param("resnet_v2", marks=pytest.mark.slow)]
)
def test_resnets_of_contrib_keep_the_space_of_their_logits(version):
    module = importlib.import_module(f"tf_slim.nets.{version}")
    assert getattr(tf.contrib.slim.nets, version) is module
    block = getattr(module, f"{version}_block")("block1", base_depth=2, num_units=2, stride=2)
    store, images = slim.VariableStore(), tf.zeros([2, 33, 33, 3])
    network = getattr(module, version)
    with store.as_default(), slim.arg_scope(module.resnet_arg_scope()):
        logits, end_points = network(images, [block], 5, True, False, 8, True, None, "small")
    assert logits.shape == [2, 5, 5, 5]
    assert end_points["predictions"].shape == [2, 5, 5, 5]
    assert "small/logits/weights" in store.named_variables
    store, outputs, name = ShapeStore(), [], f"{version}_50"
    network = getattr(module, name)
    store.build(lambda x: outputs.append(network(x, 7)), tf.TensorSpec([2, 32, 32, 3]))
    assert outputs[0][0].shape == [2, 1, 1, 7]
    assert sum("conv2/weights" in each for each in store.records) == 16
    assert all(each.startswith(f"{name}/") for each in store.records)
    original = importlib.import_module(f"nets.{version}")
    for depth in (101, 152, 200):
        name = f"{version}_{depth}"
        assert getattr(module, name).args == (getattr(original, name),)


def test_installing_twice_has_no_effect():
    count = len(sys.meta_path)
    compat.install()
    assert len(sys.meta_path) == count


def test_a_name_that_is_replaced_is_replaced_in_the_library():
    from tf_slim import losses
    from tf_slim.losses import loss_ops

    with mock.patch.object(loss_ops, "huber", "other"):
        assert losses.loss_ops.huber == slim.losses.loss_ops.huber == "other"
    assert callable(slim.losses.loss_ops.huber)
    loss_ops.own = 1
    assert not hasattr(slim.losses.loss_ops, "own")


@pytest.mark.parametrize(
    "action, message",
    [
        (lambda: tf.contrib.layers.embed_sequence, "tensorflow.contrib.layers has no 'embed_seq"),
        (lambda: tf.contrib.slim.conv2, "no 'conv2' here; did you mean 'conv2d'"),
        (lambda: tf.contrib.ffmpeg, "tensorflow.contrib has no 'ffmpeg' here. slim replaces the"),
        (lambda: tf.contrib.rnn, "contrib has no 'rnn' here. Use tf.nn.rnn_cell, tf.nn.static_rnn"),
        (
            lambda: tf.contrib.layers.embedding_column,
            "no 'embedding_column' here. Use tf.feature_column.embedding_column. slim replaces",
        ),
    ],
)
def test_missing_names_are_errors_with_a_way_out(action, message):
    with pytest.raises(AttributeError, match=message):
        action()


@pytest.mark.parametrize(
    "statement",
    ["import tensorflow.contrib.rnn", "from tensorflow.contrib import rnn"],
)
def test_missing_modules_are_errors_with_a_way_out(statement):
    with pytest.raises(ModuleNotFoundError, match="contrib has no 'rnn' here. Use tf.nn.rnn_cell"):
        exec(statement)


def test_tf_slim_must_not_be_imported_before(monkeypatch):
    finders = [each for each in sys.meta_path if type(each).__name__ != "_Importer"]
    monkeypatch.setattr(sys, "meta_path", finders)
    monkeypatch.setitem(sys.modules, "tf_slim", types.ModuleType("tf_slim"))
    with pytest.raises(ImportError, match="TF-Slim is imported already: call slim.compat.install"):
        compat.install()
