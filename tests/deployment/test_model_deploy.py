"""TF-Slim's `model_deploy` in a `tf.Graph`; the strategies are in test_strategies.py."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from deployment import model_deploy
from slim import _checks

v1 = tf.compat.v1
CPUS = {"num_clones": 2, "clone_on_cpu": True}
# Options -> inputs, optimizer, variables of two variables, and the clones.
DEVICES = [
    ({}, "CPU:0", ["CPU:0", "CPU:0"], ["GPU:0"]),
    ({"num_clones": 2}, "CPU:0", ["CPU:0", "CPU:0"], ["GPU:0", "GPU:1"]),
    (CPUS, "CPU:0", ["CPU:0", "CPU:0"], ["CPU:0", "CPU:0"]),
    (
        {"num_clones": 2, "num_replicas": 3, "num_ps_tasks": 2, "worker_job_name": "w"},
        "/job:w/device:CPU:0",
        ["/job:ps/task:0/device:CPU:0", "/job:ps/task:1/device:CPU:0"],
        ["/job:w/device:GPU:0", "/job:w/device:GPU:1"],
    ),
]


def same(device, expected):
    return v1.DeviceSpec.from_string(device) == v1.DeviceSpec.from_string(
        expected if expected.startswith("/") else f"/device:{expected}"
    )


@pytest.mark.parametrize("options, host, variables, clones", DEVICES)
def test_devices_are_those_of_tf_slim(options, host, variables, clones):
    config = model_deploy.DeploymentConfig(**options)
    assert same(config.inputs_device(), host)
    assert same(config.optimizer_device(), host)
    assert all(map(same, map(config.clone_device, range(len(clones))), clones))
    scopes = [config.clone_scope(index) for index in range(len(clones))]
    assert scopes == (["clone_0", "clone_1"] if len(clones) > 1 else [""])
    with tf.Graph().as_default(), v1.device(config.variables_device()):
        placed = [v1.get_variable(name, [1]).device for name in "ab"]
        other = tf.zeros([1])
    assert all(map(same, placed, variables))
    caching = config.caching_device()
    assert caching is None if "num_ps_tasks" not in options else caching(other) == other.device
    with pytest.raises(_checks.UserError, match="must be below num_clones"):
        config.clone_scope(len(clones))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_replicas": 2}, "num_replicas=2 needs parameter servers, but num_ps_tasks=0"),
        ({"num_ps_tasks": 1, "ps_job_name": ""}, "ps_job_name is empty"),
        ({"replica_id": 1}, "replica_id=1 must be below num_replicas=1"),
    ],
)
def test_impossible_deployments_are_errors(options, message):
    with pytest.raises(_checks.UserError, match=message):
        model_deploy.DeploymentConfig(**options)


def regression(x, y):
    """A linear model with a penalty and a summary, whose loss is 0.5 (a x - y)^2."""
    slope = slim.model_variable(
        "slope", [], initializer=tf.ones_initializer(), regularizer=slim.l2_regularizer(0.2)
    )
    slim.losses.mean_squared_error(slope * x, y)
    return slope * x


def test_clones_share_variables_and_add_their_gradients():
    x, y = np.array([1.0, 2.0], np.float32), np.array([3.0, 0.0], np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        model = model_deploy.deploy(
            model_deploy.DeploymentConfig(**CPUS),
            regression,
            (x,),
            {"y": y},
            v1.train.GradientDescentOptimizer(0.1),
            summarize_gradients=True,
        )
        assert [clone.scope for clone in model.clones] == ["clone_0/", "clone_1/"]
        assert [variable.op.name for variable in slim.get_model_variables()] == ["slope"]
        session.run(v1.global_variables_initializer())
        # Mean of (1 - 3)^2 and (2 - 0)^2, once; the penalty 0.2 / 2, once.
        assert session.run(model.total_loss) == pytest.approx(4.1)
        session.run(model.train_op)
        # Its gradient: the mean of 2 (-2) 1 and 2 2 2, and 0.2.
        (slope,) = session.run(slim.get_model_variables())
        assert slope == pytest.approx(1 - 0.1 * 2.2)
        assert session.run(slim.get_global_step()) == 1
        summary = v1.Summary.FromString(session.run(model.summary_op))
        tags = {value.tag for value in summary.value}
        assert {"total_loss_1", "clone_0/Losses/clone_0//clone_loss", "slope/gradient_norm"} <= tags


def test_without_an_optimizer_the_model_is_evaluated():
    with tf.Graph().as_default():
        config = model_deploy.DeploymentConfig()
        model = model_deploy.deploy(config, regression, ([1.0], [3.0]))
        assert model.train_op is None
        assert model.total_loss.op.name == "total_loss"
        assert model_deploy.deploy(config, lambda: 5).clones[0].outputs == 5
    with tf.Graph().as_default():
        model = model_deploy.deploy(config, lambda: 5)
        assert model == (None, None, None, [(5, "", "/device:GPU:0")])
