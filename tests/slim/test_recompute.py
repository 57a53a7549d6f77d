"""Recomputing segments for the gradients saves memory and changes no result."""

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
        net = segment(counted, images)
        # Once with an automatic name.
        with slim.variable_scope(None, "block"):
            net = segment(counted, net)
        logits = slim.fully_connected(net, tiny.CLASSES, activation_fn=None, scope="logits")
    slim.losses.sparse_softmax_cross_entropy(logits, labels)
    return slim.losses.get_total_loss()


def train(**arguments):
    CALLS.clear()
    op = tiny.built_op(loss=loss, **arguments)
    batches = op.strategy.experimental_distribute_dataset(tiny.batches())
    losses = tiny.run(op, batches, 3)["loss"]
    return losses, tiny.values(op), len(CALLS)


def assert_recomputing_changes_nothing(**arguments):
    losses, values, num_calls = train(**arguments)
    again, recomputed, num_calls_recomputing = train(recompute_gradients=True, **arguments)
    assert num_calls_recomputing > num_calls, "nothing was recomputed"
    np.testing.assert_allclose(again, losses, rtol=1e-6)
    assert list(values) == list(recomputed)
    for name, value in values.items():
        np.testing.assert_allclose(recomputed[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("parts", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_recomputing_changes_no_loss_and_no_variable(parts):
    assert_recomputing_changes_nothing(accumulate_steps=parts)


@pytest.mark.parametrize("parts", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_recomputing_on_two_replicas_changes_no_loss_and_no_variable(mirrored, parts):
    assert_recomputing_changes_nothing(strategy=mirrored, accumulate_steps=parts)


def test_recomputing_a_network_without_segments_is_an_error():
    op = tiny.built_op(recompute_gradients=True)
    with pytest.raises(_checks.UserError, match="recompute_gradients has no effect"):
        tiny.run(op, tiny.batches())


def test_a_segment_outside_of_training_is_a_plain_call():
    store = slim.VariableStore(seed=0)
    with store.as_default() as one_pass:
        segment(block, tf.ones([2, 4]))
        assert one_pass.num_segments == 0
        assert not one_pass.is_replay
