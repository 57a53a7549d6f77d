"""A step in several parts, compiled by XLA, and with learning rates of some variables' own."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, optimizers
from tests.slim import tiny

WEIGHTS = "tiny/logits/weights"


def plain(images, labels):
    """A network without batch norm."""
    with slim.variable_scope("tiny"):
        net = slim.fully_connected(
            images, 8, scope="hidden", weights_regularizer=slim.l2_regularizer(1e-2)
        )
        logits = slim.fully_connected(net, tiny.CLASSES, activation_fn=None, scope="logits")
    slim.losses.sparse_softmax_cross_entropy(logits, labels)
    correct = tf.equal(tf.argmax(logits, -1), labels)
    return slim.losses.get_total_loss(), {"accuracy": tf.reduce_mean(tf.cast(correct, tf.float32))}


def assert_same(ours, wanted, numbers, expected, tolerance=1e-5):
    for name in ("loss", "gradient_norm", "accuracy"):
        np.testing.assert_allclose(numbers[name], expected[name], rtol=tolerance, err_msg=name)
    found = tiny.values(ours)
    for name, value in tiny.values(wanted).items():
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=1e-6, err_msg=name)


def test_four_parts_of_8_equal_a_batch_of_32():
    parts = tiny.built_op(loss=plain, accumulate_steps=4, moving_average_decay=0.9)
    whole = tiny.built_op(loss=plain, moving_average_decay=0.9)
    numbers = parts.run(iter(tiny.batches(32)), 5)
    expected = whole.run(iter(tiny.batches(32)), 5)
    assert_same(parts, whole, numbers, expected)
    assert int(parts.global_step.numpy()) == 5


def test_parts_on_two_replicas(mirrored):
    parts = tiny.built_op(loss=plain, accumulate_steps=2, strategy=mirrored)
    whole = tiny.built_op(loss=plain)
    batches = iter(mirrored.experimental_distribute_dataset(tiny.batches(32)))
    numbers = parts.run(batches, 5)
    expected = whole.run(iter(tiny.batches(32)), 5)
    assert_same(parts, whole, numbers, expected, 1e-4)


def test_batch_norm_moves_with_each_part_in_order():
    op = tiny.built_op(accumulate_steps=2, rate=0.0)
    by_hand = tiny.built_op(rate=0.0)
    op.run(iter(tiny.batches(32)))
    by_hand.run(iter(tiny.batches(16)), 2)
    mean = "tiny/norm/moving_mean"
    np.testing.assert_allclose(tiny.values(op)[mean], tiny.values(by_hand)[mean], rtol=1e-6)


def test_each_part_has_a_dropout_of_its_own():
    images, labels = tiny.arrays(16)
    twice = (np.concatenate([images, images]), np.concatenate([labels, labels]))
    once = tiny.built_op(loss=tiny.loss_with_dropout, rate=0.0)
    parts = tiny.built_op(loss=tiny.loss_with_dropout, rate=0.0, accumulate_steps=2)
    again = tiny.built_op(loss=tiny.loss_with_dropout, rate=0.0, accumulate_steps=2)
    data = iter(tf.data.Dataset.from_tensors(twice).repeat())
    losses = parts.run(data, 3)["loss"]
    assert losses.tolist() == again.run(data, 3)["loss"].tolist()
    single = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())
    # With one and the same dropout in both parts, their mean would be the loss of one of them.
    assert not np.isclose(losses, once.run(single, 3)["loss"]).any()


def test_parts_that_are_not_equal():
    op = tiny.built_op(accumulate_steps=3)
    data = tf.data.Dataset.from_tensors(tiny.arrays(16))
    with pytest.raises(ValueError, match="accumulate_steps=3 does not divide a batch of 16"):
        op.run(iter(data))


def test_parts_out_of_range():
    with pytest.raises(_checks.UserError, match="accumulate_steps=0 must be positive"):
        tiny.train_op(accumulate_steps=0)


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 2])
def test_compiled_steps_equal_others(parts):
    compiled = tiny.built_op(jit_compile=True, accumulate_steps=parts)
    other = tiny.built_op(accumulate_steps=parts)
    numbers = compiled.run(iter(tiny.batches(16, repeat=False)), 3)
    expected = other.run(iter(tiny.batches(16, repeat=False)), 3)
    assert_same(compiled, other, numbers, expected, 1e-4)


def test_compiling_is_xlas():
    def loss(images, labels):
        # XLA has no strings.
        tf.debugging.assert_equal(tf.strings.length(tf.strings.as_string(labels)), 1)
        return plain(images, labels)

    assert tiny.built_op(loss=loss).run(iter(tiny.batches()))["loss"].shape == (1,)
    with pytest.raises(tf.errors.OpError, match="XLA"):
        tiny.built_op(loss=loss, jit_compile=True).run(iter(tiny.batches()))


@pytest.mark.parametrize("name", ["GradientDescent", "Adam", "RMSProp", "AdamW", "Lion", "Muon"])
def test_a_multiplier_is_a_learning_rate_of_its_own(name):
    def step(rate, **arguments):
        optimizer = getattr(optimizers, name)(learning_rate=rate)
        op = tiny.built_op(optimizer=optimizer, **arguments)
        op.run(iter(tiny.batches()))
        return tiny.values(op)

    mixed = step(0.01, learning_rate_multipliers={WEIGHTS: 10.0})
    slow, fast = step(0.01), step(0.01 * 10.0)
    for key in slow:
        wanted = fast if key.startswith(WEIGHTS) else slow
        np.testing.assert_allclose(mixed[key], wanted[key], rtol=1e-5, atol=1e-7, err_msg=key)
    assert np.abs(slow[WEIGHTS] - fast[WEIGHTS]).max() > 1e-3


def test_multipliers_may_come_from_a_function():
    def choose(names):
        assert "tiny/norm/moving_mean" not in names
        return dict.fromkeys(names, 0.0)

    op = tiny.built_op(learning_rate_multipliers=choose)
    before = {name: v.numpy() for name, v in op.variables_to_train.items()}
    op.run(iter(tiny.batches()), 2)
    for name, variable in op.variables_to_train.items():
        np.testing.assert_array_equal(variable.numpy(), before[name])


def test_a_multiplier_of_nothing():
    message = "learning_rate_multipliers: 'tiny/logit/weights' is not trained; did you mean"
    with pytest.raises(ValueError, match=message):
        tiny.built_op(learning_rate_multipliers={"tiny/logit/weights": 2.0})
