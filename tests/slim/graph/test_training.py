"""The training step of a loss tensor, against gradients computed by hand; monitored training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import learning, training
from tests.slim.graph import line_fit

v1 = tf.compat.v1
BY_SLOPE, BY_OFFSET = line_fit.gradients()


@pytest.fixture(autouse=True)
def _in_a_graph():
    with tf.Graph().as_default():
        yield


def descend(create=learning.create_train_op, **arguments):
    """Returns what one step of descent at rate 1 subtracts from slope and offset."""
    optimizer = v1.train.GradientDescentOptimizer(1.0)
    train_op = create(line_fit.build(), optimizer, **arguments)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        session.run(train_op)
        return [-value for value in session.run(v1.trainable_variables())]


def clipped(value):
    return float(np.clip(value, -10.0, 10.0))


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({}, (BY_SLOPE, BY_OFFSET)),
        ({"clip_gradient_norm": 10.0}, (clipped(BY_SLOPE), BY_OFFSET)),
        ({"gradient_multipliers": {"line/slope": 0.5}}, (0.5 * BY_SLOPE, BY_OFFSET)),
        (
            {"gradient_multipliers": {"line/offset": 2}, "clip_gradient_norm": 10.0},
            (clipped(BY_SLOPE), clipped(2 * BY_OFFSET)),
        ),
    ],
)
def test_one_step_equals_the_gradients_computed_by_hand(arguments, expected):
    assert descend(**arguments) == pytest.approx(expected)


def test_multipliers_may_be_tensors_by_variable():
    def transform(pairs):
        factors = {variable: tf.constant(3.0) for _, variable in pairs}
        return training.multiply_gradients(pairs, factors)

    actual = descend(training.create_train_op, transform_grads_fn=transform)
    assert actual == pytest.approx((3 * BY_SLOPE, 3 * BY_OFFSET))


def test_clipping_as_a_function():
    clip = training.clip_gradient_norms_fn(10.0)
    actual = descend(training.create_train_op, transform_grads_fn=clip)
    assert actual == pytest.approx((clipped(BY_SLOPE), BY_OFFSET))


@pytest.mark.parametrize(
    "own, same",
    [
        (slim.optimizers.Momentum(0.01, momentum=0.9), v1.train.MomentumOptimizer(0.01, 0.9)),
        (slim.optimizers.Adam(0.1), v1.train.AdamOptimizer(0.1)),
    ],
    ids=["momentum", "adam"],
)
def test_slims_optimizers_equal_those_of_tensorflow_1(own, same):
    def train(optimizer):
        with tf.Graph().as_default(), v1.Session() as session:
            loss = line_fit.build()
            train_op = learning.create_train_op(loss, optimizer, clip_gradient_norm=8.0)
            session.run(v1.global_variables_initializer())
            losses = [session.run(train_op) for _ in range(4)]
            return losses, {each.op.name: session.run(each) for each in v1.global_variables()}

    losses, values = train(own)
    expected_losses, expected = train(same)
    assert losses == pytest.approx(expected_losses)
    assert values == pytest.approx(expected)
    assert values["global_step"] == 4


@pytest.mark.parametrize(
    "loss, message",
    [
        (lambda variable: variable**2, "'line' is a reference variable, which slim.optimizers can"),
        (lambda variable: tf.constant(1.0), "the loss does not depend on any of the variables to"),
    ],
)
def test_what_slims_optimizers_cannot_update_is_an_error(loss, message):
    variable = v1.get_variable("line", [], use_resource=False)
    with pytest.raises(ValueError, match=message):
        learning.create_train_op(loss(variable), slim.optimizers.Adam(0.1))


def test_only_variables_to_train_change():
    loss = line_fit.build()
    slope, _ = v1.trainable_variables()
    optimizer = v1.train.MomentumOptimizer(0.1, 0.9)
    learning.create_train_op(loss, optimizer, variables_to_train=[slope])
    names = [variable.op.name for variable in v1.global_variables()]
    assert names == ["line/slope", "line/offset", "global_step", "line/slope/Momentum"]


@pytest.mark.parametrize("update_ops, expected", [(None, 3.0), ([], 0.0)])
def test_update_operations_run_before_the_loss_is_read(update_ops, expected):
    loss = line_fit.build()
    count = v1.get_variable("count", [], initializer=v1.zeros_initializer(), trainable=False)
    v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, count.assign_add(1.0).op)
    optimizer = v1.train.GradientDescentOptimizer(0.1)
    train_op = learning.create_train_op(loss, optimizer, update_ops=update_ops)
    assert train_op in v1.get_collection(v1.GraphKeys.TRAIN_OP)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        losses = [session.run(train_op) for _ in range(3)]
        assert losses == pytest.approx(line_fit.descend(3, 0.1)[0], rel=1e-4)
        assert session.run([count, v1.train.get_global_step()]) == [expected, 3]


def test_without_a_global_step_none_is_counted():
    optimizer = v1.train.GradientDescentOptimizer(0.1)
    learning.create_train_op(line_fit.build(), optimizer, global_step=None)
    assert v1.train.get_global_step() is None


def test_gradients_are_clipped_and_multiplied_as_lists():
    variable = v1.get_variable("table", [3, 2])
    unused = v1.get_variable("unused", [1])
    slices = tf.IndexedSlices(tf.constant([[3.0, 4.0]]), tf.constant([1]), tf.constant([3, 2]))
    pairs = [(slices, variable), (None, unused)]
    (half, same), (nothing, _) = learning.clip_gradient_norms(pairs, 2.5)
    [(double, _), _] = learning.multiply_gradients(pairs, {"table": 2.0})
    with v1.Session() as session:
        np.testing.assert_allclose(session.run(half.values), [[1.5, 2.0]])
        np.testing.assert_allclose(session.run(double.values), [[6.0, 8.0]])
    assert same is variable
    assert nothing is None
    assert half.indices is slices.indices


@pytest.mark.parametrize(
    "pairs, multipliers, message",
    [
        (tuple, {"line/slope": 1.0}, r"grads_and_vars is a tuple. Pass a list of \(gradient,"),
        (list, {}, "gradient_multipliers={} must be a dict with at least one factor"),
        (list, 3, "gradient_multipliers=3 must be a dict"),
        (list, {"line/slope": 1.0}, "the loss does not depend on 'line/slope'"),
    ],
)
def test_wrong_multipliers_are_errors(pairs, multipliers, message):
    line_fit.build()
    with pytest.raises(ValueError, match=message):
        learning.multiply_gradients(
            pairs([(None, variable) for variable in v1.trainable_variables()]), multipliers
        )


@pytest.mark.parametrize("module, separator", [(learning, "/"), (training, "_")])
def test_summaries_of_gradients(module, separator):
    line_fit.build()
    slope, offset = v1.trainable_variables()
    summaries = module.add_gradients_summaries([(tf.constant(-3.0), slope), (None, offset)])
    with v1.Session() as session:
        parsed = [v1.Summary.FromString(each).value[0] for each in session.run(summaries)]
    assert [each.tag for each in parsed] == [
        f"line/slope{separator}gradient",
        f"line/slope{separator}gradient_norm",
    ]
    assert parsed[1].simple_value == 3.0


def wrong_arguments():
    loss = line_fit.build()
    fixed = v1.get_variable("fixed", [], trainable=False)
    descent = v1.train.GradientDescentOptimizer(0.1)
    keras_adam = keras.optimizers.Adam(0.1)
    yield (
        (loss, keras_adam),
        {},
        r"TensorFlow 1 or slim.optimizers: tf.compat.v1.train.AdamOptimizer\(",
    )
    yield (loss, "sgd"), {}, "optimizer is 'sgd', but a loss tensor of a tf.Graph needs one"
    yield (lambda x: x, descent), {}, r"total_loss is a function \(<lambda>\), but in a tf.Graph"
    yield (loss, descent), {"seed": 1}, "create_train_op has no argument 'seed' in a tf.Graph"
    chosen = {"variables_to_train": [fixed]}
    yield (loss, descent), chosen, "variables_to_train: 'fixed' is not trainable. Trainable"
    chosen = {"variables_to_train": []}
    yield (loss, descent), chosen, "no variables to train; the graph has: line/slope"


def test_wrong_arguments_are_errors_that_name_the_line_to_write():
    for args, kwargs, message in wrong_arguments():
        with pytest.raises(ValueError, match=message):
            learning.create_train_op(*args, **kwargs)


def test_a_loss_that_is_not_finite_is_an_error_of_the_step():
    loss = line_fit.build() / 0.0
    optimizer = v1.train.GradientDescentOptimizer(0.1)
    checked = learning.create_train_op(loss, optimizer)
    unchecked = learning.create_train_op(loss, optimizer, check_numerics=False)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        assert np.isinf(session.run(unchecked))
        with pytest.raises(tf.errors.InvalidArgumentError, match="total_loss is NaN or infinite"):
            session.run(checked)


def test_monitored_training_resumes_from_its_directory(tmp_path):
    losses = []
    for last in (4, 7):
        with tf.Graph().as_default():
            optimizer = v1.train.GradientDescentOptimizer(0.1)
            train_op = training.create_train_op(line_fit.build(), optimizer)
            hooks = [v1.train.StopAtStepHook(last_step=last)]
            losses.append(training.train(train_op, str(tmp_path), hooks=hooks))
    expected, _, _ = line_fit.descend(7, 0.1)
    assert losses == pytest.approx([expected[3], expected[6]], rel=1e-4)


@pytest.mark.parametrize("name", ["save_summaries_steps", "save_checkpoint_secs"])
def test_monitored_training_without_a_directory_writes_nothing(name):
    train_op = training.create_train_op(line_fit.build(), v1.train.GradientDescentOptimizer(0.1))
    others = {"save_summaries_steps": None, "save_checkpoint_secs": None}
    with pytest.raises(ValueError, match=f"logdir=None, but {name}=5 writes there. Pass a logdir"):
        training.train(train_op, None, **{**others, name: 5})
    hooks = [v1.train.StopAtStepHook(num_steps=1)]
    assert training.train(train_op, None, hooks=hooks, **others) == pytest.approx(21.0)
