"""Fake quantization equals TensorFlow's own ops and averages computed by NumPy."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim import quantization
from slim.quantization import fake_quantization
from slim.recompute import segment
from tests.slim import tiny

IMAGES = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def layer(images=IMAGES, step=None, delay=0, store=None):
    """Returns the outputs of a fully connected layer and its store."""
    store = store or slim.VariableStore(seed=1)
    with store.as_default(step=step), fake_quantization(delay):
        return slim.fully_connected(images, 3, scope="fc"), store


def plain_layer(store=None):
    store = store or slim.VariableStore(seed=1)
    with store.as_default():
        return slim.fully_connected(IMAGES, 3, scope="fc"), store


def value(store, name):
    return store.named_variables[f"fc/{name}"].numpy()


def rounded_channel(weights):
    """Rounds the weights of one output channel by TensorFlow Lite's specification."""
    scale = np.abs(weights).max() / 127
    return np.round(weights / scale) * scale if scale else weights


def test_training_rounds_weights_and_outputs_and_averages_the_range():
    maxima = []
    store = None
    for step in range(4):
        images = IMAGES * (1 + step)
        outputs, store = layer(images, tf.constant(step, tf.int64), store=store)
        weights = value(store, "weights")
        most = np.abs(weights).max(axis=0)
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            weights, -most, most, narrow_range=True
        )
        plain = tf.nn.relu(images @ rounded)
        maxima.append(float(tf.reduce_max(plain)))
        # Older batches count less; the initial values of the variables do not count.
        high = np.average(maxima, weights=0.999 ** np.arange(len(maxima))[::-1])
        assert value(store, "act_quant/min") == 0.0
        np.testing.assert_allclose(value(store, "act_quant/max"), high, rtol=1e-5)
        expected = tf.quantization.fake_quant_with_min_max_vars(
            plain, 0.0, value(store, "act_quant/max")
        )
        np.testing.assert_allclose(outputs, expected, rtol=1e-6)
        assert np.abs(outputs - plain).max() > 0


def test_before_the_delay_outputs_are_unquantized_and_ranges_are_updated():
    plain, _ = plain_layer()
    early, store = layer(step=tf.constant(1), delay=2)
    late, _ = layer(step=tf.constant(2), delay=2)
    np.testing.assert_array_equal(early, plain)
    assert 0 < value(store, "act_quant/max") != 6.0
    assert np.abs(late - plain).max() > 0


def test_inference_uses_the_ranges_and_updates_none():
    trained, store = layer(step=tf.constant(0))
    before = {name: v.numpy() for name, v in store.named_variables.items()}
    again, _ = layer(store=store, delay=100)
    np.testing.assert_array_equal(trained, again)
    layer(IMAGES * 10, store=store)
    for name, variable in store.named_variables.items():
        np.testing.assert_array_equal(variable, before[name])


def test_layers_outside_of_fake_quantization_have_no_ranges():
    _, store = plain_layer()
    assert list(store.named_variables) == ["fc/weights", "fc/biases"]


def test_ranges_are_model_variables_that_are_not_trained():
    _, store = layer()
    records = {n: r for n, r in store.records.items() if "act_quant" in n}
    assert list(records) == ["fc/act_quant/min", "fc/act_quant/max"]
    assert all(each.model and not each.trainable for each in records.values())


def test_gradients_pass_through_except_for_outputs_beyond_the_range():
    _, store = layer(step=tf.constant(0))
    store.named_variables["fc/act_quant/max"].assign(0.5)
    with tf.GradientTape(persistent=True) as tape:
        outputs, _ = layer(store=store)
        total = tf.reduce_sum(outputs)
    weights, biases = (store.named_variables[f"fc/{n}"] for n in ("weights", "biases"))
    plain = plain_layer(store)[0].numpy()
    expected = np.sum((plain > 0) & (plain < 0.5), axis=0)
    np.testing.assert_array_equal(tape.gradient(total, biases), expected)
    assert np.abs(tape.gradient(total, weights)).max() > 0


# Layer -> its weights, and the axes of their output channels.
LAYERS = {
    "conv1d": (lambda x: slim.conv1d(x[0], 3, 2, scope="s"), {"weights": (2,)}),
    "conv2d": (lambda x: slim.conv2d(x, 3, 2, scope="s"), {"weights": (3,)}),
    "conv3d": (lambda x: slim.conv3d(x[None], 3, 2, scope="s"), {"weights": (4,)}),
    "in plane": (lambda x: slim.conv2d_in_plane(x, 2, scope="s"), {"weights": (3,)}),
    "transposed": (lambda x: slim.conv2d_transpose(x, 3, 2, scope="s"), {"weights": (2,)}),
    "dense": (lambda x: slim.fully_connected(x, 3, scope="s"), {"weights": (1,)}),
    "depthwise": (
        lambda x: slim.separable_conv2d(x, None, 2, depth_multiplier=2, scope="s"),
        {"depthwise_weights": (2, 3)},
    ),
    "separable": (
        lambda x: slim.separable_conv2d(x, 3, 2, scope="s"),
        {"depthwise_weights": (2, 3), "pointwise_weights": (3,)},
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_output_channel_is_rounded_by_its_own_largest_weight(name):
    layer_fn, axes = LAYERS[name]
    images = tf.constant(np.random.default_rng(1).normal(size=[2, 5, 5, 4]), tf.float32)
    store = slim.VariableStore(seed=1)

    def outputs(**rule):
        with store.as_default() as one_pass, fake_quantization(**rule):
            return layer_fn(images), one_pass.quantized

    fake_quantized, quantized = outputs()
    assert {n: len(channels) for n, channels in quantized.items()} == {
        f"s/{n}": len(channels) for n, channels in axes.items()
    }
    before = {n: store.named_variables[f"s/{n}"].numpy() for n in axes}
    quantization.round_weights(store.named_variables, quantized)
    for leaf, channels in axes.items():
        rounded = store.named_variables[f"s/{leaf}"].numpy()
        others = [a for a in range(rounded.ndim) if a not in channels]
        flat, flat_rounded = (
            np.transpose(w, others + list(channels)).reshape(
                -1, np.prod([w.shape[a] for a in channels])
            )
            for w in (before[leaf], rounded)
        )
        expected = np.stack([rounded_channel(channel) for channel in flat.T], axis=-1)
        np.testing.assert_allclose(flat_rounded, expected, atol=1e-6)
        assert np.abs(rounded - before[leaf]).max() > 1e-4
    # Rounding the variables leaves the outputs as they were.
    np.testing.assert_allclose(fake_quantized, outputs(weights=False)[0], atol=1e-6)


def test_folding_commutes_with_rounding():
    random = np.random.default_rng(2)
    weights, scale = (random.normal(size=s).astype(np.float32) for s in ([3, 3, 20, 7], [7]))
    with slim.VariableStore().as_default(), fake_quantization():
        before = quantization.quantized_weights(tf.constant(weights)) * scale
        after = quantization.quantized_weights(tf.constant(weights * scale))
    np.testing.assert_allclose(before, after, atol=1e-5)


def test_a_channel_of_zeros_stays_zero():
    store = slim.VariableStore(seed=0)
    with store.as_default(), fake_quantization():
        outputs = slim.fully_connected(
            IMAGES, 2, weights_initializer=tf.zeros_initializer(), activation_fn=None
        )
    np.testing.assert_array_equal(outputs, np.zeros([5, 2]))


def quantized_loss(delay, network=tiny.network):
    def loss(images, labels):
        with fake_quantization(delay):
            logits = network(images)
        slim.losses.sparse_softmax_cross_entropy(logits, labels)
        return slim.losses.get_total_loss()

    return loss


def train(loss, steps, **arguments):
    op = tiny.built_op(loss=loss, **arguments)
    batches = op.strategy.experimental_distribute_dataset(tiny.batches())
    return tiny.run(op, batches, steps)["loss"], tiny.values(op)


@pytest.fixture(scope="module")
def unquantized_losses():
    return train(lambda *batch: tiny.loss_fn(*batch)[0], 5)[0]


def test_a_run_is_unquantized_until_the_delay_is_over(unquantized_losses):
    late, values = train(quantized_loss(3), 5)
    np.testing.assert_array_equal(late[:3], unquantized_losses[:3])
    assert (late[3:] != unquantized_losses[3:]).all()
    assert values["tiny/hidden/act_quant/max"] not in (0, 6)


def test_a_loop_of_several_steps_is_unquantized_until_the_delay_is_over(unquantized_losses):
    late = tiny.built_op(loss=quantized_loss(3)).run(iter(tiny.batches()), 5)["loss"]
    np.testing.assert_array_equal(late[:3], unquantized_losses[:3])
    assert (late[3:] != unquantized_losses[3:]).all()


def segments(images):
    with slim.variable_scope("tiny"):
        net = segment(lambda x: slim.fully_connected(x, 8, scope="hidden"), images)
        return slim.fully_connected(net, tiny.CLASSES, activation_fn=None, scope="logits")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"accumulate_steps": 2},
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
    ],
)
def test_recomputed_segments_round_and_update_each_range_once(more):
    loss = quantized_loss(1, segments)
    plain, values = train(loss, 3, **more)
    again, recomputed = train(loss, 3, recompute_gradients=True, **more)
    np.testing.assert_allclose(again, plain, rtol=1e-5)
    for name, expected in values.items():
        np.testing.assert_allclose(recomputed[name], expected, rtol=1e-4, atol=1e-6)


def test_replicas_keep_the_mean_of_their_ranges(mirrored):
    op = tiny.built_op(loss=quantized_loss(0), strategy=mirrored, moving_average_decay=0.9)
    images = np.ones([2, tiny.FEATURES], np.float32) * [[1], [3]]
    batch = tf.data.Dataset.from_tensors((images.astype(np.float32), np.zeros([2], np.int64)))
    weights = op.store.named_variables["tiny/hidden/weights"].numpy()
    op.run(iter(mirrored.experimental_distribute_dataset(batch)))
    high = np.maximum(np.sum([rounded_channel(w) for w in weights.T], axis=1), 0).max()
    mean = op.store.named_variables["tiny/hidden/act_quant/max"].numpy()
    np.testing.assert_allclose(mean, 2 * high, rtol=1e-5)
    # Moving averages start at 0 here; the first step keeps a tenth of that.
    average = op.store.named_variables["tiny/hidden/act_quant/max/ExponentialMovingAverage"]
    np.testing.assert_allclose(average.numpy(), 0.9 * mean, rtol=1e-5)


def test_replicas_wait_for_the_delay(mirrored):
    # This network has no batch norm, so two replicas equal one.
    late, _ = train(quantized_loss(1, segments), 2, strategy=mirrored)
    single, _ = train(quantized_loss(100, segments), 2)
    assert late[0] == pytest.approx(single[0], rel=1e-5)
    assert late[1] != pytest.approx(single[1], rel=1e-5)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_keeps_its_type_and_float32_ranges(dtype):
    store = slim.VariableStore(seed=1, keep_float32=True)
    with store.as_default(step=tf.constant(0)), fake_quantization():
        outputs = slim.fully_connected(tf.cast(IMAGES, dtype), 3, scope="fc")
    assert outputs.dtype == dtype
    assert value(store, "act_quant/max").dtype == np.float32
    expected, _ = layer(step=tf.constant(0))
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, atol=0.03)
