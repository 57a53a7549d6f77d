"""One training step: which variables it updates, by how much, and the metrics it returns."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks, learning
from tests.slim import tiny

SPEC = (tf.TensorSpec([None, tiny.FEATURES]), tf.TensorSpec([None], tf.int64))
HIDDEN = ("tiny/hidden/weights", "tiny/hidden/biases")


@pytest.fixture(scope="module")
def reference():
    """Loss and gradients of the first batch, computed eagerly."""
    op = tiny.built_op()
    with tf.GradientTape() as tape, op.store.as_default():
        loss, _ = tiny.loss_fn(*next(iter(tiny.batches())))
    gradients = tape.gradient(loss, op.variables_to_train)
    return float(loss), {name: gradient.numpy() for name, gradient in gradients.items()}


def descend(**arguments):
    """Takes one step of descent at rate 1; returns each variable's decrease and the metrics."""
    op = tiny.built_op(optimizer=slim.optimizers.GradientDescent(learning_rate=1.0), **arguments)
    before = tiny.values(op)
    metrics = tiny.run(op, tiny.batches())
    after = tiny.values(op)
    return {name: before[name] - after[name] for name in op.variables_to_train}, metrics


def test_tracing_the_step_creates_what_building_does():
    options = {"moving_average_decay": 0.9, "loss": tiny.loss_with_dropout}
    built, traced = tiny.built_op(**options), tiny.train_op(**options)
    traced.trace(tiny.batches().element_spec)
    properties = [
        [(record.name, record.model, record.trainable) for record in op.store.records.values()]
        for op in (traced, built)
    ]
    assert properties[0] == properties[1]
    for name, value in tiny.values(built).items():
        np.testing.assert_array_equal(tiny.values(traced)[name], value, err_msg=name)
    metrics = [tiny.run(op, tiny.batches(), 3) for op in (built, traced)]
    np.testing.assert_array_equal(metrics[0]["loss"], metrics[1]["loss"])
    for name, value in tiny.values(built).items():
        np.testing.assert_array_equal(tiny.values(traced)[name], value, err_msg=name)


@pytest.mark.parametrize("trace_once", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_step_leaves_the_garbage_collector_as_it_was(tmp_path, trace_once):
    frozen = gc.get_freeze_count()
    op = tiny.train_op(trace_once=trace_once)
    slim.learning.train(op, str(tmp_path), tiny.batches(), number_of_steps=1)
    variable = weakref.ref(op.store.named_variables["tiny/logits/weights"])
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen
    del op
    gc.collect()
    assert variable() is None


def test_gradient_descent_subtracts_the_gradient_and_returns_metrics(reference):
    loss, gradients = reference
    decreases, metrics = descend()
    assert set(metrics) == {"loss", "learning_rate", "gradient_norm", "data_wait", "accuracy"}
    assert all(value.shape == (1,) for value in metrics.values())
    assert metrics["loss"][0] == pytest.approx(loss, rel=1e-6)
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    assert metrics["gradient_norm"][0] == pytest.approx(norm, rel=1e-5)
    assert metrics["learning_rate"][0] == 1.0
    assert metrics["data_wait"][0] >= 0.0
    for name, gradient in gradients.items():
        np.testing.assert_allclose(decreases[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)


def test_each_gradient_is_clipped_by_its_own_norm(reference):
    _, gradients = reference
    decreases, metrics = descend(clip_gradient_norm=0.5)
    norms = {name: np.linalg.norm(gradient) for name, gradient in gradients.items()}
    assert min(norms.values()) < 0.5 < max(norms.values()), "both kinds are needed"
    for name, gradient in gradients.items():
        clipped = gradient * min(1.0, 0.5 / max(norms[name], 1e-9))
        np.testing.assert_allclose(decreases[name], clipped, rtol=1e-3, atol=1e-6, err_msg=name)
    # The norm before clipping.
    assert metrics["gradient_norm"][0] > 1.0


def test_gradient_multipliers_apply_before_clipping(reference):
    factors = {"tiny/logits/weights": 3.0, "tiny/hidden/weights": 0.0}
    multiplied = {name: g * factors.get(name, 1.0) for name, g in reference[1].items()}
    norms = {name: np.linalg.norm(gradient) for name, gradient in multiplied.items()}
    # Only the multiplied gradient exceeds the norm.
    limit = 0.9 * norms["tiny/logits/weights"]
    assert max(norm for name, norm in norms.items() if name != "tiny/logits/weights") < limit
    decreases, _ = descend(gradient_multipliers=factors, clip_gradient_norm=float(limit))
    multiplied["tiny/logits/weights"] *= 0.9
    for name, gradient in multiplied.items():
        np.testing.assert_allclose(decreases[name], gradient, rtol=1e-3, atol=1e-5, err_msg=name)


def test_only_the_chosen_variables_are_trained():
    op = tiny.built_op(variables_to_train=lambda names: [n for n in names if "hidden" in n])
    before = tiny.values(op)
    tiny.run(op, tiny.batches(), 2)
    changed = {name for name, value in tiny.values(op).items() if (value != before[name]).any()}
    assert tuple(op.variables_to_train) == HIDDEN
    assert tuple(tiny.built_op(variables_to_train=list(HIDDEN)).variables_to_train) == HIDDEN
    slots = {f"{name}/Momentum" for name in HIDDEN}
    # Moving averages of batch norm are updated whatever is trained.
    moving = {"tiny/norm/moving_mean", "tiny/norm/moving_variance"}
    assert changed == {*HIDDEN, *slots, *moving, "global_step"}
    assert not any("logits" in name and name.endswith("Momentum") for name in before)


def test_no_variables_to_train_is_an_error_that_lists_the_variables():
    with pytest.raises(
        _checks.UserError, match="no variables to train; the network has: .*tiny/hidden/weights"
    ):
        tiny.built_op(variables_to_train=[])


def test_loss_independent_of_the_trained_variables_is_an_error():
    def loss(images, labels):
        tiny.network(images)
        return tf.reduce_mean(images)

    op = tiny.built_op(loss=loss)
    with pytest.raises(
        ValueError, match="the loss does not depend on any of the variables to train"
    ):
        tiny.run(op, tiny.batches())


def test_gradient_multiplier_of_an_untrained_variable_is_an_error():
    op = tiny.built_op(gradient_multipliers={"tiny/hiden/weights": 2.0})
    message = "'tiny/hiden/weights' is not trained; did you mean 'tiny/hidden/weights'"
    with pytest.raises(ValueError, match=message):
        tiny.run(op, tiny.batches())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"clip_gradient_norm": -1.0}, "clip_gradient_norm=-1.0 must not be negative"),
        ({"moving_average_decay": 1.5}, "moving_average_decay=1.5 must lie between"),
    ],
)
def test_arguments_out_of_range_are_errors(arguments, message):
    with pytest.raises(_checks.UserError, match=message):
        tiny.train_op(**arguments)


def test_many_steps_in_one_call_equal_single_steps_bit_for_bit():
    single, several = (tiny.built_op(loss=tiny.loss_with_dropout) for _ in range(2))
    losses = tiny.run(single, tiny.batches(), 8)["loss"].tolist()
    metrics = several.run(iter(tiny.batches()), 8)
    assert metrics["loss"].tolist() == losses
    assert metrics["accuracy"].shape == (8,)
    assert int(several.global_step.numpy()) == 8
    for name, value in tiny.values(single).items():
        np.testing.assert_array_equal(tiny.values(several)[name], value, err_msg=name)


def test_dropout_depends_on_the_seed_and_on_the_step():
    def losses(seed):
        # At a learning rate of 0 only dropout makes a difference.
        op = tiny.built_op(loss=tiny.loss_with_dropout, rate=0.0, seed=seed)
        batches = tf.data.Dataset.from_tensors(tiny.arrays(16)).repeat()
        return tiny.run(op, batches, 5)["loss"].tolist()

    first = losses(1)
    assert first != losses(2)
    assert len(set(first)) == 5


def test_batches_may_be_dictionaries_or_single_tensors():
    by_name = tiny.train_op()
    images, labels = tiny.arrays(16)
    by_name.build(dict(zip(("images", "labels"), SPEC, strict=True)))
    with by_name.store.as_default():
        loss, _ = tiny.loss_fn(images, labels)
    batch = tf.data.Dataset.from_tensors({"images": images, "labels": labels})
    assert tiny.run(by_name, batch)["loss"][0] == pytest.approx(float(loss), rel=1e-6)
    single = tiny.train_op(loss=lambda images: tf.reduce_mean(tf.square(tiny.network(images))))
    single.build(SPEC[0])
    metrics = tiny.run(single, tf.data.Dataset.from_tensors(images))
    assert metrics["loss"][0] > 0
    assert "accuracy" not in metrics


def test_moving_averages_and_learning_rate_follow_each_step():
    schedule = tf.keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.01, 0.001])
    op = tiny.built_op(moving_average_decay=0.9, rate=schedule)
    op.averages.reset()
    expected = tiny.values(op)["tiny/logits/weights"].astype(np.float64)
    iterator, rates = iter(tiny.batches()), []
    for step in range(5):
        rates += op.run(iterator)["learning_rate"].tolist()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * tiny.values(op)["tiny/logits/weights"]
    average = tiny.values(op)["tiny/logits/weights/ExponentialMovingAverage"]
    np.testing.assert_allclose(average, expected, rtol=1e-5)
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-6)


def test_building_twice_adds_no_variables():
    op = tiny.built_op()
    names = list(op.store.named_variables)
    op.build(SPEC)
    assert list(op.store.named_variables) == names


def test_store_defaults_to_the_current_one():
    store = slim.VariableStore(seed=0)
    with store.as_default():
        op = learning.create_train_op(
            tiny.loss_fn, slim.optimizers.GradientDescent(learning_rate=0.1)
        )
    assert op.store is store


def test_replicas_average_losses_gradients_and_metrics(mirrored):
    """Without batch norm two replicas equal one with the batch of both."""

    def loss(images, labels):
        logits = slim.fully_connected(images, tiny.CLASSES, activation_fn=None, scope="logits")
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        correct = tf.equal(tf.argmax(logits, -1), labels)
        return slim.losses.get_total_loss(), {
            "accuracy": tf.reduce_mean(tf.cast(correct, tf.float32))
        }

    one = tiny.built_op(loss=loss, moving_average_decay=0.5)
    two = tiny.built_op(loss=loss, moving_average_decay=0.5, strategy=mirrored)
    expected = tiny.run(one, tiny.batches(), 5)
    metrics = two.run(iter(mirrored.experimental_distribute_dataset(tiny.batches())), 5)
    for name in ("loss", "gradient_norm", "accuracy", "learning_rate"):
        np.testing.assert_allclose(metrics[name], expected[name], rtol=1e-5, err_msg=name)
    values = tiny.values(two)
    for name, value in tiny.values(one).items():
        np.testing.assert_allclose(values[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
