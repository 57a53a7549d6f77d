"""The seven optimizers equal TF-Slim's runs and TensorFlow 1's classes, slots included."""

import gzip
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import nets_factory
from slim import optimizers
from tests.conformance import reference

# Computed as described in tests/conformance/README.md.
TF_SLIM = json.loads(
    gzip.decompress(
        (pathlib.Path(__file__).parent / "goldens/optimizers_lenet.json.gz").read_bytes()
    )
)

# With the default flags of TF-Slim's training script.
OPTIMIZERS = {
    "adadelta": lambda rate: optimizers.Adadelta(learning_rate=rate, rho=0.95, epsilon=1.0),
    "adagrad": lambda rate: optimizers.Adagrad(learning_rate=rate, initial_accumulator_value=0.1),
    "adam": lambda rate: optimizers.Adam(learning_rate=rate, epsilon=1.0),
    "ftrl": lambda rate: optimizers.Ftrl(learning_rate=rate),
    "momentum": lambda rate: optimizers.Momentum(learning_rate=rate, momentum=0.9),
    "rmsprop": lambda rate: optimizers.RMSProp(
        learning_rate=rate, decay=0.9, momentum=0.9, epsilon=1.0
    ),
    "sgd": lambda rate: optimizers.GradientDescent(learning_rate=rate),
}


def test_tf_slim_has_exactly_these_optimizers():
    assert set(TF_SLIM) == set(OPTIMIZERS)


@pytest.fixture(scope="module")
def lenet():
    """Returns a store with LeNet, its initial values, and a function for loss and gradients."""
    network = nets_factory.get_network_fn("lenet", 10, 4e-5, is_training=True)
    store = slim.VariableStore(seed=0)
    store.build(lambda x: network(x, dropout_keep_prob=1.0), tf.TensorSpec([8, 28, 28, 1]))
    variables = dict(store.named_variables)
    initial_values = {
        name: tf.constant(reference.weights(name, variable.shape.as_list()))
        for name, variable in variables.items()
    }

    @tf.function(autograph=False)
    def loss_and_gradients(images, labels):
        with store.as_default(), tf.GradientTape() as tape:
            logits, _ = network(images, dropout_keep_prob=1.0)
            slim.losses.softmax_cross_entropy(logits, tf.one_hot(labels, 10))
            loss = slim.losses.get_total_loss()
        return loss, tape.gradient(loss, variables)

    return store, initial_values, loss_and_gradients


def lenet_losses(lenet, optimizer):
    """Returns the losses of LeNet before each of 10 steps, and the names of the slots."""
    store, initial_values, loss_and_gradients = lenet
    variables = {name: store.named_variable(name) for name in initial_values}
    for name, variable in variables.items():
        variable.assign(initial_values[name])
    names = set(store.named_variables)
    optimizer.build(store, variables)

    @tf.function(autograph=False)
    def apply(gradients, step):
        optimizer.apply(store, gradients, optimizer.learning_rate_at(step))

    losses = []
    for step in range(10):
        random = np.random.RandomState(100 + step)
        images = random.uniform(-1, 1, [8, 28, 28, 1]).astype(np.float32)
        loss, gradients = loss_and_gradients(images, random.randint(0, 10, 8))
        apply(gradients, tf.constant(step, tf.int64))
        losses.append(float(loss))
    return losses, set(store.named_variables) - names


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_losses_and_slots_equal_those_of_tf_slim(name, lenet):
    rate = tf.keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.94, staircase=True)
    losses, slots = lenet_losses(lenet, OPTIMIZERS[name](rate))
    np.testing.assert_allclose(losses, TF_SLIM[name]["loss"][:10], rtol=1e-3)
    assert sorted(slots) == sorted(TF_SLIM[name]["slot_variables"])


STEPS = 100
START = {"w": np.array([[1.0, -2.0], [0.5, 3.0]], np.float32), "b": np.array([0.1], np.float32)}


def gradients_at(step, values):
    """Returns the noisy gradients of a quadratic, equal for both implementations."""
    noise = np.random.RandomState(step)
    return {
        k: (v + 0.3 * noise.standard_normal(v.shape)).astype(np.float32) for k, v in values.items()
    }


def ours(optimizer, steps):
    store = slim.VariableStore(seed=0)
    with store.as_default():
        for name, value in START.items():
            slim.model_variable(name, initializer=value)
    trained = dict(store.named_variables)
    optimizer.build(store, trained)
    apply = tf.function(
        lambda gradients: optimizer.apply(
            store, gradients, optimizer.learning_rate_at(tf.constant(0))
        ),
        autograph=False,
    )
    for step in range(steps):
        apply(gradients_at(step, {k: v.numpy() for k, v in trained.items()}))
    return {name: variable.numpy() for name, variable in store.named_variables.items()}


def tensorflow_1(optimizer, steps):
    """Returns all variables after the same steps in a TensorFlow 1 session."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {
            k: v1.get_variable(k, initializer=v, use_resource=True) for k, v in START.items()
        }
        holders = {k: v1.placeholder(tf.float32, v.shape) for k, v in START.items()}
        update = optimizer.apply_gradients([(holders[k], variables[k]) for k in START])
        session.run(v1.global_variables_initializer())
        for step in range(steps):
            gradients = gradients_at(step, session.run(variables))
            session.run(update, {holders[k]: g for k, g in gradients.items()})
        return session.run({v.op.name: v for v in v1.global_variables()})


V1 = tf.compat.v1.train
ORACLES = {
    "sgd": (
        optimizers.GradientDescent(learning_rate=0.05),
        lambda: V1.GradientDescentOptimizer(0.05),
    ),
    "momentum": (optimizers.Momentum(learning_rate=0.02), lambda: V1.MomentumOptimizer(0.02, 0.9)),
    "nesterov": (
        optimizers.Momentum(learning_rate=0.02, momentum=0.8, use_nesterov=True),
        lambda: V1.MomentumOptimizer(0.02, 0.8, use_nesterov=True),
    ),
    "rmsprop": (optimizers.RMSProp(learning_rate=0.01), lambda: V1.RMSPropOptimizer(0.01)),
    "rmsprop_momentum": (
        optimizers.RMSProp(learning_rate=0.01, decay=0.8, momentum=0.5, epsilon=0.1),
        lambda: V1.RMSPropOptimizer(0.01, decay=0.8, momentum=0.5, epsilon=0.1),
    ),
    "adam": (optimizers.Adam(learning_rate=0.01), lambda: V1.AdamOptimizer(0.01)),
    "adam_betas": (
        optimizers.Adam(learning_rate=0.01, beta1=0.5, beta2=0.9, epsilon=0.1),
        lambda: V1.AdamOptimizer(0.01, 0.5, 0.9, 0.1),
    ),
    "adagrad": (optimizers.Adagrad(learning_rate=0.1), lambda: V1.AdagradOptimizer(0.1)),
    "adadelta": (
        optimizers.Adadelta(learning_rate=1.0, rho=0.9, epsilon=1e-4),
        lambda: V1.AdadeltaOptimizer(1.0, rho=0.9, epsilon=1e-4),
    ),
    "ftrl": (optimizers.Ftrl(learning_rate=0.1), lambda: V1.FtrlOptimizer(0.1)),
    "ftrl_penalties": (
        optimizers.Ftrl(
            learning_rate=0.1, learning_rate_power=-0.6, initial_accumulator_value=0.5,
            l1=0.02, l2=0.1,
        ),
        lambda: V1.FtrlOptimizer(
            0.1, learning_rate_power=-0.6, initial_accumulator_value=0.5,
            l1_regularization_strength=0.02, l2_regularization_strength=0.1,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ORACLES)
def test_updates_equal_those_of_tensorflow_1(name):
    optimizer, oracle = ORACLES[name]
    mine, expected = ours(optimizer, STEPS), tensorflow_1(oracle(), STEPS)
    assert set(mine) == set(expected)
    assert np.abs(mine["w"] - START["w"]).max() > 0.1, "nothing was learned"
    for key, value in expected.items():
        np.testing.assert_allclose(mine[key], value, rtol=1e-4, atol=1e-6, err_msg=key)


def test_learning_rate_is_a_number_or_a_function_of_the_step():
    constant = optimizers.GradientDescent(learning_rate=0.1)
    falling = optimizers.GradientDescent(learning_rate=lambda step: 1.0 / tf.cast(step, tf.float64))
    assert float(constant.learning_rate_at(tf.constant(7))) == pytest.approx(0.1)
    assert float(falling.learning_rate_at(tf.constant(4, tf.int64))) == 0.25
    assert falling.learning_rate_at(tf.constant(4, tf.int64)).dtype == tf.float32


def test_building_twice_keeps_the_slots():
    store = slim.VariableStore(seed=0)
    with store.as_default():
        slim.model_variable("w", initializer=np.ones([2], np.float32))
    adam = optimizers.Adam(learning_rate=0.1)
    adam.build(store, {"w": store.named_variable("w")})
    store.named_variable("w/Adam").assign([5.0, 6.0])
    names = list(store.named_variables)
    adam.build(store, {"w": store.named_variable("w")})
    assert (
        list(store.named_variables)
        == names
        == ["w", "w/Adam", "w/Adam_1", "beta1_power", "beta2_power"]
    )
    assert store.named_variable("w/Adam").numpy().tolist() == [5.0, 6.0]


def test_slots_are_neither_trainable_nor_model_variables():
    store = slim.VariableStore(seed=0)
    with store.as_default():
        slim.model_variable("w", initializer=np.ones([2], np.float32))
    optimizers.RMSProp(learning_rate=0.1).build(store, {"w": store.named_variable("w")})
    for name in ("w/RMSProp", "w/RMSProp_1"):
        assert not store.records[name].model
        assert not store.records[name].trainable


def test_only_the_learning_rate_may_be_positional():
    assert optimizers.Momentum(0.1) == optimizers.Momentum(learning_rate=0.1)
    with pytest.raises(TypeError, match="positional argument"):
        optimizers.Momentum(0.1, 0.9)


def test_custom_optimizer_without_update_is_an_error():
    class Lazy(optimizers.Optimizer):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy must define update\(\)"):
        ours(Lazy(learning_rate=0.1), 1)
