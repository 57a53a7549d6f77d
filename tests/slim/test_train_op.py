"""One training step: what it updates, by how much, and what it tells."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, learning
from tests.slim import tiny

SPEC = (tf.TensorSpec([None, tiny.FEATURES]), tf.TensorSpec([None], tf.int64))
HIDDEN = ("tiny/hidden/weights", "tiny/hidden/biases")


def run(op, steps=1, size=16):
    return op.run(iter(tiny.batches(size)), steps)


def gradients_by_hand(op, images, labels):
    with tf.GradientTape() as tape, op.store.as_default():
        loss, _ = tiny.loss_fn(images, labels)
    return float(loss), tape.gradient(loss, op.variables_to_train)


def descend(**arguments):
    """Takes one step of descent at rate 1; returns loss and gradients by hand, and the changes."""
    op = tiny.built_op(optimizer=slim.optimizers.GradientDescent(learning_rate=1.0), **arguments)
    before = tiny.values(op)
    batch = next(iter(tiny.batches()))
    other = tiny.built_op()
    loss, gradients = gradients_by_hand(other, *batch)
    numbers = op.run(iter(tiny.batches()))
    after = tiny.values(op)
    changes = {name: before[name] - after[name] for name in gradients}
    return loss, {n: g.numpy() for n, g in gradients.items()}, changes, numbers


def test_a_step_moves_by_the_gradient_and_tells_its_numbers():
    loss, gradients, changes, numbers = descend()
    assert set(numbers) == {"loss", "learning_rate", "gradient_norm", "data_wait", "accuracy"}
    assert all(value.shape == (1,) for value in numbers.values())
    assert numbers["loss"][0] == pytest.approx(loss, rel=1e-6)
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    assert numbers["gradient_norm"][0] == pytest.approx(norm, rel=1e-5)
    assert numbers["learning_rate"][0] == 1.0
    assert numbers["data_wait"][0] >= 0.0
    for name, gradient in gradients.items():
        np.testing.assert_allclose(changes[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)


def test_gradients_are_clipped_one_by_one():
    _, gradients, changes, numbers = descend(clip_gradient_norm=0.5)
    norms = {name: np.linalg.norm(gradient) for name, gradient in gradients.items()}
    assert min(norms.values()) < 0.5 < max(norms.values()), "both kinds are needed"
    for name, gradient in gradients.items():
        wanted = gradient * min(1.0, 0.5 / max(norms[name], 1e-9))
        np.testing.assert_allclose(changes[name], wanted, rtol=1e-3, atol=1e-6, err_msg=name)
    # Told as it was before clipping.
    assert numbers["gradient_norm"][0] > 1.0


def test_gradient_multipliers_come_before_clipping():
    factors = {"tiny/logits/weights": 3.0, "tiny/hidden/weights": 0.0}
    _, gradients, changes, _ = descend(gradient_multipliers=factors)
    for name, gradient in gradients.items():
        wanted = gradient * factors.get(name, 1.0)
        np.testing.assert_allclose(changes[name], wanted, rtol=1e-4, atol=1e-5, err_msg=name)
    _, _, changes, _ = descend(gradient_multipliers=factors, clip_gradient_norm=0.01)
    assert np.linalg.norm(changes["tiny/logits/weights"]) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    "choice",
    [list(HIDDEN), lambda names: [n for n in names if "hidden" in n]],
    ids=["names", "function"],
)
def test_only_the_chosen_variables_are_trained(choice):
    op = tiny.built_op(variables_to_train=choice)
    before = tiny.values(op)
    run(op, 2)
    changed = {name for name, value in tiny.values(op).items() if (value != before[name]).any()}
    assert tuple(op.variables_to_train) == HIDDEN
    slots = {f"{name}/Momentum" for name in HIDDEN}
    # Moving averages of batch norm move with the data, whatever is trained.
    moving = {"tiny/norm/moving_mean", "tiny/norm/moving_variance"}
    assert changed == {*HIDDEN, *slots, *moving, "global_step"}
    assert not any("logits" in name and name.endswith("Momentum") for name in before)


def test_nothing_to_train_names_what_there_is():
    with pytest.raises(
        _checks.UserError, match="no variables to train; the network has: .*tiny/hidden/weights"
    ):
        tiny.built_op(variables_to_train=[])


def test_a_loss_that_depends_on_nothing_trained():
    def loss(images, labels):
        tiny.network(images)
        return tf.reduce_mean(images)

    op = tiny.built_op(loss=loss)
    with pytest.raises(
        ValueError, match="the loss does not depend on any of the variables to train"
    ):
        run(op)


def test_a_multiplier_for_a_variable_that_is_not_trained():
    op = tiny.built_op(gradient_multipliers={"tiny/hiden/weights": 2.0})
    message = "'tiny/hiden/weights' is not trained; did you mean 'tiny/hidden/weights'"
    with pytest.raises(ValueError, match=message):
        run(op)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"clip_gradient_norm": -1.0}, "clip_gradient_norm=-1.0 must not be negative"),
        ({"moving_average_decay": 1.5}, "moving_average_decay=1.5 must lie between"),
    ],
)
def test_numbers_out_of_range(arguments, message):
    with pytest.raises(_checks.UserError, match=message):
        tiny.train_op(**arguments)


def test_many_steps_in_one_call_equal_single_steps_bit_for_bit():
    single, several = (
        tiny.built_op(loss=tiny.loss_with_dropout),
        tiny.built_op(loss=tiny.loss_with_dropout),
    )
    iterator = iter(tiny.batches())
    losses = [single.run(iterator)["loss"][0] for _ in range(8)]
    together = several.run(iter(tiny.batches()), 8)
    assert together["loss"].tolist() == losses
    assert together["accuracy"].shape == (8,)
    assert int(several.global_step.numpy()) == 8
    for name, value in tiny.values(single).items():
        np.testing.assert_array_equal(tiny.values(several)[name], value, err_msg=name)


def test_dropout_depends_on_the_seed_and_on_the_step():
    def losses(seed):
        # Nothing is learned, so that only dropout makes a difference.
        op = tiny.built_op(loss=tiny.loss_with_dropout, rate=0.0, seed=seed)
        images, labels = tiny.arrays(16)
        same = tf.data.Dataset.from_tensors((images, labels)).repeat()
        return op.run(iter(same), 5)["loss"].tolist()

    first = losses(1)
    assert first == losses(1)
    assert first != losses(2)
    assert len(set(first)) == 5


def test_batches_may_be_dictionaries_or_single_tensors():
    by_name = tiny.train_op()
    images, labels = tiny.arrays(16)
    dataset = tf.data.Dataset.from_tensors({"images": images, "labels": labels}).repeat()
    by_name.build(dict(zip(("images", "labels"), SPEC, strict=True)))
    by_position = tiny.built_op()
    pairs = tf.data.Dataset.from_tensors((images, labels)).repeat()
    assert by_name.run(iter(dataset))["loss"] == by_position.run(iter(pairs))["loss"]
    alone = tiny.train_op(loss=lambda images: tf.reduce_mean(tf.square(tiny.network(images))))
    alone.build(SPEC[0])
    numbers = alone.run(iter(tf.data.Dataset.from_tensors(images)))
    assert numbers["loss"][0] > 0
    assert "accuracy" not in numbers


def test_moving_averages_follow_each_step():
    op = tiny.built_op(moving_average_decay=0.9)
    op.averages.reset()
    expected = tiny.values(op)["tiny/logits/weights"].astype(np.float64)
    iterator = iter(tiny.batches())
    for step in range(6):
        op.run(iterator)
        kept = min(0.9, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * tiny.values(op)["tiny/logits/weights"]
    average = tiny.values(op)["tiny/logits/weights/ExponentialMovingAverage"]
    np.testing.assert_allclose(average, expected, rtol=1e-5)


def test_building_again_changes_nothing():
    op = tiny.built_op()
    names = list(op.store.named_variables)
    op.build(SPEC)
    assert list(op.store.named_variables) == names


def test_the_current_store_is_the_default():
    store = slim.VariableStore(seed=0)
    with store.as_default():
        op = learning.create_train_op(
            tiny.loss_fn, slim.optimizers.GradientDescent(learning_rate=0.1)
        )
    assert op.store is store


def test_learning_rate_is_that_of_the_step():
    schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.01, 0.001])
    numbers = run(tiny.built_op(rate=schedule), 5)
    np.testing.assert_allclose(numbers["learning_rate"], [0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-6)


def test_replicas_average_losses_gradients_and_numbers(mirrored):
    """Without batch norm two replicas are one with the batch of both."""

    def loss(images, labels):
        with slim.variable_scope("flat"):
            logits = slim.fully_connected(images, tiny.CLASSES, activation_fn=None, scope="logits")
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        correct = tf.equal(tf.argmax(logits, -1), labels)
        return slim.losses.get_total_loss(), {
            "accuracy": tf.reduce_mean(tf.cast(correct, tf.float32))
        }

    one = tiny.built_op(loss=loss, moving_average_decay=0.5)
    two = tiny.built_op(loss=loss, moving_average_decay=0.5, strategy=mirrored)
    alone = one.run(iter(tiny.batches(16)), 5)
    together = two.run(iter(mirrored.experimental_distribute_dataset(tiny.batches(16))), 5)
    for name in ("loss", "gradient_norm", "accuracy", "learning_rate"):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-5, err_msg=name)
    for name, value in tiny.values(one).items():
        np.testing.assert_allclose(
            tiny.values(two)[name], value, rtol=1e-4, atol=1e-6, err_msg=name
        )
