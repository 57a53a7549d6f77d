"""`python -m slim.run` runs programs for TensorFlow 1 and TF-Slim unchanged."""

import os
import subprocess
import sys

import pytest

import slim.run
from slim.compat.scripts import compile_script
from tests import source_tree

NETWORK = """
import tensorflow as tf
from tensorflow.contrib.framework.python.ops import arg_scope
slim = tf.contrib.slim

def network(images, num_classes):
    with arg_scope([slim.conv2d], weights_regularizer=tf.contrib.layers.l2_regularizer(0.1)):
        net = slim.conv2d(images, 4, [3, 3], scope="conv")
    size = net.get_shape()[1].value * net.get_shape()[2].value * 4
    return slim.fully_connected(tf.reshape(net, [-1, size]), num_classes, activation_fn=None)
"""
SCRIPT = """
from __future__ import print_function
import sys
import numpy as np
import tensorflow as tf
import tensorflow.contrib.slim as slim
from tensorflow import gfile
from tensorflow.contrib import layers as contrib_layers
from tensorflow.contrib.layers import *
from tensorflow.contrib.slim.nets import vgg
import tf_slim
from nets import network

tf.app.flags.DEFINE_integer("classes", 3, "Number of classes.")
tf.app.flags.DEFINE_string("log_dir", "", "A flag that absl has too.")
FLAGS = tf.app.flags.FLAGS

def main(_):
    assert gfile.Exists(__file__) and sys.argv[0] == __file__
    assert conv2d is slim.conv2d  # `tf` is still TensorFlow 1's
    assert np.int is int and np.arange(3).astype(np.float).dtype == np.float64
    assert slim.conv2d is tf_slim.conv2d is contrib_layers.conv2d and vgg.vgg_16
    assert tf.contrib.slim.nets.vgg is vgg
    logits = network.network(tf.placeholder(tf.float32, [None, 8, 8, 3]), FLAGS.classes)
    tf.losses.softmax_cross_entropy(tf.one_hot([0], FLAGS.classes), logits)
    print(*[v.op.name for v in tf.trainable_variables()], logits.shape)
    assert FLAGS.log_dir == "x"
    print(len(tf.losses.get_losses()), len(tf.losses.get_regularization_losses()))

if __name__ == "__main__":
    tf.app.run()
"""


def run(directory, *arguments, **environment):
    environment = {**os.environ, "PYTHONPATH": str(source_tree.ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-m", "slim.run", *arguments],
        cwd=directory, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_a_script_and_its_modules_run_unchanged(tmp_path):
    (tmp_path / "nets").mkdir()  # as many repositories have, next to contrib's networks
    (tmp_path / "nets" / "__init__.py").touch()
    (tmp_path / "nets" / "network.py").write_text(NETWORK)
    (tmp_path / "train.py").write_text(SCRIPT)
    result = run(tmp_path, "train.py", "--classes=5", "--log_dir=x")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "conv/weights conv/biases fully_connected/weights fully_connected/biases (?, 5)",
        "1 1",
    ]


IMAGE_LIBRARY = """
import tensorflow as tf
from datasets import dataset_factory
from deployment import model_deploy
from nets import nets_factory, resnet_v1
from nets.mobilenet import mobilenet_v2
from preprocessing import preprocessing_factory
from slim.nets import lenet

with tf.contrib.slim.arg_scope(resnet_v1.resnet_arg_scope(weight_decay=0.5)):
    lenet.lenet(tf.placeholder(tf.float32, [None, 28, 28, 1]))
print(len(tf.trainable_variables()), nets_factory.get_network_fn.__module__)
try:
    nets_factory.get_net
except AttributeError as error:
    print(error)
"""


def test_research_slims_packages_are_ours_where_the_script_has_none(tmp_path):
    (tmp_path / "train.py").write_text(IMAGE_LIBRARY)
    # `python -m` has the working directory in its path, which the script's replaces.
    result = run(source_tree.ROOT, str(tmp_path / "train.py"), PYTHONPATH="")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "10 slim.nets.nets_factory",
        "nets.nets_factory has no 'get_net' here; did you mean 'get_network_fn'?",
    ]


def test_a_missing_script_is_one_line(tmp_path):
    result = run(tmp_path, "absent.py")
    assert result.returncode == 1
    assert result.stderr == ("slim.run: absent.py does not exist. Pass the path of a Python file\n")


def test_a_script_for_python_2_is_one_line(tmp_path):
    (tmp_path / "old.py").write_text("import sys\nprint 'hello'\n")
    result = run(tmp_path, "old.py")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("slim.run: old.py, line 2: ")
    assert last.endswith("Code for Python 2 must be translated first, for example by 2to3")


@pytest.mark.parametrize(
    "source, note",
    [
        ("raise AttributeError('`dense` is not available with Keras 3.')", "install tf_keras"),
        ("{}.iteritems()", "Code for Python 2 must be translated first"),
        ("xrange(3)", "Code for Python 2 must be translated first"),
        (
            "import tensorflow.python.pywrap_tensorflow as p; p.NewCheckpointReader",
            "tf.train.NewCheckpointReader",
        ),
        ("range(3)[0] = 1", "Code for Python 2 must be translated first"),
        ("{}.keys()[0]", "Code for Python 2 must be translated first"),
        ("range(7 / 2)", "write a // b"),
        ("range(3).x", None),
    ],
)
def test_what_is_not_there_any_more_is_an_error_with_a_way_out(source, note):
    with pytest.raises((AttributeError, NameError, TypeError)) as caught:
        slim.run.execute(compile(source, "old.py", "exec"), {})
    notes = getattr(caught.value, "__notes__", [])
    assert [note in each for each in notes] == [True] * bool(note)


def test_without_arguments_the_usage_is_printed(tmp_path):
    result = run(tmp_path)
    assert (result.returncode, "python -m slim.run SCRIPT" in result.stdout) == (2, True)
    assert run(tmp_path, "--help").returncode == 0


@pytest.mark.parametrize(
    "statement, bound",
    [
        ("import tensorflow", {"tensorflow": "v1"}),
        ("import tensorflow as tf, os", {"tf": "v1", "os": "os"}),
        ("from tensorflow import gfile, python as p", {"gfile": "v1.gfile", "p": "tf.python"}),
        ("import tensorflow.python.ops", {"tensorflow": "v1"}),
        ("import tensorflow.compat.v1 as tf", {"tf": "v1"}),
        ("from tensorflow.compat import v1", {"v1": "v1"}),
        ("import tensorflow.python as p", {"p": "tf.python"}),
    ],
)
def test_imports_of_tensorflow_are_of_its_first_version(statement, bound):
    import tensorflow
    import tensorflow.compat.v1 as v1

    modules = {"v1": v1, "tf": tensorflow, "v1.gfile": v1.gfile, "os": __import__("os")}
    modules["tf.python"] = sys.modules["tensorflow.python"]
    names = {}
    exec(compile_script(statement, "script.py"), names)
    for name, value in bound.items():
        assert names[name] is modules[value]
