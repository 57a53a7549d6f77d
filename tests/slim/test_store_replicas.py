import numpy as np
import tensorflow as tf

import slim
from tests.slim.small_net import IMAGES, NET_NAMES, built, images, small_net


def replicated(strategy, store, xs):
    """Runs a training pass in each replica; returns its logits, loss and variable names."""

    @tf.function(autograph=False)
    def step(values):
        def replica(x):
            with store.as_default() as one_pass:
                logits = small_net(x)
                slim.losses.add_loss(tf.reduce_sum(logits))
                names = "|".join(one_pass.requested)
                return logits, slim.losses.get_total_loss(), tf.constant(names)

        return strategy.run(replica, args=[values])

    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(xs[context.replica_id_in_sync_group])
    )
    return [strategy.experimental_local_results(result) for result in step(values)]


def test_mirrored_replicas_share_variables_and_have_separate_passes(mirrored):
    xs = [images(3, seed=1), 5 + 2 * images(3, seed=2)]
    store = slim.VariableStore(seed=9)
    with mirrored.scope():
        store.build(small_net, IMAGES)
    logits, losses, names = replicated(mirrored, store, xs)
    averages = []
    for replica in range(2):
        single = built(seed=9)
        with single.as_default():
            expected = small_net(xs[replica])
        np.testing.assert_allclose(logits[replica], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(losses[replica], tf.reduce_sum(expected), rtol=1e-4)
        assert names[replica].numpy().decode().split("|") == NET_NAMES
        averages.append(single.named_variables["Net/conv1/BatchNorm/moving_mean"].numpy())
    assert list(store.named_variables) == NET_NAMES
    weights = store.named_variables["Net/conv1/weights"]
    assert [v.device[-5:] for v in weights.values] == ["CPU:0", "CPU:1"]
    assert slim.get_variable_full_name(weights) == "Net/conv1/weights"
    mean = store.named_variables["Net/conv1/BatchNorm/moving_mean"]
    assert np.abs(averages[0] - averages[1]).max() > 0.01
    np.testing.assert_allclose(mean, np.mean(averages, axis=0), rtol=1e-4, atol=1e-5)


def test_a_scope_around_strategy_run_does_not_reach_the_replicas(mirrored):
    store = slim.VariableStore()
    with mirrored.scope():
        store.build(small_net, IMAGES)
    with slim.arg_scope([slim.conv2d], stride=2), slim.variable_scope("outside"):
        _, _, names = replicated(mirrored, store, [images(), images()])
    assert [name.numpy().decode().split("|") for name in names] == [NET_NAMES] * 2
