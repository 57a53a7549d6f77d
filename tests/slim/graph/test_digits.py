"""A training script of TensorFlow 1 on the digits: batch norm, L2, and two losses, one added by
`tf.losses` and one by `slim.losses`.

The reference values are those of the same script under TF-Slim at commit 1287b1e.
"""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

import slim
from slim import checkpoints, learning

v1 = tf.compat.v1
BATCH, BATCHES = 32, 50
# TF-Slim's losses of the first and the last of 200 steps, and sums of the averages after it.
LOSSES = 2.4510102, 0.050429333
AVERAGES = {
    "Net/conv1/BatchNorm/moving_mean": 0.6089192,
    "Net/conv1/BatchNorm/moving_variance": 1.299947,
    "Net/fc1/BatchNorm/moving_mean": -2.6158018,
    "Net/fc1/BatchNorm/moving_variance": 27.00214,
}


def initial(seed, shape, scale):
    return v1.constant_initializer(np.random.RandomState(seed).standard_normal(shape) * scale)


def digits():
    """Returns images [1600, 8, 8, 1] and labels, shuffled."""
    data = load_digits()
    order = np.random.RandomState(0).permutation(len(data.images))[: BATCH * BATCHES]
    images = (data.images[order, :, :, None] / 16).astype(np.float32)
    return images, data.target[order].astype(np.int64)


def network(images):
    """Returns the logits [batch, 10]."""
    with slim.arg_scope(
        [slim.conv2d, slim.fully_connected],
        weights_regularizer=slim.l2_regularizer(1e-3),
        normalizer_fn=slim.batch_norm,
        normalizer_params={"is_training": True, "decay": 0.9, "scale": True},
    ):
        with slim.variable_scope("Net"):
            kernel = initial(1, [3, 3, 1, 8], 0.3)
            net = slim.conv2d(images, 8, [3, 3], weights_initializer=kernel, scope="conv1")
            net = slim.flatten(slim.max_pool2d(net, [2, 2], scope="pool1"))
            weights = initial(2, [128, 16], 0.1)
            net = slim.fully_connected(net, 16, weights_initializer=weights, scope="fc1")
            return slim.fully_connected(
                net,
                10,
                activation_fn=None,
                normalizer_fn=None,
                weights_initializer=initial(3, [16, 10], 0.1),
                scope="logits",
            )


def add_second_loss(logits, labels):
    slim.losses.mean_squared_error(tf.nn.softmax(logits), tf.one_hot(labels, 10), weights=0.5)


def train_in_a_graph(logdir, steps):
    """Returns the losses of the steps."""
    losses = []

    def step(*arguments):
        loss, stop = learning.train_step(*arguments)
        losses.append(loss)
        return loss, stop

    with tf.Graph().as_default():
        number = v1.train.get_or_create_global_step() % BATCHES
        images, labels = (
            tf.gather(tf.reshape(values, [BATCHES, BATCH, *values.shape[1:]]), number)
            for values in digits()
        )
        logits = network(images)
        v1.losses.sparse_softmax_cross_entropy(labels, logits)
        add_second_loss(logits, labels)
        train_op = learning.create_train_op(
            v1.losses.get_total_loss(),
            v1.train.MomentumOptimizer(0.05, 0.9),
            clip_gradient_norm=2.0,
            summarize_gradients=True,
        )
        learning.train(train_op, str(logdir), step, number_of_steps=steps)
    return losses


def train_eagerly(logdir, steps):
    """Returns the losses of the steps."""

    def loss_fn(images, labels):
        logits = network(images)
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        add_second_loss(logits, labels)
        return slim.losses.get_total_loss()

    losses = []
    hook = learning.Hook()
    hook.after_steps = lambda run, numbers: losses.extend(numbers["loss"])
    train_op = learning.create_train_op(
        loss_fn,
        slim.optimizers.Momentum(learning_rate=0.05, momentum=0.9),
        store=slim.VariableStore(seed=0),
        clip_gradient_norm=2.0,
    )
    batches = tf.data.Dataset.from_tensor_slices(digits()).batch(BATCH).repeat()
    learning.train(
        train_op, str(logdir), batches, number_of_steps=steps, hooks=[hook], log_every_n_steps=0
    )
    return losses


def saved(logdir):
    reader = checkpoints.read(checkpoints.find(logdir))
    return {name: reader.get(name) for name in reader.variables()}


def assert_equal(values, expected):
    assert set(values) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Returns the directory of 200 steps in a graph, and their losses."""
    directory = tmp_path_factory.mktemp("run")
    return directory, train_in_a_graph(directory, 200)


def test_losses_and_averages_equal_tf_slims(run):
    directory, losses = run
    assert len(losses) == 200
    assert (losses[0], losses[-1]) == pytest.approx(LOSSES, rel=1e-5)
    values = saved(directory)
    assert {name: values[name].sum() for name in AVERAGES} == pytest.approx(AVERAGES, rel=1e-5)


def test_eager_training_is_equal(run, tmp_path):
    directory, losses = run
    assert train_eagerly(tmp_path, 200) == pytest.approx(losses, rel=1e-3)
    assert_equal(saved(tmp_path), saved(directory))


@pytest.mark.slow
def test_graph_and_eager_training_resume_each_other(run, tmp_path):
    directory, _ = run
    for name in ("graph", "mixed"):
        shutil.copytree(directory, tmp_path / name)
    expected = train_in_a_graph(tmp_path / "graph", 210)
    losses = train_eagerly(tmp_path / "mixed", 205)
    losses += train_in_a_graph(tmp_path / "mixed", 210)
    assert losses == pytest.approx(expected, rel=1e-4)
    assert_equal(saved(tmp_path / "mixed"), saved(tmp_path / "graph"))
