import numpy as np
import pytest
import tensorflow as tf

import slim
from slim.graph import KEYS
from tests.slim import modes

RANDOM = np.random.default_rng(0)
WEIGHTS, BIAS = RANDOM.normal(size=[3, 2]), RANDOM.normal(size=[2])
VALUES = {"fully_connected/weights": WEIGHTS, "fully_connected/bias": BIAS}


@pytest.mark.parametrize("mode", modes.MODES)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("shape", [[4, 3], [0, 3], [2, 4, 3], [2, 1, 4, 3]])
@pytest.mark.parametrize(
    "layer, activation",
    [
        (slim.legacy_fully_connected, lambda y: y),
        (slim.legacy_linear, lambda y: y),
        (slim.legacy_relu, lambda y: np.maximum(y, 0)),
    ],
)
def test_layers_equal_numpy(mode, known, shape, layer, activation):
    x = RANDOM.normal(size=shape)

    def connected(inputs):
        inputs.set_shape([*[None] * (len(shape) - 1), 3])
        return layer(inputs, 2)

    result, variables = modes.run(mode, connected, x, values=VALUES, known=known)
    np.testing.assert_allclose(result, activation(x @ WEIGHTS + BIAS))
    assert list(variables) == list(VALUES)


@pytest.mark.parametrize("mode", modes.MODES)
def test_collections_penalties_and_names(mode):
    seen = {}

    def two(x):
        y = slim.legacy_relu(x, 2, weight_collections=["w"], output_collections=["y"], name="a")
        y = slim.legacy_linear(
            y, 1, bias_init=None, trainable=False, weight_regularizer=slim.l2_regularizer(1.0)
        )
        variables = {key: slim.get_variables(collection=key) for key in ("w", KEYS.BIASES)}
        variables |= {"model": slim.get_model_variables(), "train": slim.get_trainable_variables()}
        for key, matches in variables.items():
            seen[key] = [slim.get_variable_full_name(v) for v in matches]
        outputs = {key: slim.convert_collection_to_dict(key) for key in ("y", KEYS.ACTIVATIONS)}
        seen.update({key: len(matches) for key, matches in outputs.items()})
        return slim.losses.get_total_loss()

    values = {"fully_connected/weights": np.array([[3.0], [4.0]])}
    loss, variables = modes.run(mode, two, np.ones([1, 3]), values=values)
    assert loss == 12.5
    assert list(variables) == ["a/weights", "a/bias", "fully_connected/weights"]
    assert seen == {
        "w": ["a/weights"], KEYS.BIASES: ["a/bias"], "model": [],
        "train": ["a/weights", "a/bias"], "y": 1, KEYS.ACTIVATIONS: 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "shape, message",
    [
        (None, "dims of x must be known but is None"),
        ([3], "rank of x must be at least 2 not: 1"),
        ([3, None], "last dimension of x must be known but is None"),
    ],
)
def test_errors(shape, message):
    layer = tf.function(lambda x: slim.legacy_relu(x, 2))
    with pytest.raises(ValueError, match=message):
        layer.get_concrete_function(tf.TensorSpec(shape))
