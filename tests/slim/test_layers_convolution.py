import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import windows

SIZES = {1: [7], 2: [7, 6], 3: [5, 4, 6]}
LAST = {1: "NWC", 2: "NHWC", 3: "NDHWC"}
FIRST = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
NAMED = {1: slim.conv1d, 2: slim.conv2d, 3: slim.conv3d}
SOME = slim.random_normal_initializer()


def inputs(dims, channels=3):
    return np.random.default_rng(dims).normal(size=[2, *SIZES[dims], channels]).astype(np.float32)


def channels_first(x):
    return np.moveaxis(x, -1, 1)


def variable(name):
    return slim.get_unique_variable(name).numpy()


CASES = [
    (dims, kernel, stride, rate, padding)
    for dims in (1, 2, 3)
    for kernel in (1, 3)
    for stride, rate in ((1, 1), (2, 1), (3, 1), (1, 2))
    for padding in ("SAME", "VALID")
    if (kernel - 1) * rate < min(SIZES[dims])
    and windows.start_is_settled(dims, kernel, stride, padding)
] + [
    (2, (3, 2), (1, 2), 1, "SAME"),
    (2, (2, 3), 1, (2, 1), "VALID"),
    (2, 2, 1, (1, 3), "SAME"),
    (1, (4,), (2,), (1,), "SAME"),
    (3, (1, 2, 3), (1, 2, 1), 1, "SAME"),
]  # fmt: skip


@pytest.mark.parametrize("dims, kernel, stride, rate, padding", CASES)
def test_convolutions_equal_numpy(dims, kernel, stride, rate, padding):
    x = inputs(dims)
    outputs = slim.convolution(
        x, 4, kernel, stride, padding, rate=rate, activation_fn=None, biases_initializer=SOME,
        scope="conv",
    )  # fmt: skip
    weights, biases = variable("conv/weights"), variable("conv/biases")
    each = [tuple(np.broadcast_to(v, [dims])) for v in (kernel, stride, rate)]
    assert weights.shape == (*each[0], 3, 4)
    expected = windows.convolve(x, weights, *each[1:], padding) + biases
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)
    named = NAMED[dims](
        channels_first(x), 4, kernel, stride, padding, FIRST[dims], rate, activation_fn=None,
        scope="conv", reuse=True,
    )  # fmt: skip
    np.testing.assert_allclose(named, channels_first(expected), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_channels_last_data_format_is_the_default(dims):
    x = inputs(dims)
    default = NAMED[dims](x, 4, 3, scope="conv")
    named = NAMED[dims](x, 4, 3, data_format=LAST[dims], scope="conv", reuse=True)
    np.testing.assert_array_equal(default, named)
    assert np.min(default) == 0.0  # relu by default


def test_names_order_and_kinds_of_the_variables():
    x = inputs(2)
    slim.conv2d(x, 4, 3, normalizer_fn=slim.batch_norm, normalizer_params={"scale": True})
    slim.conv2d(x, 4, 3, biases_initializer=None)
    slim.conv2d(x, 4, 3, trainable=False, scope="named")
    store = slim.current_store()
    assert list(store.named_variables) == [
        "Conv/weights", "Conv/BatchNorm/gamma", "Conv/BatchNorm/beta",
        "Conv/BatchNorm/moving_mean", "Conv/BatchNorm/moving_variance",
        "Conv_1/weights", "named/weights", "named/biases",
    ]  # fmt: skip
    assert not store.named_variables["named/weights"].trainable
    assert not store.named_variables["named/biases"].trainable
    assert all(record.model for record in store.records.values())


def test_normalizer_replaces_the_biases_and_precedes_the_activation():
    seen = []

    def normalizer(net, factor):
        seen.append(net.numpy())
        return net * factor

    outputs = slim.conv2d(
        inputs(2), 4, 3, normalizer_fn=normalizer, normalizer_params={"factor": -1.0}
    )
    assert list(slim.current_store().named_variables) == ["Conv/weights"]
    np.testing.assert_allclose(outputs, np.maximum(-seen[0], 0))


def test_regularizers_and_initializers_reach_their_variables():
    with slim.VariableStore().as_default():
        slim.conv2d(
            inputs(2), 4, 3, weights_initializer=slim.constant_initializer(2.0),
            weights_regularizer=slim.l1_regularizer(1.0),
            biases_initializer=slim.ones_initializer(), biases_regularizer=slim.l2_regularizer(1.0),
        )  # fmt: skip
        penalties = [float(p) for p in slim.losses.get_regularization_losses()]
    assert penalties == [2.0 * 3 * 3 * 3 * 4, 4 / 2]


def test_dtype_of_the_inputs_is_kept():
    for dtype in (tf.float16, tf.float64):
        net = slim.conv2d(tf.cast(inputs(2), dtype), 4, 3, scope=dtype.name)
        assert net.dtype == slim.get_unique_variable(f"{dtype.name}/weights").dtype == dtype


def test_unknown_sizes_have_gradients():
    store = slim.VariableStore()

    @tf.function
    def step(x):
        with store.as_default(), tf.GradientTape() as tape:
            net = slim.conv2d(x, 2, 3, 2, scope="a", data_format="NCHW")
            loss = tf.reduce_sum(slim.conv2d(net, 2, 3, rate=2, scope="b", data_format="NCHW"))
            return net, tape.gradient(loss, slim.get_trainable_variables())

    for size in (7, 8):
        net, gradients = step.get_concrete_function(tf.TensorSpec([None, 3, None, None]))(
            tf.ones([2, 3, size, size])
        )
        assert net.shape == (2, 2, 4, 4)
        assert [g.shape for g in gradients] == [(3, 3, 3, 2), (2,), (3, 3, 2, 2), (2,)]


@pytest.mark.parametrize("layer, rank", [(slim.conv1d, 3), (slim.conv2d, 4), (slim.conv3d, 5)])
def test_inputs_of_another_rank_are_errors(layer, rank):
    for shape in ([2] * (rank - 1), [2] * (rank + 1)):
        with pytest.raises(ValueError, match=f"Convolution expects input with rank {rank}, got"):
            layer(tf.ones(shape), 4, 1)


def test_rank_without_a_convolution_is_an_error():
    with pytest.raises(ValueError, match="expects input with rank 3 or 4 or 5, got 2"):
        slim.convolution(tf.ones([2, 2]), 4, 1)
    with pytest.raises(ValueError, match="input with rank 4, got undefined rank"):
        slim.VariableStore().build(lambda x: slim.conv2d(x, 4, 1), tf.TensorSpec(None))


def test_sizes_may_be_shapes_or_whole_floats():
    x = inputs(2)
    assert slim.avg_pool2d(x, x.shape[1:3]).shape == [*x.shape[:1], 1, 1, *x.shape[3:]]
    assert slim.avg_pool2d(x, [tf.compat.v1.Dimension(2), 3.0], stride=1.0).shape[1:3] == [
        x.shape[1] - 1, x.shape[2] - 2
    ]  # fmt: skip
    assert slim.conv2d(x, 4, x.shape[1:3], padding="VALID").shape[1:3] == [1, 1]


def test_invalid_arguments_are_errors():
    x = inputs(2)
    with pytest.raises(ValueError, match="stride=2 and rate=3: at most one may be above 1"):
        slim.conv2d(x, 4, 3, stride=2, rate=3)
    with pytest.raises(ValueError, match="data_format has to be either NCHW or NHWC, not 'NCW'"):
        slim.conv2d(x, 4, 3, data_format="NCW")
    for name, value in [("kernel_size", [1, 2, 3]), ("stride", 0), ("rate", 1.5), ("stride", [])]:
        with pytest.raises(ValueError, match=f"{name}=.* must be a positive integer, or 2 of"):
            slim.conv2d(x, 4, **{"kernel_size": 3, name: value})
    with pytest.raises(
        ValueError, match=r"inputs of shape \(None, 4, 4, None\) have an undefined channels dim"
    ):
        slim.VariableStore().build(
            lambda x: slim.conv2d(x, 4, 1), tf.TensorSpec([None, 4, 4, None])
        )


def test_numpy_integers_and_tensor_shapes_are_accepted_as_sizes():
    x = inputs(2)
    assert slim.conv2d(x, 4, np.array([3, 3]), np.int64(2)).shape == (2, 4, 3, 4)
    assert slim.conv2d(x, 4, tf.constant(x).shape[1:3], padding="VALID").shape == (2, 1, 1, 4)


@pytest.mark.parametrize("bad", [None, 0, 2.5, "4", True])
def test_invalid_number_of_filters_is_an_error(bad):
    x = tf.ones([1, 4, 4, 3])
    for layer in (slim.conv2d, slim.conv2d_transpose):
        with pytest.raises(
            ValueError, match=f"num_outputs={bad!r} must be a positive integer, such"
        ):
            layer(x, bad, 1)


def test_whole_floats_and_lower_case_are_accepted():
    x = tf.ones([1, 4, 4, 3])
    assert slim.conv2d(x, 4.0, 3, padding="valid").shape == [1, 2, 2, 4]
    assert slim.separable_conv2d(x, 4.0, 3, padding="same").shape == [1, 4, 4, 4]
    assert slim.max_pool2d(x, 2, padding="same").shape == [1, 2, 2, 3]
    with pytest.raises(ValueError, match="padding='VALLID' is not known; did you mean 'VALID'"):
        slim.conv2d(x, 4, 3, padding="vallid")


def test_initializers_may_be_classes_and_tensors(mode):
    def build():
        kernel = tf.reshape(tf.range(6.0), [1, 1, 2, 3])
        return slim.conv2d(
            tf.ones([1, 2, 2, 2]), 3, 1, biases_initializer=tf.compat.v1.ones_initializer,
            weights_initializer=lambda shape, dtype=None, **_: tf.reshape(kernel, shape),
        )  # fmt: skip

    np.testing.assert_allclose(mode.run(build)[0][0, 0, 0], [4.0, 6.0, 8.0])
