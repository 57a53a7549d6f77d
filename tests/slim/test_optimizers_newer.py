"""AdamW, Lamb, Lion, Muon and Adafactor equal Keras's own, and fit into the training step."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import checkpoints, optimizers
from slim.loss_scale import DynamicLossScale
from tests.slim import tiny

KERAS = tf.keras.optimizers
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
    """Of a quadratic, with noise."""
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
def test_400_steps_equal_keras(name):
    optimizer, oracle = ORACLES[name]
    mine, wanted = ours(optimizer, 400, START), of_keras(oracle(), 400, START)
    for key, value in wanted.items():
        assert np.abs(value - START[key]).max() > 0.1, "nothing was learned"
        np.testing.assert_allclose(mine[key], value, rtol=1e-4, atol=1e-5, err_msg=key)
    assert {n for n in mine if n.startswith("wide/")} == SLOTS[name.partition("_")[0]]


def test_the_learning_rate_may_be_a_schedule():
    schedule = KERAS.schedules.CosineDecay(0.05, 50)
    mine = ours(optimizers.AdamW(learning_rate=schedule), 100, START)
    wanted = of_keras(KERAS.AdamW(schedule), 100, START)
    np.testing.assert_allclose(mine["wide"], wanted["wide"], rtol=1e-4, atol=1e-5)


def test_muon_takes_a_kernel_as_a_matrix():
    kernel = START["tall"].reshape([1, 3, 2, 4])
    noise = noises(30, {"w": START["tall"]})["w"]
    assert noise.shape == (30, 6, 4)
    muon = optimizers.Muon(learning_rate=0.01)
    mine = ours(muon, 30, {"w": kernel})["w"].reshape([6, 4])
    np.testing.assert_allclose(mine, ours(muon, 30, {"w": START["tall"]})["w"], rtol=1e-5)


def test_what_muon_leaves_to_adam():
    muon = optimizers.Muon(learning_rate=0.01, exclude_scopes=("Net/logits",))
    counts = {
        ("Net/conv/weights", (3, 3, 4, 8)): 1,
        ("Net/conv/depthwise_weights", (3, 3, 4, 1)): 2,
        ("Net/logits/weights", (4, 10)): 2,
        ("Net/logits_other/weights", (4, 10)): 1,
        ("Net/conv/biases", (8,)): 2,
    }
    assert {key: len(muon.slots(*key)) for key in counts} == counts


def test_a_decoupled_optimizer_of_ones_own_has_to_say_how_it_moves():
    class Lazy(optimizers.newer.Decoupled):
        slot_name = "Lazy"

    with pytest.raises(NotImplementedError, match=r"Lazy must define move\(\)"):
        ours(Lazy(learning_rate=0.1), 1, START)


CLASSES = ["AdamW", "Lamb", "Lion", "Muon", "Adafactor"]


def op_of(name, **arguments):
    return tiny.built_op(optimizer=getattr(optimizers, name)(learning_rate=0.01), **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_a_checkpoint_resumes_bit_for_bit(name, tmp_path):
    whole, first, second = (op_of(name, moving_average_decay=0.9) for _ in range(3))
    whole.run(iter(tiny.batches()), 6)
    first.run(iter(tiny.batches()), 3)
    saved = checkpoints.Checkpoints(str(tmp_path))
    saved.save(3, first.store.named_variables)
    saved.restore_latest(second.store.named_variables)
    second.run(iter(tiny.batches().skip(3)), 3)
    wanted, found = tiny.values(whole), tiny.values(second)
    assert list(wanted) == list(found)
    for key, value in wanted.items():
        assert value.tobytes() == found[key].tobytes(), key


@pytest.mark.parametrize("name", CLASSES)
def test_a_step_that_overflows_changes_nothing(name):
    def infinite(images, labels):
        loss, _ = tiny.loss_fn(images, labels)
        return loss * tf.constant(np.inf)

    op = op_of(name, loss=infinite, loss_scale=DynamicLossScale())
    before = tiny.values(op)
    op.run(iter(tiny.batches()))
    kept = [
        n for n in before if not n.startswith(("loss_scale", "global_step", "tiny/norm/moving"))
    ]
    for key in kept:
        np.testing.assert_array_equal(tiny.values(op)[key], before[key], err_msg=key)
    assert any(name in key for key in kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_two_replicas_do_what_one_does(name, mirrored):
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
def test_they_learn():
    for name in CLASSES:
        rate = 0.3 if name == "Adafactor" else 0.05
        optimizer = getattr(optimizers, name)(learning_rate=rate)
        losses = tiny.built_op(optimizer=optimizer).run(iter(tiny.batches()), 60)["loss"]
        assert losses[-1] < 0.6 * losses[0], name
