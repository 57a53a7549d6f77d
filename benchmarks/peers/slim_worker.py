"""This library's training step, created by the code of the training script, and matrix products."""

import contextlib
import io
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import protocol
import tensorflow as tf

from classifier.config import options as config_options
from classifier.config.training import TrainConfig
from classifier.resolve.training import training_run
from classifier.training.step import make_train_op
from datasets import download_and_convert
from nets import statistics


def prepare(
    function: str, size: int, batch: int, dtype: str, mode: str, options: Any
) -> tuple[protocol.Run, dict[str, Any]]:
    """Prepares a network's training step or a matrix product.

    Args:
      function: the network's name.
      size: height and width of its images, or of the matrices.
      batch: number of images.
      dtype: `--compute_dtype`.
      mode: "train" or "matmul".
      options: of the training, see `benchmarks/training.py`.
    """
    if mode == "matmul":
        return protocol.repeated(_matrix_product(size, dtype)), {"multiply_adds": size**3}
    counted = statistics.count(function, options["classes"], size)
    facts = {
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "version": f"TensorFlow {tf.__version__}",
    }
    return protocol.repeated(_training_step(function, size, batch, dtype, options)), facts


def _training_step(
    network: str, size: int, batch: int, dtype: str, options: Any
) -> Callable[[], object]:
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "data")
        with contextlib.redirect_stdout(io.StringIO()):
            download_and_convert.convert("digits", data)
        config = config_options.build(
            TrainConfig,
            train_dir=os.path.join(directory, "run"),
            dataset_name="digits",
            dataset_dir=data,
            model_name=network,
            num_classes=options["classes"],
            train_image_size=(size, size),
            batch_size=batch,
            compute_dtype=dtype,
            weight_decay=options["weight_decay"],
            learning_rate=options["learning_rate"],
            rmsprop_decay=options["decay"],
            rmsprop_momentum=options["momentum"],
            opt_epsilon=options["epsilon"],
        )
        train_op = make_train_op(training_run(config), tf.distribute.get_strategy())
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)
    features = {"image": images, "label": random.integers(0, options["classes"], batch)}
    batches = tf.data.Dataset.from_tensors(features).repeat()
    train_op.build(batches.element_spec)
    iterator = iter(batches)
    return lambda: train_op.run(iterator)


def _matrix_product(side: int, dtype: str) -> Callable[[], object]:
    matrix = tf.cast(tf.random.stateless_uniform([side, side], [0, 0], -1, 1), dtype)
    product = tf.function(lambda: tf.linalg.matmul(matrix, matrix)[0, 0])
    return lambda: product().numpy()


if __name__ == "__main__":
    protocol.serve(prepare)
