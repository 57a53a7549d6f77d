"""Gradient accumulation, compilation by XLA, and learning rate multipliers."""

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


def assert_same(metrics, values, expected, tolerance=1e-5):
    expected_metrics, expected_values = expected
    for name in ("loss", "gradient_norm", "accuracy"):
        np.testing.assert_allclose(
            metrics[name], expected_metrics[name], rtol=tolerance, err_msg=name
        )
    for name, value in expected_values.items():
        np.testing.assert_allclose(values[name], value, rtol=tolerance, atol=1e-6, err_msg=name)


def train(**arguments):
    """Returns the metrics of 5 steps on batches of 32 and the variables after them."""
    op = tiny.built_op(loss=plain, moving_average_decay=0.9, **arguments)
    batches = op.strategy.experimental_distribute_dataset(tiny.batches(32))
    return tiny.run(op, batches, 5), tiny.values(op)


@pytest.fixture(scope="module")
def undivided():
    return train()


def test_four_parts_of_8_equal_a_batch_of_32(undivided):
    metrics, values = train(accumulate_steps=4)
    assert_same(metrics, values, undivided)
    assert values["global_step"] == 5


def test_two_parts_on_two_replicas_equal_a_batch_of_32(mirrored, undivided):
    metrics, values = train(accumulate_steps=2, strategy=mirrored)
    assert_same(metrics, values, undivided, 1e-4)


def test_each_part_updates_batch_norm_in_order():
    op = tiny.built_op(accumulate_steps=2, rate=0.0)
    by_hand = tiny.built_op(rate=0.0)
    tiny.run(op, tiny.batches(32))
    tiny.run(by_hand, tiny.batches(16), 2)
    mean = "tiny/norm/moving_mean"
    np.testing.assert_allclose(tiny.values(op)[mean], tiny.values(by_hand)[mean], rtol=1e-6)


def test_each_part_draws_its_own_dropout():
    images, labels = tiny.arrays(16)
    twice = (np.concatenate([images, images]), np.concatenate([labels, labels]))
    once = tiny.built_op(loss=tiny.loss_with_dropout, rate=0.0)
    parts = tiny.built_op(loss=tiny.loss_with_dropout, rate=0.0, accumulate_steps=2)
    batches = tf.data.Dataset.from_tensors(twice).repeat()
    losses = tiny.run(parts, batches, 3)["loss"]
    parts.global_step.assign(0)
    assert tiny.run(parts, batches, 3)["loss"].tolist() == losses.tolist()
    single = tf.data.Dataset.from_tensors((images, labels)).repeat()
    # If both parts drew the same dropout, their mean would be the loss of one of them.
    assert not np.isclose(losses, tiny.run(once, single, 3)["loss"]).any()


def test_accumulate_steps_that_do_not_divide_the_batch_are_an_error():
    op = tiny.built_op(accumulate_steps=3)
    batches = tf.data.Dataset.from_tensors(tiny.arrays(16))
    with pytest.raises(ValueError, match="accumulate_steps=3 does not divide a batch of 16"):
        tiny.run(op, batches)


def test_accumulate_steps_of_zero_are_an_error():
    with pytest.raises(_checks.UserError, match="accumulate_steps=0 must be positive"):
        tiny.train_op(accumulate_steps=0)


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 2])
def test_compiled_steps_equal_uncompiled_ones(parts):
    compiled = tiny.built_op(jit_compile=True, accumulate_steps=parts)
    other = tiny.built_op(accumulate_steps=parts)
    metrics = tiny.run(compiled, tiny.batches(16, repeat=False), 3)
    expected = tiny.run(other, tiny.batches(16, repeat=False), 3)
    assert_same(metrics, tiny.values(compiled), (expected, tiny.values(other)), 1e-4)


def test_jit_compile_uses_xla():
    def loss(images, labels):
        # XLA has no strings.
        tf.debugging.assert_equal(tf.strings.length(tf.strings.as_string(labels)), 1)
        return plain(images, labels)

    assert tiny.run(tiny.built_op(loss=loss), tiny.batches())["loss"].shape == (1,)
    with pytest.raises(tf.errors.OpError, match="XLA"):
        tiny.run(tiny.built_op(loss=loss, jit_compile=True), tiny.batches())


@pytest.mark.parametrize("name", ["GradientDescent", "Adam", "RMSProp", "AdamW", "Lion", "Muon"])
def test_a_multiplier_scales_the_learning_rate_of_its_variable(name):
    optimizer = getattr(optimizers, name)(learning_rate=0.01)

    def updated(rate, multipliers=None):
        store = slim.VariableStore(seed=0)
        with store.as_default():
            variables = {name: slim.model_variable(name, [3, 2]) for name in ("a", "b")}
        optimizer.build(store, variables)
        gradients = {name: tf.constant([[1.0, -2.0], [3.0, 0.5], [0.1, 2.0]]) for name in variables}
        optimizer.apply(store, gradients, tf.constant(rate), multipliers=multipliers)
        return {name: variable.numpy() for name, variable in store.named_variables.items()}

    slow, fast, mixed = updated(0.01), updated(0.01 * 10.0), updated(0.01, {"a": 10.0})
    for key in slow:
        expected = fast if key.startswith("a") else slow
        np.testing.assert_allclose(mixed[key], expected[key], rtol=1e-5, atol=1e-7, err_msg=key)
    assert np.abs(slow["a"] - fast["a"]).max() > 1e-3


def test_a_step_applies_the_learning_rate_multipliers():
    def step(rate, **arguments):
        optimizer = optimizers.GradientDescent(learning_rate=rate)
        op = tiny.built_op(loss=plain, optimizer=optimizer, **arguments)
        tiny.run(op, tiny.batches())
        return tiny.values(op)

    mixed = step(0.01, learning_rate_multipliers={WEIGHTS: 10.0})
    slow, fast = step(0.01), step(0.01 * 10.0)
    for key in slow:
        expected = fast if key == WEIGHTS else slow
        np.testing.assert_allclose(mixed[key], expected[key], rtol=1e-5, atol=1e-7, err_msg=key)
    assert np.abs(slow[WEIGHTS] - fast[WEIGHTS]).max() > 1e-3


def test_learning_rate_multipliers_may_come_from_a_function():
    def choose(names):
        assert "tiny/norm/moving_mean" not in names
        return dict.fromkeys(names, 0.0)

    op = tiny.built_op(learning_rate_multipliers=choose)
    before = {name: v.numpy() for name, v in op.variables_to_train.items()}
    tiny.run(op, tiny.batches())
    for name, variable in op.variables_to_train.items():
        np.testing.assert_array_equal(variable.numpy(), before[name])


def test_learning_rate_multiplier_of_an_unknown_variable_is_an_error():
    message = "learning_rate_multipliers: 'tiny/logit/weights' is not trained; did you mean"
    with pytest.raises(ValueError, match=message):
        tiny.built_op(learning_rate_multipliers={"tiny/logit/weights": 2.0})
