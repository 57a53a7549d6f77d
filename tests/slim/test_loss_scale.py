"""Half precision training: float32 weights, and a loss scale that adapts to overflows."""

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


@pytest.fixture(scope="module")
def float32_metrics():
    return tiny.run(op_of(tiny.loss_fn), tiny.batches(), 20)


def test_half_precision_trains_as_float32_does(float32_metrics):
    op = op_of(half, initial=2.0**10)
    metrics = tiny.run(op, tiny.batches(), 20)
    np.testing.assert_allclose(metrics["loss"], float32_metrics["loss"], rtol=0.01)
    expected = float32_metrics["gradient_norm"]
    np.testing.assert_allclose(metrics["gradient_norm"], expected, rtol=0.05)
    assert {v.dtype for v in op.store.named_variables.values()} == {tf.float32, tf.int64}


def test_tiny_gradients_vanish_without_a_loss_scale(float32_metrics):
    # 1e-7 is below the precision of the backward pass of a float16 network.
    def faint(images, labels):
        return half(images, labels) * 1e-7

    with_scale, without = (
        tiny.run(op_of(faint, **scale), tiny.batches())["gradient_norm"][0]
        for scale in ({"initial": 2.0**20}, {})
    )
    expected = float32_metrics["gradient_norm"][0] * 1e-7
    assert abs(with_scale / expected - 1) < 0.05
    assert abs(without / expected - 1) > 0.2


def test_an_overflow_changes_no_weight_and_halves_the_scale():
    op = op_of(half, initial=2.0**40)
    before = weights(op)
    metrics = tiny.run(op, tiny.batches(), 3)
    assert list(metrics["loss_scale"]) == [2.0**40, 2.0**39, 2.0**38]
    assert list(metrics["gradient_norm"]) == [0, 0, 0]
    assert np.isfinite(metrics["loss"]).all()
    after = weights(op)
    assert all((before[name] == after[name]).all() for name in before)
    assert op.global_step.numpy() == 3
    metrics = tiny.run(op, tiny.batches(), 60)
    assert metrics["gradient_norm"][-1] > 0, "the scale is still too high"


def test_overflow_at_the_lowest_scale_is_reported_as_a_non_finite_norm():
    def broken(images, labels):
        return half(images, labels) * np.float32("inf")

    op = op_of(broken, initial=4.0)
    metrics = tiny.run(op, tiny.batches(), 4)
    assert list(metrics["loss_scale"]) == [4, 2, 1, 1]
    assert list(metrics["gradient_norm"][:2]) == [0, 0]
    assert not np.isfinite(metrics["gradient_norm"][2:]).any()
    # The weights did not change.
    assert all(np.isfinite(value).all() for value in weights(op).values())


def test_growth_steps_without_an_overflow_double_the_scale():
    metrics = tiny.run(op_of(half, initial=4.0, growth_steps=3), tiny.batches(), 7)
    assert list(metrics["loss_scale"]) == [4, 4, 4, 8, 8, 8, 16]


@pytest.mark.slow
def test_replicas_skip_an_update_together(mirrored):
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
