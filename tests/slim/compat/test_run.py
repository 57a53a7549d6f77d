"""`python -m slim.run` runs programs for TensorFlow 1 and TF-Slim unchanged."""

import os
import subprocess
import sys

import pytest

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
import tensorflow as tf
import tensorflow.contrib.slim as slim
from tensorflow import gfile
from tensorflow.contrib import layers as contrib_layers
from tensorflow.contrib.slim.nets import vgg
import tf_slim
from lib import network

tf.app.flags.DEFINE_integer("classes", 3, "Number of classes.")
FLAGS = tf.app.flags.FLAGS

def main(_):
    assert gfile.Exists(__file__) and sys.argv[0] == __file__
    assert slim.conv2d is tf_slim.conv2d is contrib_layers.conv2d and vgg.vgg_16
    logits = network.network(tf.placeholder(tf.float32, [None, 8, 8, 3]), FLAGS.classes)
    tf.losses.softmax_cross_entropy(tf.one_hot([0], FLAGS.classes), logits)
    print(*[v.op.name for v in tf.trainable_variables()], logits.shape)
    print(len(tf.losses.get_losses()), len(tf.losses.get_regularization_losses()))

if __name__ == "__main__":
    tf.app.run()
"""


def run(directory, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "slim.run", *arguments], cwd=directory, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": str(source_tree.ROOT)},
    )  # fmt: skip


def test_a_script_and_its_modules_run_unchanged(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").touch()
    (tmp_path / "lib" / "network.py").write_text(NETWORK)
    (tmp_path / "train.py").write_text(SCRIPT)
    result = run(tmp_path, "train.py", "--classes=5")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "conv/weights conv/biases fully_connected/weights fully_connected/biases (?, 5)",
        "1 1",
    ]


def test_a_missing_script_is_one_line(tmp_path):
    result = run(tmp_path, "absent.py")
    assert result.returncode == 1
    assert result.stderr == (
        "slim.run: there is no script absent.py. Pass the path of a Python file\n"
    )


def test_a_script_for_python_2_is_one_line(tmp_path):
    (tmp_path / "old.py").write_text("import sys\nprint 'hello'\n")
    result = run(tmp_path, "old.py")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("slim.run: old.py, line 2: ")
    assert last.endswith("A script for Python 2 must be translated to Python 3 first")


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
