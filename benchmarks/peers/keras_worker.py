"""Keras's own networks, `keras.applications`, on TensorFlow."""

import os
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import protocol
import tensorflow as tf


def prepare(
    function: str, size: int, batch: int, dtype: str, mode: str, options: Any
) -> tuple[protocol.Run, dict[str, Any]]:
    """Prepares a network.

    Args:
      function: its name in `keras.applications`.
      size: height and width of its images.
      batch: number of images.
      dtype: float32, or bfloat16 by Keras's mixed precision.
      mode: "train_on_batch", "fit" or "predict".
      options: of the training, see `benchmarks/training.py`.
    """
    keras.config.set_dtype_policy("mixed_bfloat16" if dtype == "bfloat16" else dtype)
    training = mode != "predict"
    model = getattr(keras.applications, function)(
        weights=None,
        classes=options["classes"],
        input_shape=(size, size, 3),
        classifier_activation=None if training else "softmax",
    )
    random = np.random.default_rng(0)
    images = tf.constant(random.uniform(-1, 1, (batch, size, size, 3)), tf.float32)
    labels = tf.constant(random.integers(0, options["classes"], batch))
    facts = {**_counted(model), "version": f"Keras {keras.__version__}"}
    if not training:
        return protocol.repeated(lambda: model.predict_on_batch(images)), facts
    optimizer = keras.optimizers.RMSprop(
        options["learning_rate"],
        rho=options["decay"],
        momentum=options["momentum"],
        epsilon=options["epsilon"],
        weight_decay=options["weight_decay"],
    )
    # XLA, Keras's default, is several times slower on a CPU.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    if mode == "train_on_batch":
        return protocol.repeated(lambda: model.train_on_batch(images, labels)), facts
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat()
    return lambda steps: model.fit(batches, steps_per_epoch=steps, verbose=0), facts


def _counted(model: Any) -> dict[str, int]:
    layers = keras.layers
    total = 0
    for layer in model.layers:
        outputs = int(np.prod(layer.output.shape[1:]))
        if isinstance(layer, layers.DepthwiseConv2D):
            total += outputs * int(np.prod(layer.kernel_size))
        elif isinstance(layer, layers.Conv2D | layers.Dense):
            total += outputs * int(np.prod(layer.kernel.shape[:-1]))
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return {"parameters": parameters, "multiply_adds": total}


if __name__ == "__main__":
    protocol.serve(prepare)
