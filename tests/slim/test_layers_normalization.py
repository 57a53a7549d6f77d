import numpy as np
import pytest
import tensorflow as tf

import slim

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=[2, 4, 3, 6], loc=2.0, scale=3.0).astype(np.float32)
SOME = {name: slim.random_uniform_initializer(0.5, 2.0) for name in ("beta", "gamma")}


def normalized(x, axes, epsilon):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


def set_parameters(scope):
    """Assigns random values to the parameters of a layer and returns them."""
    for v in slim.get_variables(scope):
        v.assign(RANDOM.uniform(0.5, 2.0, size=v.shape))
    return [slim.get_unique_variable(f"{scope}/{name}").numpy() for name in ("gamma", "beta")]


@pytest.mark.parametrize("begin_norm, begin_params", [(1, -1), (1, 1), (2, -1), (-1, -1), (-2, -2)])
def test_layer_norm_equals_numpy(begin_norm, begin_params):
    options = {"begin_norm_axis": begin_norm, "begin_params_axis": begin_params}
    close(slim.layer_norm(X, scope="ln", **options),
          normalized(X, tuple(range(begin_norm % 4, 4)), 1e-12))  # fmt: skip
    gamma, beta = set_parameters("ln")
    assert gamma.shape == beta.shape == X.shape[begin_params:]
    close(slim.layer_norm(X, scope="ln", reuse=True, **options),
          normalized(X, tuple(range(begin_norm % 4, 4)), 1e-12) * gamma + beta)  # fmt: skip


def test_layer_norm_over_the_channels_equals_keras():
    keras = tf.keras.layers.LayerNormalization(epsilon=1e-12)
    close(slim.layer_norm(X, begin_norm_axis=-1), keras(X))


def test_layer_norm_of_half_precision_is_finite():
    half = slim.layer_norm(tf.cast(tf.zeros([2, 5]), tf.float16))
    assert half.dtype == tf.float16
    np.testing.assert_array_equal(half, np.zeros([2, 5]))


@pytest.mark.parametrize(
    "options", [{"begin_norm_axis": 4}, {"begin_norm_axis": -5}, {"begin_params_axis": 4}]
)
def test_layer_norm_rejects_axes_out_of_range(options):
    with pytest.raises(ValueError, match=r"begin_norm_axis=.* must be < rank.inputs., 4"):
        slim.layer_norm(X, **options)


def test_layer_norm_needs_a_static_parameter_shape():
    with pytest.raises(ValueError, match=r"must be known from axis begin_params_axis=-1"):
        slim.VariableStore().build(slim.layer_norm, tf.TensorSpec([4, None]))
    with pytest.raises(ValueError, match="a rank of 2 or more is needed"):
        slim.VariableStore().build(slim.layer_norm, tf.TensorSpec(None))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm_equals_numpy_and_keras(groups):
    outputs = slim.group_norm(X, groups, scope="gn")
    grouped = X.reshape([2, 4, 3, groups, -1])
    expected = normalized(grouped, (1, 2, 4), 1e-6).reshape(X.shape)
    close(outputs, expected)
    close(outputs, tf.keras.layers.GroupNormalization(groups, epsilon=1e-6)(X))
    gamma, beta = set_parameters("gn")
    assert gamma.shape == beta.shape == (6,)
    close(slim.group_norm(X, groups, scope="gn", reuse=True), expected * gamma + beta)
    first = slim.group_norm(
        np.moveaxis(X, -1, 1),
        groups,
        channels_axis=1,
        reduction_axes=[-2, -1],
        scope="gn",
        reuse=True,
    )
    close(first, np.moveaxis(expected * gamma + beta, -1, 1))


def test_group_norm_over_other_axes():
    outputs = slim.group_norm(X, 3, channels_axis=1 - 2, reduction_axes=[1])
    close(outputs, normalized(X.reshape([2, 4, 3, 3, 2]), (1, 4), 1e-6).reshape(X.shape))
    matrix = X[:, 0, 0]
    close(
        slim.group_norm(matrix, 2, reduction_axes=[]),
        normalized(matrix.reshape([2, 2, 3]), (2,), 1e-6).reshape([2, 6]),
    )
    close(slim.group_norm(X, 6, epsilon=1.0), normalized(X, (1, 2), 1.0))


def test_group_norm_keeps_unknown_sizes():
    store = slim.VariableStore()

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 6])])
    def norm(x):
        with store.as_default():
            outputs = slim.group_norm(x, 3)
        assert outputs.shape.as_list() == [None, None, None, 6]
        return outputs

    close(norm(X), normalized(X.reshape([2, 4, 3, 3, 2]), (1, 2, 4), 1e-6).reshape(X.shape))


@pytest.mark.parametrize("groups", [0, 4, 32, -1])
def test_group_norm_rejects_groups_that_do_not_divide_the_channels(groups):
    message = (
        "6 channels is not commensurate" if groups == 4 else f"Invalid groups {groups} for 6 ch"
    )
    with pytest.raises(ValueError, match=message):
        slim.group_norm(X, groups)


def test_group_norm_rejects_invalid_axes():
    with pytest.raises(
        ValueError, match=r"reduction_axes=\(-2, -1\) and the channel axis -1 must be mutually excl"
    ):
        slim.group_norm(X, 2, reduction_axes=[-2, -1])
    with pytest.raises(
        ValueError, match="channels_axis=4 must be an axis of the inputs, which have r"
    ):
        slim.group_norm(X, 2, channels_axis=4)
    with pytest.raises(ValueError, match="reduction_axes=-5 must be an axis of the inputs"):
        slim.group_norm(X, 2, reduction_axes=[-5])
    with pytest.raises(
        ValueError, match="have an undefined channel dimension: axis 3 must have a known"
    ):
        slim.VariableStore().build(slim.group_norm, tf.TensorSpec([2, 3, 3, None]))


@pytest.mark.parametrize("shape", [[2, 5, 3], [2, 4, 3, 3], [2, 2, 3, 2, 3]])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_instance_norm_equals_numpy(shape, data_format):
    x = RANDOM.normal(size=shape, loc=2.0).astype(np.float32)
    images = np.moveaxis(x, -1, 1) if data_format == "NCHW" else x
    slim.instance_norm(images, data_format=data_format, scope="in")
    gamma, beta = set_parameters("in")
    outputs = slim.instance_norm(images, data_format=data_format, scope="in", reuse=True)
    expected = normalized(x, tuple(range(1, len(shape) - 1)), 1e-6) * gamma + beta
    close(outputs, np.moveaxis(expected, -1, 1) if data_format == "NCHW" else expected)


def test_instance_norm_is_group_norm_with_a_group_per_channel():
    close(slim.instance_norm(X, epsilon=0.1), slim.group_norm(X, 6, epsilon=0.1))


def test_instance_norm_rejects_other_formats_and_ranks():
    with pytest.raises(ValueError, match="data_format has to be either NCHW or NHWC, not 'NWC'"):
        slim.instance_norm(X, data_format="NWC")
    with pytest.raises(ValueError, match="a rank of 3 or more is needed"):
        slim.instance_norm(X[0, 0])


LAYERS = {
    "LayerNorm": slim.layer_norm,
    "GroupNorm": lambda x, **options: slim.group_norm(x, 3, **options),
    "InstanceNorm": slim.instance_norm,
}


@pytest.mark.parametrize("name", LAYERS)
def test_normalizations_share_variables_activation_and_outputs(name):
    layer, store = LAYERS[name], slim.current_store()
    layer(X)
    assert list(store.named_variables) == [f"{name}/beta", f"{name}/gamma"]
    layer(X, center=False, scope="scaled", trainable=False)
    layer(X, scale=False, scope="centred", variables_collections=["mine"])
    layer(X, center=False, scale=False, scope="neither")
    assert list(store.named_variables)[2:] == ["scaled/gamma", "centred/beta"]
    assert not store.named_variables["scaled/gamma"].trainable
    assert slim.get_variables(collection="mine") == [store.named_variables["centred/beta"]]
    assert len(slim.get_model_variables()) == 4
    linear = layer(X, scope="noted", outputs_collections="ends")
    assert slim.convert_collection_to_dict("ends")["noted"] is linear
    close(layer(X, activation_fn=tf.nn.relu, scope="noted", reuse=True), np.maximum(linear, 0))


@pytest.mark.parametrize("layer", [LAYERS["GroupNorm"], slim.instance_norm])
def test_param_initializers_reach_beta_and_gamma(layer):
    layer(X, scope="norm", param_initializers={"gamma": slim.constant_initializer(3.0)})
    assert slim.get_unique_variable("norm/gamma").numpy().tolist() == [3.0] * 6
    assert slim.get_unique_variable("norm/beta").numpy().tolist() == [0.0] * 6
