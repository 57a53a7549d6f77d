"""Segments that are computed again for the gradients change memory and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks
from slim.recompute import segment
from tests.slim import tiny


def block(net):
    net = slim.fully_connected(net, 8, weights_regularizer=slim.l2_regularizer(1e-2))
    net = slim.fully_connected(net, 8)
    net = slim.batch_norm(net, is_training=True, decay=0.9)
    return slim.dropout(net, 0.5)


CALLS = []


def counted(net):
    CALLS.append(1)
    return block(net)


def loss(images, labels):
    with (
        slim.variable_scope("net"),
        slim.arg_scope([slim.fully_connected], activation_fn=tf.nn.elu),
    ):
        net = images
        for number in range(3):
            # Once with an automatic name.
            with slim.variable_scope(f"block{number}" if number else None, "block"):
                net = segment(counted, net)
        logits = slim.fully_connected(net, tiny.CLASSES, activation_fn=None, scope="logits")
    slim.losses.sparse_softmax_cross_entropy(logits, labels)
    return slim.losses.get_total_loss()


def trained(steps=4, **arguments):
    CALLS.clear()
    op = tiny.built_op(loss=loss, **arguments)
    numbers = op.run(iter(tiny.batches()), steps)
    return numbers, tiny.values(op)


@pytest.mark.parametrize("parts", [1, 2])
def test_recomputing_changes_nothing(parts):
    numbers, values = trained(accumulate_steps=parts)
    plain_calls = len(CALLS)
    again, recomputed = trained(accumulate_steps=parts, recompute_gradients=True)
    assert len(CALLS) > plain_calls, "nothing was computed again"
    np.testing.assert_allclose(again["loss"], numbers["loss"], rtol=1e-6)
    assert list(values) == list(recomputed)
    for name, value in values.items():
        np.testing.assert_allclose(recomputed[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def test_recomputing_on_two_replicas(mirrored):
    data = [mirrored.experimental_distribute_dataset(tiny.batches(16)) for _ in range(2)]
    ops = [
        tiny.built_op(loss=loss, strategy=mirrored, recompute_gradients=choice)
        for choice in (False, True)
    ]
    losses = [op.run(iter(batches), 3)["loss"] for op, batches in zip(ops, data, strict=True)]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    values = [tiny.values(op) for op in ops]
    for name, value in values[0].items():
        np.testing.assert_allclose(values[1][name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_network_without_segments():
    op = tiny.built_op(recompute_gradients=True)
    with pytest.raises(_checks.UserError, match="recompute_gradients has no effect"):
        op.run(iter(tiny.batches()))


def test_outside_of_training_a_segment_is_a_call():
    store = slim.VariableStore(seed=0)
    with store.as_default() as one_pass:
        segment(block, tf.ones([2, 4]))
        assert one_pass.num_segments == 0
        assert not one_pass.is_replay
