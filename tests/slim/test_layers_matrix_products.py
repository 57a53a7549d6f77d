"""Convolutions of training steps, which are matrix products where those are faster on a CPU."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from slim.layers import _half_precision
from slim.layers import _matrix_products as matrix_products

# (height and width, kernel, channels, outputs) -> computations that are products, by dtype
OUTPUTS, INPUTS, WEIGHTS = "outputs", "gradient_of_inputs", "gradient_of_weights"
ALL = {OUTPUTS, INPUTS, WEIGHTS}
LAYERS = {
    ((7, 7), (1, 1), 24, 16): (ALL, {WEIGHTS}),
    ((7, 7), (1, 1), 16, 24): (ALL - {INPUTS}, {WEIGHTS}),
    ((28, 28), (1, 1), 3, 4): (ALL - {INPUTS}, {WEIGHTS}),
    ((28, 29), (1, 1), 4, 3): (ALL, set()),
    ((7, 6), (3, 3), 256, 260): ({WEIGHTS}, {WEIGHTS}),
    ((7, 7), (2, 3), 256, 256): ({WEIGHTS}, {WEIGHTS}),
    ((7, 7), (1, 4), 256, 256): (set(), set()),
    ((7, 7), (3, 3), 255, 256): (set(), {WEIGHTS}),
    ((8, 8), (1, 3), 256, 256): (set(), {WEIGHTS}),
    ((9, 8), (3, 1), 8, 8): (set(), set()),
}
CASES = [
    pytest.param(*layer, dtype, products, id=f"{layer}, {dtype.name}".replace(" ", ""))
    for layer, both in LAYERS.items()
    for dtype, products in zip([tf.float32, tf.bfloat16], both, strict=True)
]


def convolve(inputs, weights, padding="SAME", strides=(1, 1), layout="NHWC", rates=(1, 1)):
    return matrix_products.convolve(inputs, weights, strides, padding, layout, rates)


def in_training_step(run):
    def run_in_step(*arguments):
        with slim.VariableStore().as_default(step=tf.constant(0)):
            return run(*arguments)

    return run_in_step


def results(run, inputs, weights):
    """Returns the outputs and the gradients of a loss that depends on each of them."""
    with tf.GradientTape() as tape:
        tape.watch([inputs, weights])
        outputs = run(inputs, weights)
        loss = tf.reduce_sum(outputs**2)
    return outputs, *tape.gradient(loss, [inputs, weights])


def random(shape, dtype=tf.float32, seed=0):
    return tf.cast(np.random.RandomState(seed).uniform(-1, 1, shape), dtype)


def op_types(run, *arguments):
    graph = tf.function(run).get_concrete_function(*arguments).graph
    return [op.type for op in graph.get_operations() if "Conv" in op.type or "MatMul" in op.type]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("size", "kernel", "channels", "outputs", "dtype", "products"),
    [case for case in CASES if case.values[-1]],
)
def test_outputs_and_gradients_equal_tensorflows(
    size, kernel, channels, outputs, dtype, products, padding
):
    inputs = random([2, *size, channels], dtype)
    weights = random([*kernel, channels, outputs], dtype, seed=1)
    ours = results(in_training_step(lambda x, w: convolve(x, w, padding)), inputs, weights)
    # In float64: TensorFlow's own kernels sum in bfloat16 without oneDNN.
    wide = [tf.cast(tensor, tf.float64) for tensor in (inputs, weights)]
    plain = results(lambda x, w: tf.nn.conv2d(x, w, 1, padding), *wide)
    tolerance = 1e-5 if dtype == tf.float32 else 0.03
    for own, expected in zip(ours, plain, strict=True):
        assert own.dtype == dtype
        assert own.shape == expected.shape
        error = np.abs(tf.cast(own, tf.float64) - expected)
        assert error.mean() <= tolerance * np.abs(expected).mean()


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16], ids=lambda dtype: dtype.name)
def test_a_kernel_that_covers_the_image_is_one_product(dtype):
    inputs, weights = random([3, 5, 4, 6], dtype), random([5, 4, 6, 8], dtype, seed=1)
    run = in_training_step(lambda x, w: results(lambda *both: convolve(*both, "VALID"), x, w))
    unknown_batch = tf.TensorSpec([None, *inputs.shape[1:]], dtype)
    assert op_types(run, unknown_batch, weights) == ["MatMul"] * 3
    wide = [tf.cast(tensor, tf.float64) for tensor in (inputs, weights)]
    plain = results(lambda x, w: tf.nn.conv2d(x, w, 1, "VALID"), *wide)
    for own, expected in zip(run(inputs, weights), plain, strict=True):
        assert own.shape == expected.shape
        tolerance = 1e-5 if dtype == tf.float32 else 0.03
        error = np.abs(tf.cast(own, tf.float64) - expected)
        assert error.mean() <= tolerance * np.abs(expected).mean()


@pytest.mark.parametrize(("size", "kernel", "channels", "outputs", "dtype", "products"), CASES)
def test_products_are_chosen_where_they_are_faster(
    size, kernel, channels, outputs, dtype, products
):
    inputs = tf.TensorSpec([None, *size, channels], dtype)
    weights = tf.TensorSpec([*kernel, channels, outputs], dtype)
    types = op_types(in_training_step(lambda x, w: results(convolve, x, w)), inputs, weights)
    taps = kernel[0] * kernel[1]
    count = sum(taps if name == WEIGHTS else 1 for name in products)
    assert types.count("MatMul") == count
    assert ("Conv2D" in types) == (OUTPUTS not in products)
    assert ("Conv2DBackpropInput" in types) == (INPUTS not in products)
    assert ("Conv2DBackpropFilter" in types) == (WEIGHTS not in products)


@pytest.mark.parametrize(
    "case", ["no step", "graph", "stride", "rate", "unknown size", "float64", "GPU"]
)
def test_all_else_stays_a_convolution(case, monkeypatch):
    shape = [2, None, 7, 4] if case == "unknown size" else [2, 7, 7, 4]
    dtype = tf.float64 if case == "float64" else tf.float32
    options = {"stride": {"strides": (2, 2)}, "rate": {"rates": (2, 2)}}.get(case, {})
    specs = tf.TensorSpec(shape, dtype), tf.TensorSpec([1, 1, 4, 3], dtype)

    def run(inputs, weights):
        return convolve(inputs, weights, **options)

    if case == "GPU":
        monkeypatch.setattr(_half_precision, "on_cpu", lambda: False)
    if case == "graph":
        with tf.Graph().as_default() as graph:
            run(*(tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in specs))
        assert [op.type for op in graph.get_operations()].count("Conv2D") == 1
        return
    types = op_types(run if case == "no step" else in_training_step(run), *specs)
    assert types == ["Conv2D"]


def test_layers_of_a_training_step_use_products():
    def loss(image):
        net = slim.conv2d(image, 8, 1, activation_fn=None)
        net = slim.separable_conv2d(net, 8, 3, activation_fn=None)
        return tf.reduce_mean(net**2)

    store = slim.VariableStore(seed=0)
    spec = {"image": tf.TensorSpec([2, 8, 8, 16])}
    store.build(lambda batch: loss(**batch), spec)

    def step(batch):
        with store.as_default(step=tf.constant(0)), tf.GradientTape() as tape:
            value = loss(**batch)
        return tape.gradient(value, list(store.named_variables.values()))

    types = op_types(step, spec)
    assert "Conv2D" not in types
    assert "Conv2DBackpropFilter" not in types
    assert "DepthwiseConv2dNativeBackpropFilter" in types


def test_a_second_derivative_equals_tensorflows():
    inputs, weights = random([2, 4, 4, 6]), random([1, 1, 6, 5], seed=1)

    def penalty(run, inputs, weights):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            _, gradient, _ = results(run, inputs, weights)
            value = tf.reduce_sum(gradient**2)
        return tape.gradient(value, weights)

    ours = in_training_step(lambda x, w: penalty(convolve, x, w))(inputs, weights)
    plain = penalty(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), inputs, weights)
    np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)
