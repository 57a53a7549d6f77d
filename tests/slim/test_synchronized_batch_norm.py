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


@pytest.mark.parametrize("name, value", [("batch_weights", [1.0, 2.0]), ("is_training", True)])
def test_options_without_synchronized_statistics_are_errors(name, value):
    def network(option):
        return slim.batch_norm(tf.zeros([2, 4]), synchronized=True, **{name: option})

    message = "synchronized is not supported with batch_weights or with a tensor as is_training"
    with pytest.raises(ValueError, match=message):
        tf.function(network, autograph=False)(tf.constant(value))
