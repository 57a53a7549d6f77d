"""TF-Slim's networks on `tf.compat.v1`, from checkouts of google-research/tf-slim and, for networks
that it does not have, of research/slim.

    python tf_slim_worker.py TF_SLIM [SLIM_NETWORKS]
"""

import importlib
import math
import os
import sys
import types
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
sys.path.insert(1, sys.argv[1])

import protocol
import tensorflow
import tf_slim as slim

tf = tensorflow.compat.v1
tf.disable_eager_execution()


def _use_networks(directory: str) -> None:
    """Makes the networks of research/slim importable, also those of TensorFlow 1's time."""
    sys.path[1:1] = [directory, os.path.dirname(os.path.abspath(directory))]
    contrib = types.ModuleType("tensorflow.contrib")
    contrib.slim = contrib.layers = slim
    sys.modules |= {"tensorflow": tf, "tensorflow.contrib": contrib}


def prepare(
    function: tuple[str, str, str], size: int, batch: int, dtype: str, mode: str, options: Any
) -> tuple[protocol.Run, dict[str, Any]]:
    """Prepares a network.

    Args:
      function: its module, and the names of its function and arg scope.
      size: height and width of its images.
      batch: number of images.
      dtype: float32.
      mode: "train" or "predict".
      options: of the training, see `benchmarks/training.py`.
    """
    if dtype != "float32":
        raise ValueError("TF-Slim computes in float32 only")
    module, name, scope = function
    module = importlib.import_module(module)
    training = mode == "train"
    with tf.Graph().as_default() as graph:
        images = tf.random.uniform([batch, size, size, 3], -1, 1)
        labels = tf.random.uniform([batch], 0, options["classes"], tf.int64)
        images, labels = tf.Session().run([images, labels])
        batches = tensorflow.compat.v1.data.Dataset.from_tensors((images, labels)).repeat()
        iterator = tf.data.make_initializable_iterator(batches)
        images, labels = iterator.get_next()
        with slim.arg_scope(getattr(module, scope)(weight_decay=options["weight_decay"])):
            logits, end_points = getattr(module, name)(
                images, options["classes"], is_training=training
            )
        facts = _counted(graph, batch)
        logits = tf.reshape(logits, [batch, options["classes"]])  # ResNet's are [batch, 1, 1, ...]
        output = tf.nn.softmax(logits)
        if training:
            output = _train_op(logits, end_points, labels, options)
        session = tf.Session()
        session.run([tf.global_variables_initializer(), iterator.initializer])
        step = session.make_callable(output)
    return protocol.repeated(step), {**facts, "version": f"TensorFlow {tensorflow.__version__}"}


def _train_op(logits: Any, end_points: Any, labels: Any, options: Any) -> Any:
    """Returns the train op of research/slim's script, with its default optimizer."""
    targets = slim.one_hot_encoding(labels, options["classes"])
    if "AuxLogits" in end_points:
        tf.losses.softmax_cross_entropy(targets, end_points["AuxLogits"], weights=0.4)
    tf.losses.softmax_cross_entropy(targets, logits)
    optimizer = tf.train.RMSPropOptimizer(
        options["learning_rate"],
        decay=options["decay"],
        momentum=options["momentum"],
        epsilon=options["epsilon"],
    )
    return slim.learning.create_train_op(tf.losses.get_total_loss(), optimizer)


def _counted(graph: Any, batch: int) -> dict[str, int]:
    parameters = sum(math.prod(v.shape.as_list()) for v in tf.trainable_variables())
    total = 0
    for op in graph.get_operations():
        shape = op.inputs[1].shape if op.type in _KERNELS else None
        if shape is not None:
            total += math.prod(op.outputs[0].shape) * math.prod(_KERNELS[op.type](shape))
    return {"parameters": parameters, "multiply_adds": total // batch}


# Operation -> the part of its second input's shape that is summed for each output.
_KERNELS = {
    "Conv2D": lambda shape: shape[:3],
    "DepthwiseConv2dNative": lambda shape: shape[:2],
    "MatMul": lambda shape: shape[:1],
}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        _use_networks(sys.argv[2])
    protocol.serve(prepare)
