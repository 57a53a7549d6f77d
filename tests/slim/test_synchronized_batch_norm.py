"""Synchronized batch norm on two replicas against one replica with the whole batch."""

import numpy as np
import pytest
import tensorflow as tf

import slim

SPEC = tf.TensorSpec([None, 3, 3, 4])


def outcome(strategy, values, steps=2, **options):
    """Returns the outputs, the gradients of the inputs, and the variables after steps on values of
    shape [replicas, batch, ...]."""
    store = slim.VariableStore(seed=1)

    def network(x):
        return slim.batch_norm(x, decay=0.9, scale=True, synchronized=True, **options)

    with strategy.scope():
        store.build(network, SPEC)

    @tf.function(autograph=False)
    def step():
        def replica():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            x = tf.gather(tf.constant(values), index)
            with store.as_default(), tf.GradientTape() as tape:
                tape.watch(x)
                y = network(x)
                weights = tf.cast(tf.range(tf.size(y)) % 7, tf.float32) / 7.0
                loss = tf.reduce_sum(y * tf.reshape(weights, tf.shape(y)))
            return y, tape.gradient(loss, x)

        return strategy.run(replica)

    for _ in range(steps):
        results = step()
    y, gradient = (tf.concat(strategy.experimental_local_results(r), 0) for r in results)
    variables = {
        name: strategy.experimental_local_results(variable)[-1].numpy()
        for name, variable in store.named_variables.items()
    }
    return {"y": y.numpy(), "gradient": gradient.numpy()} | variables


@pytest.mark.parametrize("options", [{}, {"fused": False}, {"renorm": True}], ids=str)
def test_two_replicas_normalize_like_one_with_the_whole_batch(mirrored, options):
    random = np.random.RandomState(0)
    values = random.normal(4.0, [1.0, 2.0, 0.5, 3.0], [2, 7, 3, 3, 4]).astype(np.float32)
    values[1] += 1.0
    one = outcome(tf.distribute.get_strategy(), values.reshape([1, 14, 3, 3, 4]), **options)
    two = outcome(mirrored, values, **options)
    assert list(one) == list(two)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def losses(strategy):
    """Returns the losses of ten steps of a network with two layers of batch norm."""

    def loss_fn(images, labels):
        with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm):
            with slim.arg_scope([slim.batch_norm], synchronized=True, decay=0.9):
                net = slim.conv2d(slim.conv2d(images, 8, 3), 8, 3)
        logits = slim.fully_connected(tf.reduce_mean(net, [1, 2]), 3, activation_fn=None)
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        return slim.losses.get_total_loss()

    optimizer = slim.optimizers.Momentum(learning_rate=0.05)
    store = slim.VariableStore(seed=0)
    op = slim.learning.create_train_op(loss_fn, optimizer, store=store, strategy=strategy)
    random = np.random.RandomState(0)
    images = random.uniform(-1, 1, [320, 6, 6, 3]).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((images, random.randint(0, 3, 320))).batch(32)
    op.build((tf.TensorSpec([None, 6, 6, 3]), tf.TensorSpec([None], tf.int64)))
    batches = iter(strategy.experimental_distribute_dataset(dataset))
    return np.concatenate([op.run(batches)["loss"] for _ in range(10)])


def test_two_replicas_train_like_one_with_the_whole_batch(mirrored):
    one = losses(tf.distribute.get_strategy())
    assert np.ptp(one) > 0.01
    np.testing.assert_allclose(losses(mirrored), one, atol=1e-5)


@pytest.mark.parametrize("name, value", [("batch_weights", [1.0, 2.0]), ("is_training", True)])
def test_options_without_synchronized_statistics_are_errors(name, value):
    def network(option):
        return slim.batch_norm(tf.zeros([2, 4]), synchronized=True, **{name: option})

    message = "synchronized is not supported with batch_weights or with a tensor as is_training"
    with pytest.raises(ValueError, match=message):
        tf.function(network, autograph=False)(tf.constant(value))
