"""Training step of CifarNet: this library, the same network in Keras, and plain TensorFlow.

    python benchmarks/training_step.py [batch size]

All have the same layers, loss, L2 penalty and momentum update on the same batch, without dropout;
they differ in the code around the kernels. Times are medians, relative to plain TensorFlow in the
same round.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import pairs
import tensorflow as tf

import slim
from nets import cifarnet

RATE, MOMENTUM, DECAY = 1e-4, 0.9, 0.004


def _normalized(net: tf.Tensor) -> tf.Tensor:
    return tf.nn.local_response_normalization(net, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)


def slim_step(images: tf.Tensor, labels: tf.Tensor):
    """Returns a function that runs one step of this library's training op."""

    def loss_fn(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with slim.arg_scope(cifarnet.cifarnet_arg_scope(DECAY)):
            logits, _ = cifarnet.cifarnet(images, 10, is_training=True, dropout_keep_prob=1.0)
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        return slim.losses.get_total_loss()

    train_op = slim.learning.create_train_op(
        loss_fn,
        slim.optimizers.Momentum(learning_rate=RATE, momentum=MOMENTUM),
        store=slim.VariableStore(seed=0),
    )
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat()
    train_op.build(batches.element_spec)
    iterator = iter(batches)
    return lambda: train_op.run(iterator)


def keras_step(images: tf.Tensor, labels: tf.Tensor):
    """Returns a function that runs one `train_on_batch` of the same network in Keras."""
    layers, l2 = tf.keras.layers, tf.keras.regularizers.L2(DECAY / 2)
    model = tf.keras.Sequential(
        [
            layers.Conv2D(64, 5, padding="same", activation="relu"),
            layers.MaxPool2D(2, 2),
            layers.Lambda(_normalized),
            layers.Conv2D(64, 5, padding="same", activation="relu"),
            layers.Lambda(_normalized),
            layers.MaxPool2D(2, 2),
            layers.Flatten(),
            layers.Dense(384, activation="relu", kernel_regularizer=l2),
            layers.Dense(192, activation="relu", kernel_regularizer=l2),
            layers.Dense(10),
        ]
    )
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.SGD(RATE, MOMENTUM), loss, jit_compile=False)
    return lambda: model.train_on_batch(images, labels)


def tensorflow_step(images: tf.Tensor, labels: tf.Tensor):
    """Returns a function that runs one step in plain TensorFlow."""
    shapes = [[5, 5, 3, 64], [5, 5, 64, 64], [4096, 384], [384, 192], [192, 10]]
    weights = [tf.Variable(tf.random.truncated_normal(s, stddev=0.04)) for s in shapes]
    biases = [tf.Variable(tf.zeros(s[-1:])) for s in shapes]
    variables = weights + biases
    slots = [tf.Variable(tf.zeros_like(v)) for v in variables]

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            net = tf.nn.relu(tf.nn.conv2d(images, weights[0], 1, "SAME") + biases[0])
            net = _normalized(tf.nn.max_pool2d(net, 2, 2, "VALID"))
            net = tf.nn.relu(tf.nn.conv2d(net, weights[1], 1, "SAME") + biases[1])
            net = tf.nn.max_pool2d(_normalized(net), 2, 2, "VALID")
            net = tf.reshape(net, [-1, 4096])
            net = tf.nn.relu(net @ weights[2] + biases[2])
            net = tf.nn.relu(net @ weights[3] + biases[3])
            logits = net @ weights[4] + biases[4]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses) + DECAY * sum(map(tf.nn.l2_loss, weights[2:4]))
        for variable, slot, gradient in zip(
            variables, slots, tape.gradient(loss, variables), strict=True
        ):
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle, accum=slot.handle, lr=RATE, grad=gradient, momentum=MOMENTUM
            )
        return loss

    return lambda: step().numpy()


def main() -> None:
    """Times the three and prints a line for each."""
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 32
    images = tf.random.uniform([batch, 32, 32, 3], -1, 1)
    labels = tf.random.uniform([batch], 0, 10, tf.int64)
    contestants = {
        "plain TensorFlow": tensorflow_step(images, labels),
        "slim": slim_step(images, labels),
        "Keras train_on_batch": keras_step(images, labels),
    }
    times = pairs.medians(contestants, rounds=25, warm_up=4)
    pairs.show(f"CifarNet training step, batch {batch}", times, batch, "images")


if __name__ == "__main__":
    main()
