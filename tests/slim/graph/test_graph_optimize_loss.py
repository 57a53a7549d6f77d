"""`slim.optimize_loss`: one update of a graph, against numbers calculated by hand."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import _checks

v1 = tf.compat.v1
SGD = v1.train.GradientDescentOptimizer


@contextlib.contextmanager
def graph(step=True):
    """Opens a graph with |5 * weight|, whose gradient is 5, and a global step."""
    with tf.Graph().as_default():
        weight = v1.get_variable("weight", [], initializer=v1.constant_initializer(10.0))
        yield tf.abs(weight * 5.0), v1.train.create_global_step() if step else None


def update(loss, *fetches, steps=1):
    """Returns loss and fetches of the last of some updates, then the weight and the step."""
    variables = {v.op.name: v for v in v1.global_variables()}
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        results = [session.run([loss, *fetches]) for _ in range(steps)][-1]
        return [*results, *session.run([variables["weight"], variables["global_step"]])]


@pytest.mark.parametrize(
    "rate, optimizer",
    [
        (0.1, "SGD"),
        (0.1, "Momentum"),
        (0.1, SGD),
        (7.0, SGD(0.1)),
        (0.1, lambda rate: SGD(rate)),
        (None, lambda: SGD(0.1)),
        (np.float32(0.1), "SGD"),
        ("tensor", "SGD"),
    ],
)
def test_optimizers(rate, optimizer):
    with graph() as (loss, step):
        rate = tf.constant(0.1) if rate == "tensor" else rate
        train = slim.optimize_loss(loss, step, rate, optimizer)
        assert train.op.name == "OptimizeLoss/control_dependency"
        assert update(train) == pytest.approx([50.0, 9.5, 1])


@pytest.mark.parametrize(
    "options, weight",
    [
        ({"clip_gradients": 2.0}, 9.8),
        ({"clip_gradients": 2}, 9.8),
        ({"clip_gradients": lambda pairs: [(g * 2, v) for g, v in pairs]}, 9.0),
        ({"gradient_multipliers": {"weight:0": 3.0}}, 8.5),
        ({"gradient_multipliers": {"weight:0": 3.0}, "clip_gradients": 3.0}, 9.7),
        ({"learning_rate_decay_fn": lambda rate, step: rate * tf.cast(step + 2, tf.float32)}, 9.0),
        ({"gradient_noise_scale": 0.0}, 9.5),
        ({"variables": []}, None),
        ({"increment_global_step": False}, 9.5),
        ({"clip_gradients": slim.adaptive_clipping_fn(static_max_norm=1.0)}, 9.9),
    ],
)
def test_options(options, weight):
    with graph() as (loss, step):
        if weight is None:
            with pytest.raises(ValueError, match="No variables to optimize"):
                slim.optimize_loss(loss, step, 0.1, "SGD", **options)
            return
        train = slim.optimize_loss(loss, step, 0.1, "SGD", **options)
        steps = int(options.get("increment_global_step", True))
        assert update(train) == pytest.approx([50.0, weight, steps], rel=1e-5)


def test_noise_and_multipliers_of_dense_sparse_and_absent_gradients():
    with graph() as (loss, step):
        table = v1.get_variable("table", [4, 2], initializer=v1.ones_initializer())
        unused = v1.get_variable("unused", [])
        loss += tf.reduce_sum(tf.gather(table, [1, 3]))
        train = slim.optimize_loss(
            loss,
            step,
            1.0,
            "SGD",
            gradient_multipliers={table: 2.0, unused: 1.0},
            summaries=["gradients", "gradient_norm"],
        )
        noisy = slim.optimize_loss(loss, None, 0.0, "SGD", gradient_noise_scale=10.0, name="noisy")
        with tf.control_dependencies([train]):
            result = tf.identity(table)
        # The read may precede the update of this variable, so the second run reads the first's.
        values = update(train, result, steps=2)[1]
        update(noisy)
        tags = {op.op.name for op in v1.get_collection(v1.GraphKeys.SUMMARIES)}
    assert sorted(set(values.ravel().tolist())) in ([-1.0, 1.0], [-3.0, 1.0])
    assert "OptimizeLoss/gradients/table_0" in tags
    assert "OptimizeLoss/gradient_norm/weight_0" in tags
    assert "OptimizeLoss/global_norm/gradient_norm" in tags
    assert not {tag for tag in tags if "unused" in tag and not tag.startswith("noisy")}


def test_noise_changes_the_update():
    with graph() as (loss, step):
        v1.set_random_seed(1)
        train = slim.optimize_loss(loss, step, 0.1, "SGD", gradient_noise_scale=10.0)
        weight = update(train)[1]
    assert abs(weight - 9.5) > 1e-3
    assert abs(weight - 9.5) <= 0.1 * 2 * 10.0  # truncated at two standard deviations


@pytest.mark.parametrize("in_collection", [False, True])
def test_update_ops_run_first(in_collection):
    with graph() as (loss, step):
        average = v1.get_variable("average", [], initializer=v1.zeros_initializer())
        operation = average.assign_add(1.0)
        if in_collection:
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, operation)
        options = {} if in_collection else {"update_ops": [operation]}
        train = slim.optimize_loss(loss, step, 0.1, "SGD", **options)
        with tf.control_dependencies([train]):
            result = average.read_value()
        assert update(train, result)[1] == 1.0


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, {"loss", "global_norm/gradient_norm"}),
        ({"summaries": []}, set()),
        (
            {"learning_rate_decay_fn": lambda rate, step: rate * 0.5, "clip_gradients": 1.0},
            {
                "loss",
                "learning_rate_1",  # the variable has that name
                "global_norm/gradient_norm",
                "global_norm/clipped_gradient_norm",
            },
        ),
    ],
)
def test_summaries(options, expected):
    with graph() as (loss, step):
        slim.optimize_loss(loss, step, 0.1, "SGD", name="Train", **options)
        summaries = v1.get_collection(v1.GraphKeys.SUMMARIES)
        assert {op.op.name.removeprefix("Train/") for op in summaries} == expected


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"optimizer": "Adm"}, "optimizer='Adm' is not known; did you mean 'Adam'"),
        ({"optimizer": object()}, "is not an optimizer of a graph. Allowed: Adagrad, Adam, Ftrl"),
        ({"optimizer": lambda rate: None}, "such as tf.compat.v1.train.MomentumOptimizer"),
        (
            {"optimizer": slim.optimizers.GradientDescent},
            "slim's and Keras' optimizers train eager",
        ),
        ({"optimizer": "SGD", "learning_rate": None}, "'SGD' needs a learning rate, but"),
        ({"learning_rate": -0.1}, "learning_rate=-0.1 must not be negative"),
        ({"learning_rate": "0.1"}, "learning_rate='0.1' must be a number or a scalar tensor"),
        ({"summaries": ["losses"]}, "summary='losses' is not known; did you mean 'loss'"),
        ({"clip_gradients": "1"}, "clip_gradients='1' must be a number or a function of"),
        ({"loss": [[1.0]]}, "scalar"),
        ({"loss": None}, "None values not supported"),
    ],
)
def test_refused_arguments(changes, message):
    with graph() as (loss, step):
        arguments = {"loss": loss, "global_step": step, "learning_rate": 0.1, "optimizer": "SGD"}
        with pytest.raises(ValueError, match=message):
            slim.optimize_loss(**arguments | changes)


def test_decay_without_a_global_step():
    with graph(step=False) as (loss, _):
        with pytest.raises(ValueError, match="global_step is required for learning_rate_decay_fn"):
            slim.optimize_loss(loss, None, 0.1, "SGD", learning_rate_decay_fn=lambda r, s: r)


def test_eager_code_is_referred_to_create_train_op():
    message = (
        "adds ops to a tf.Graph, but this code runs eagerly. Write: slim.learning.create_train"
    )
    with pytest.raises(_checks.UserError, match=f"slim.optimize_loss {message}"):
        slim.optimize_loss(tf.constant(1.0), None, 0.1, "SGD")
    with pytest.raises(_checks.UserError, match=f"slim.adaptive_clipping_fn {message}"):
        slim.adaptive_clipping_fn()([])


@pytest.mark.parametrize("with_step", [False, True])
def test_adaptive_clipping_equals_its_formula(with_step):
    norms = np.array([1.0, 2.0, 1.5, 1.0, 300.0, 2.0, 300.0])
    mean = square = 0.0
    expected = []
    for i, norm in enumerate(norms):
        decay = min(0.8, i / (i + 1)) if with_step else 0.8
        log = np.log(norm + 1e-8)
        mean, square = (
            average + (1 - decay) * (value - average)
            for average, value in ((mean, log), (square, log**2))
        )
        limit = np.exp(mean + 1.5 * np.sqrt(max(1e-8, square - mean**2)))
        expected.append(norm if norm < limit else np.exp(mean))
    with tf.Graph().as_default(), v1.Session() as session:
        norm, step = v1.placeholder(tf.float32, []), v1.placeholder(tf.int64, [])
        sparse = tf.IndexedSlices(norm[None] * 0.8, [0], [3])
        clip = slim.adaptive_clipping_fn(
            1.5, decay=0.8, global_step=step if with_step else None, report_summary=True
        )
        (dense, a), (clipped, b), (absent, _) = clip(
            [(norm * 0.6, "a"), (sparse, "b"), (None, "c")]
        )
        assert (a, b, absent) == ("a", "b", None)
        names = [v.op.name for v in v1.global_variables()]
        assert names == ["AdaptiveMaxNorm/mean", "AdaptiveMaxNorm/sq_mean"]
        assert not v1.trainable_variables()
        (summary,) = v1.get_collection(v1.GraphKeys.SUMMARIES)
        assert summary.op.name == "global_norm/adaptive_max_gradient_norm"
        session.run(v1.global_variables_initializer())
        results = [
            session.run([dense, clipped.values], {norm: value, step: i})
            for i, value in enumerate(norms)
        ]
    np.testing.assert_allclose([r[0] / 0.6 for r in results], expected, rtol=1e-4)
    np.testing.assert_allclose([r[1][0] / 0.8 for r in results], expected, rtol=1e-4)
