"""The weights of `keras.applications` models, on slim's networks: equal logits."""

import numpy as np
import pytest
import tensorflow as tf

import slim
from nets import keras_applications, nets_factory
from slim import _checks

CLASSES = 7
V3 = {"include_preprocessing": False}
MINIMAL = {**V3, "minimalistic": True}
slow = pytest.mark.slow


def random_model(constructor, size, **arguments):
    """Returns a model with random weights, moving averages included, and no softmax."""
    model = getattr(tf.keras.applications, constructor)(
        weights=None, classes=CLASSES, classifier_activation=None, input_shape=(size, size, 3),
        **arguments,
    )  # fmt: skip
    random = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, shape))
        else:
            scale = 0.1 if len(shape) == 1 else (2 / np.prod(shape[:-1])) ** 0.5
            weight.assign(random.normal(0, scale, shape))
    return model


@pytest.mark.parametrize(
    "constructor, network, size, arguments",
    [
        ("MobileNet", "mobilenet_v1_025", 32, {"alpha": 0.25}),
        pytest.param("MobileNet", "mobilenet_v1", 64, {}, marks=slow),
        pytest.param("MobileNetV2", "mobilenet_v2_035", 64, {"alpha": 0.35}, marks=slow),
        pytest.param("MobileNetV2", "mobilenet_v2_140", 64, {"alpha": 1.4}, marks=slow),
        pytest.param("MobileNetV3Small", "mobilenet_v3_small", 64, V3, marks=slow),
        pytest.param("MobileNetV3Large", "mobilenet_v3_large", 64, V3, marks=slow),
        pytest.param(
            "MobileNetV3Small", "mobilenet_v3_small_minimalistic", 64, MINIMAL, marks=slow
        ),
        pytest.param(
            "MobileNetV3Large", "mobilenet_v3_large_minimalistic", 64, MINIMAL, marks=slow
        ),
        pytest.param("InceptionV3", "inception_v3", 107, {}, marks=slow),
        pytest.param("InceptionResNetV2", "inception_resnet_v2", 107, {}, marks=slow),
        pytest.param("VGG16", "vgg_16", 224, {}, marks=slow),
        pytest.param("VGG19", "vgg_19", 224, {}, marks=slow),
    ],
)
def test_logits_are_equal(constructor, network, size, arguments):
    model = random_model(constructor, size, **arguments)
    values = keras_applications.values(model, network)
    assert len(values) == len(model.weights)
    images = np.random.default_rng(1).uniform(-1, 1, [2, size, size, 3]).astype(np.float32)
    network_fn = nets_factory.get_network_fn(network, CLASSES, is_training=False)
    store = slim.VariableStore(seed=0)
    store.build(network_fn, tf.TensorSpec(images.shape))
    with store.as_default():
        slim.assign_from_values(values)
        logits, _ = network_fn(images)
    expected = model(images, training=False).numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(np.reshape(logits, expected.shape), expected, rtol=1e-4, atol=1e-5)


def test_errors():
    model = random_model("MobileNet", 32, alpha=0.25)
    for network, message in [
        ("resnet_v1_50", "network='resnet_v1_50' is not known; .* Known: vgg_16,"),
        ("mobilenet_v1_050", r"Conv2d_0/weights has shape .3, 3, 3, 16., but conv1.kernel has .3,"),
        ("mobilenet_v2_035", "not mobilenet_v2_035 of keras.applications .* no layer Conv1"),
    ]:
        with pytest.raises(_checks.UserError, match=message):
            keras_applications.values(model, network)


def test_every_network_exists():
    assert set(keras_applications.NETWORKS) <= set(nets_factory.NETWORKS)
