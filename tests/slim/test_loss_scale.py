"""Half precision in training: master weights, and a loss scale that follows overflows."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim.loss_scale import DynamicLossScale
from tests.slim import tiny

SPEC = (tf.TensorSpec([None, tiny.FEATURES]), tf.TensorSpec([None], tf.int64))


def half(images, labels):
    logits = tiny.network(tf.cast(images, tf.float16))
    assert logits.dtype == tf.float16
    slim.losses.sparse_softmax_cross_entropy(logits, labels)
    return slim.losses.get_total_loss()


def op_of(loss, **scale):
    op = slim.learning.create_train_op(
        loss,
        slim.optimizers.Momentum(learning_rate=0.1),
        store=slim.VariableStore(seed=0, keep_float32=True),
        loss_scale=DynamicLossScale(**scale) if scale else None,
    )
    op.build(SPEC)
    return op


def weights(op):
    return {name: variable.numpy() for name, variable in op.variables_to_train.items()}


def test_half_precision_trains_as_float32_does():
    ours, wanted = op_of(half, initial=2.0**10), op_of(tiny.loss_fn)
    numbers = ours.run(iter(tiny.batches()), 20)
    others = wanted.run(iter(tiny.batches()), 20)
    np.testing.assert_allclose(numbers["loss"], others["loss"], rtol=0.01)
    np.testing.assert_allclose(numbers["gradient_norm"], others["gradient_norm"], rtol=0.05)
    assert {v.dtype for v in ours.store.named_variables.values()} == {tf.float32, tf.int64}


def test_tiny_gradients_vanish_without_the_scale():
    # 1e-6 is below what the backward pass of a float16 network can hold beside its rounding.
    def faint(images, labels):
        return half(images, labels) * 1e-7

    with_scale = op_of(faint, initial=2.0**20).run(iter(tiny.batches()))["gradient_norm"][0]
    without = op_of(faint).run(iter(tiny.batches()))["gradient_norm"][0]
    wanted = op_of(tiny.loss_fn).run(iter(tiny.batches()))["gradient_norm"][0] * 1e-7
    assert abs(with_scale / wanted - 1) < 0.05
    assert abs(without / wanted - 1) > 0.2


def test_an_overflow_changes_no_weight_and_halves_the_scale():
    op = op_of(half, initial=2.0**40)
    before = weights(op)
    numbers = op.run(iter(tiny.batches()), 3)
    assert list(numbers["loss_scale"]) == [2.0**40, 2.0**39, 2.0**38]
    assert list(numbers["gradient_norm"]) == [0, 0, 0]
    assert np.isfinite(numbers["loss"]).all()
    after = weights(op)
    assert all((before[name] == after[name]).all() for name in before)
    assert op.global_step.numpy() == 3
    until = op.run(iter(tiny.batches()), 60)
    assert until["gradient_norm"][-1] > 0, "the scale never came down"


def test_gradients_that_no_scale_makes_finite_stop_the_run(tmp_path):
    def broken(images, labels):
        return half(images, labels) * np.float32("inf")

    op = op_of(broken, initial=4.0)
    numbers = op.run(iter(tiny.batches()), 4)
    assert list(numbers["loss_scale"]) == [4, 2, 1, 1]
    assert list(numbers["gradient_norm"][:2]) == [0, 0]
    assert not np.isfinite(numbers["gradient_norm"][2:]).any()
    # The weights are as they were.
    assert all(np.isfinite(value).all() for value in weights(op).values())


def test_good_steps_double_the_scale():
    numbers = op_of(half, initial=4.0, growth_steps=3).run(iter(tiny.batches()), 7)
    assert list(numbers["loss_scale"]) == [4, 4, 4, 8, 8, 8, 16]


@pytest.mark.slow
def test_clones_decide_together(mirrored):
    op = slim.learning.create_train_op(
        half,
        slim.optimizers.Momentum(learning_rate=0.1),
        store=slim.VariableStore(seed=0, keep_float32=True),
        strategy=mirrored,
        loss_scale=DynamicLossScale(initial=2.0**40),
    )
    op.build(SPEC)
    before = weights(op)
    batches = iter(mirrored.experimental_distribute_dataset(tiny.batches()))
    assert list(op.run(batches, 2)["loss_scale"]) == [2.0**40, 2.0**39]
    assert all((before[name] == value).all() for name, value in weights(op).items())
    assert op.run(batches, 60)["gradient_norm"][-1] > 0
