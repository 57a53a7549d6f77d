import numpy as np
import pytest
import tensorflow as tf

import slim
from tests.slim import modes

RANDOM = np.random.default_rng(0)
BETA = RANDOM.uniform(0.5, 1.5, [3])
GAMMA = RANDOM.uniform(0.1, 0.5, [3, 3])
OFFSET = 2**-18
ROOTS = {
    "gdn/reparam_beta": np.sqrt(BETA + OFFSET**2),
    "gdn/reparam_gamma": np.sqrt(GAMMA + OFFSET**2),
}


def normalized(x, inverse=False, beta=BETA, gamma=GAMMA):
    """The definition, over the last axis."""
    norm = np.sqrt(beta + (x**2) @ gamma)
    return x * norm if inverse else x / norm


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("first", [False, True], ids=["channels_last", "channels_first"])
@pytest.mark.parametrize("shape", [[2, 4, 3], [2, 4, 5, 3], [2, 4, 5, 2, 3]])
def test_gdn_equals_its_definition(mode, inverse, first, shape):
    x = RANDOM.normal(size=shape)
    data_format = "channels_first" if first else "channels_last"

    def layer(inputs):
        return slim.gdn(inputs, inverse=inverse, data_format=data_format)

    result, variables = modes.run(mode, layer, np.moveaxis(x, -1, 1) if first else x, values=ROOTS)
    np.testing.assert_allclose(
        np.moveaxis(result, 1, -1) if first else result, normalized(x, inverse), rtol=1e-12
    )
    assert list(variables) == list(ROOTS)


@pytest.mark.parametrize("mode", modes.MODES)
def test_gradients_equal_differences(mode):
    x = RANDOM.normal(size=[2, 3, 3])

    def layer(inputs):
        return modes.gradients(slim.gdn, inputs, variables=True)

    (of_x, of_beta, of_gamma), _ = modes.run(mode, layer, x, values=ROOTS)
    np.testing.assert_allclose(of_x, modes.numeric_gradient(normalized, x), rtol=1e-6)
    for gradient, root, function in [
        (of_beta, ROOTS["gdn/reparam_beta"], lambda r: normalized(x, beta=r**2 - OFFSET**2)),
        (of_gamma, ROOTS["gdn/reparam_gamma"], lambda r: normalized(x, gamma=r**2 - OFFSET**2)),
    ]:
        np.testing.assert_allclose(gradient, modes.numeric_gradient(function, root), rtol=1e-5)


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("sign", [1, -1])
def test_at_the_bound_only_gradients_that_raise_a_parameter_pass(mode, sign):
    def layer(inputs):
        return modes.gradients(lambda t: sign * slim.gdn(t), inputs, variables=True)[2]

    roots = {"gdn/reparam_gamma": np.zeros([3, 3])}
    gradient, _ = modes.run(mode, layer, np.ones([1, 1, 3]), values=roots)
    # More gamma lowers the output: descent on the output raises it, on its negative lowers it.
    assert np.all(gradient < 0 if sign == 1 else gradient == 0)


@pytest.mark.parametrize("mode", modes.MODES)
def test_the_initial_parameters_are_beta_1_and_a_diagonal_gamma(mode):
    x = RANDOM.normal(size=[2, 3, 3]).astype(np.float32)
    result, variables = modes.run(mode, lambda t: slim.gdn(t, gamma_init=0.3, name="n"), x)
    np.testing.assert_allclose(result, x / np.sqrt(1 + 0.3 * x**2), rtol=1e-5)
    assert list(variables) == ["n/reparam_beta", "n/reparam_gamma"]


@pytest.mark.parametrize("mode", modes.MODES)
def test_a_layer_object_shares_its_variables_between_calls(mode):
    x = np.ones([1, 2, 3], np.float32)
    seen = {}

    def two(inputs):
        layer = slim.GDN(name="norm", trainable=False)
        assert (layer.name, layer.variables) == ("norm", [])
        outputs = layer.apply(layer(inputs))
        other = slim.GDN(name="norm")
        other(inputs)
        names = [[slim.get_variable_full_name(v) for v in each.weights] for each in (layer, other)]
        seen.update(layer=names[0], other=names[1], name=other.name, scope=other.scope_name)
        seen["shapes"] = [layer.beta.shape, layer.gamma.shape]
        seen["kinds"] = [
            len(each.trainable_variables) * 10 + len(each.non_trainable_variables)
            for each in (layer, other)
        ]
        return outputs

    result, variables = modes.run(mode, two, x)
    once = 1 / np.sqrt(1.1)
    np.testing.assert_allclose(result, np.full(x.shape, once / np.sqrt(1 + 0.1 * once**2)), 1e-5)
    assert seen["layer"] == ["norm/reparam_beta", "norm/reparam_gamma"]
    assert seen["other"] == ["norm_1/reparam_beta", "norm_1/reparam_gamma"]
    assert (seen["name"], seen["scope"]) == ("norm_1", "norm_1")
    assert seen["shapes"] == [[3], [3, 3]]
    assert seen["kinds"] == [2, 20]
    assert len(variables) == 4


@pytest.mark.parametrize("mode", modes.MODES)
def test_build_creates_the_variables_of_the_first_call(mode):
    def built(inputs):
        layer = slim.GDN(gamma_init=0.2)
        layer.build(inputs.shape)
        assert len(layer.variables) == 2
        return layer(inputs)

    result, variables = modes.run(mode, built, np.ones([1, 2, 3], np.float32))
    np.testing.assert_allclose(result, np.full([1, 2, 3], 1 / np.sqrt(1.2)), 1e-5)
    assert list(variables) == list(ROOTS)


@pytest.mark.parametrize("mode", modes.MODES)
def test_names_are_exact_in_the_function_and_shared_with_reuse(mode):
    def shared(inputs):
        slim.gdn(inputs, name="n")
        return slim.gdn(inputs, name="n", reuse=True)

    def twice(inputs):
        slim.gdn(inputs, name="n")
        return slim.gdn(inputs, name="n")

    x = np.ones([1, 2, 3], np.float32)
    assert len(modes.run(mode, shared, x)[1]) == 2
    with pytest.raises(ValueError, match="already (exists|requested)"):
        modes.run(mode, twice, x)


@pytest.mark.parametrize("mode", modes.MODES)
def test_the_activity_penalty_is_divided_by_the_batch_size(mode):
    x = RANDOM.normal(size=[2, 3, 3])

    def layer(inputs):
        slim.gdn(inputs, activity_regularizer=lambda y: tf.reduce_sum(y**2))
        return slim.losses.get_total_loss()

    result, _ = modes.run(mode, layer, x, values=ROOTS)
    np.testing.assert_allclose(result, (normalized(x) ** 2).sum() / 2)


@pytest.mark.parametrize(
    "shape, arguments, message",
    [
        ([2, 3, 4], {"data_format": "NHWC"}, "data_format='NHWC' is not known. Known: channels_la"),
        ([2, 3], {}, "inputs have shape .2, 3., but GDN needs a rank of 3 to 5"),
        (None, {}, "inputs have shape <unknown>, but GDN needs a rank of 3 to 5"),
        ([2, 3, None], {}, "the channel axis of inputs .* must have a known size"),
    ],
)
def test_errors(shape, arguments, message):
    layer = tf.function(lambda x: slim.gdn(x, **arguments))
    with pytest.raises(ValueError, match=message):
        layer.get_concrete_function(tf.TensorSpec(shape))
    with pytest.raises(ValueError, match="GDN has no scope before its first call"):
        slim.GDN().scope_name  # noqa: B018
