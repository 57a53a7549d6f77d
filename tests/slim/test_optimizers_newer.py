"""AdamW, Lamb, Lion, Muon and Adafactor equal those of Keras and work in a training step."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import checkpoints, optimizers
from tests.slim import tiny

KERAS = tf.keras.optimizers
STEPS = 100
RANDOM = np.random.RandomState(0)
START = {
    name: RANDOM.standard_normal(shape).astype(np.float32)
    for name, shape in {"wide": [3, 5], "tall": [6, 4], "head": [4, 3], "bias": [3]}.items()
}
ORACLES = {
    "adamw": (optimizers.AdamW(learning_rate=0.01), lambda: KERAS.AdamW(0.01)),
    "adamw_numbers": (
        optimizers.AdamW(learning_rate=0.01, beta1=0.8, beta2=0.9, epsilon=0.1, weight_decay=0.5),
        lambda: KERAS.AdamW(0.01, beta_1=0.8, beta_2=0.9, epsilon=0.1, weight_decay=0.5),
    ),
    "lamb": (optimizers.Lamb(learning_rate=0.01), lambda: KERAS.Lamb(0.01)),
    "lamb_decay": (
        optimizers.Lamb(learning_rate=0.01, weight_decay=0.1, epsilon=0.01),
        lambda: KERAS.Lamb(0.01, weight_decay=0.1, epsilon=0.01),
    ),
    "lion": (optimizers.Lion(learning_rate=0.01), lambda: KERAS.Lion(0.01)),
    "lion_numbers": (
        optimizers.Lion(learning_rate=0.01, beta1=0.7, beta2=0.8, weight_decay=0.3),
        lambda: KERAS.Lion(0.01, beta_1=0.7, beta_2=0.8, weight_decay=0.3),
    ),
    "muon": (
        optimizers.Muon(learning_rate=0.01, exclude_scopes=("head",)),
        lambda: KERAS.Muon(0.01, exclude_layers=["head"]),
    ),
    "muon_momentum": (
        optimizers.Muon(learning_rate=0.01, momentum=0.5, weight_decay=0.1),
        lambda: KERAS.Muon(0.01, momentum=0.5, weight_decay=0.1, adam_weight_decay=0.1),
    ),
    "adafactor": (optimizers.Adafactor(learning_rate=0.02), lambda: KERAS.Adafactor(0.02)),
    "adafactor_numbers": (
        optimizers.Adafactor(
            learning_rate=0.5, beta2_decay=-0.6, clip_threshold=0.5, weight_decay=0.1
        ),
        lambda: KERAS.Adafactor(0.5, beta_2_decay=-0.6, clip_threshold=0.5, weight_decay=0.1),
    ),
}
SLOTS = {
    "adamw": {"wide/AdamW_momentum", "wide/AdamW_velocity"},
    "lamb": {"wide/Lamb_momentum", "wide/Lamb_velocity"},
    "lion": {"wide/Lion_momentum"},
    "muon": {"wide/Muon_momentum"},
    "adafactor": {"wide/Adafactor_rows", "wide/Adafactor_columns"},
}


def gradient(value, noise):
    """Returns the noisy gradient of a quadratic."""
    return value + 0.3 * noise


def noises(steps, start):
    random = np.random.RandomState(1)
    return {
        name: tf.constant(random.standard_normal([steps, *value.shape]), tf.float32)
        for name, value in start.items()
    }


def ours(optimizer, steps, start):
    store = slim.VariableStore(seed=0)
    with store.as_default():
        for name, value in start.items():
            slim.model_variable(name, initializer=value)
    trained = dict(store.named_variables)
    optimizer.build(store, trained)
    noise = noises(steps, start)

    @tf.function(autograph=False)
    def step(number):
        gradients = {n: gradient(v, noise[n][number]) for n, v in trained.items()}
        optimizer.apply(store, gradients, optimizer.learning_rate_at(number))

    for number in range(steps):
        step(tf.constant(number, tf.int64))
    return {name: variable.numpy() for name, variable in store.named_variables.items()}


def of_keras(optimizer, steps, start):
    variables = {n: tf.keras.Variable(v, name=n) for n, v in start.items()}
    optimizer.exclude_from_weight_decay(var_list=[v for v in variables.values() if v.ndim < 2])
    optimizer.build(list(variables.values()))
    noise = noises(steps, start)

    @tf.function(autograph=False)
    def step(number):
        gradients = [gradient(v.value, noise[n][number]) for n, v in variables.items()]
        optimizer.apply(gradients, list(variables.values()))

    for number in range(steps):
        step(tf.constant(number, tf.int64))
    return {name: variable.numpy() for name, variable in variables.items()}


@pytest.mark.parametrize("name", ORACLES)
def test_updates_equal_those_of_keras(name):
    optimizer, oracle = ORACLES[name]
    mine, expected = ours(optimizer, STEPS, START), of_keras(oracle(), STEPS, START)
    for key, value in expected.items():
        assert np.abs(value - START[key]).max() > 0.1, "nothing was learned"
        np.testing.assert_allclose(mine[key], value, rtol=1e-4, atol=1e-5, err_msg=key)
    assert {n for n in mine if n.startswith("wide/")} == SLOTS[name.partition("_")[0]]


def test_learning_rate_may_be_a_keras_schedule():
    schedule = KERAS.schedules.CosineDecay(0.05, 25)
    mine = ours(optimizers.AdamW(learning_rate=schedule), 50, START)
    expected = of_keras(KERAS.AdamW(schedule), 50, START)
    np.testing.assert_allclose(mine["wide"], expected["wide"], rtol=1e-4, atol=1e-5)


def test_muon_treats_a_kernel_as_a_matrix():
    kernel = START["tall"].reshape([1, 3, 2, 4])
    noise = noises(30, {"w": START["tall"]})["w"]
    assert noise.shape == (30, 6, 4)
    muon = optimizers.Muon(learning_rate=0.01)
    mine = ours(muon, 30, {"w": kernel})["w"].reshape([6, 4])
    np.testing.assert_allclose(mine, ours(muon, 30, {"w": START["tall"]})["w"], rtol=1e-5)


def test_muon_uses_adam_for_vectors_depthwise_filters_and_excluded_scopes():
    muon = optimizers.Muon(learning_rate=0.01, exclude_scopes=("Net/logits",))
    counts = {
        ("Net/conv/weights", (3, 3, 4, 8)): 1,
        ("Net/conv/depthwise_weights", (3, 3, 4, 1)): 2,
        ("Net/logits/weights", (4, 10)): 2,
        ("Net/logits_other/weights", (4, 10)): 1,
        ("Net/conv/biases", (8,)): 2,
    }
    assert {key: len(muon.slots(*key)) for key in counts} == counts


def test_custom_decoupled_optimizer_without_move_is_an_error():
    class Lazy(optimizers.newer.Decoupled):
        slot_name = "Lazy"

    with pytest.raises(NotImplementedError, match=r"Lazy must define move\(\)"):
        ours(Lazy(learning_rate=0.1), 1, START)


CLASSES = ["AdamW", "Lamb", "Lion", "Muon", "Adafactor"]


def op_of(name, **arguments):
    return tiny.built_op(optimizer=getattr(optimizers, name)(learning_rate=0.01), **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_resume_from_a_checkpoint_is_bit_identical(name, tmp_path):
    uninterrupted, first, second = (op_of(name, moving_average_decay=0.9) for _ in range(3))
    uninterrupted.run(iter(tiny.batches()), 6)
    first.run(iter(tiny.batches()), 3)
    saved = checkpoints.Checkpoints(str(tmp_path))
    saved.save(3, first.store.named_variables)
    saved.restore_latest(second.store.named_variables)
    second.run(iter(tiny.batches().skip(3)), 3)
    expected, resumed = tiny.values(uninterrupted), tiny.values(second)
    assert list(expected) == list(resumed)
    for key, value in expected.items():
        assert value.tobytes() == resumed[key].tobytes(), key


@pytest.mark.parametrize("name", CLASSES)
def test_a_skipped_update_changes_no_variable(name):
    optimizer = getattr(optimizers, name)(learning_rate=0.01)
    store = slim.VariableStore(seed=0)
    with store.as_default():
        variables = {key: slim.model_variable(key, initializer=v) for key, v in START.items()}
    optimizer.build(store, variables)
    before = {key: variable.numpy() for key, variable in store.named_variables.items()}
    infinite = {key: tf.fill(value.shape, np.float32(np.inf)) for key, value in START.items()}
    optimizer.apply(store, infinite, tf.constant(0.01), where=tf.constant(False))
    for key, value in before.items():
        np.testing.assert_array_equal(store.named_variables[key], value, err_msg=key)
    assert any(name in key for key in before)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_two_replicas_equal_one(name, mirrored):
    def loss(images, labels):
        with slim.variable_scope("flat"):
            logits = slim.fully_connected(images, tiny.CLASSES, activation_fn=None, scope="logits")
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        return slim.losses.get_total_loss()

    one, two = op_of(name, loss=loss), op_of(name, loss=loss, strategy=mirrored)
    one.run(iter(tiny.batches(16)), 4)
    two.run(iter(mirrored.experimental_distribute_dataset(tiny.batches(16))), 4)
    for key, value in tiny.values(one).items():
        np.testing.assert_allclose(tiny.values(two)[key], value, rtol=1e-3, atol=1e-5, err_msg=key)


@pytest.mark.slow
def test_newer_optimizers_reduce_the_loss():
    for name in CLASSES:
        rate = 0.3 if name == "Adafactor" else 0.05
        optimizer = getattr(optimizers, name)(learning_rate=rate)
        losses = tiny.built_op(optimizer=optimizer).run(iter(tiny.batches()), 60)["loss"]
        assert losses[-1] < 0.6 * losses[0], name
