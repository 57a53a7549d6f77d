"""A slim network as a Keras model: trained by `fit`, saved, loaded, and equal to the function."""

import keras
import numpy as np
import pytest

import slim
from slim import _checks, checkpoints
from tests.slim import tiny

# Keras 3.15 converts its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


@keras.saving.register_keras_serializable(package="tests")
def tiny_network(images, is_training):
    """`tiny.network`, with its hidden layer as a second output."""
    return tiny.network(images, is_training), {}


def compiled(**arguments):
    model = slim.KerasModel(tiny_network, store=slim.VariableStore(seed=0), **arguments)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    return model


def plain(model, images, is_training=False):
    with model.store.as_default():
        return tiny.network(images, is_training).numpy()


@pytest.mark.parametrize("called_first", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_fit_trains_the_store(called_first, tmp_path):
    images, labels = tiny.arrays()
    model = compiled()
    if called_first:
        model(images)
    history = model.fit(images, labels, epochs=15, batch_size=16, shuffle=False, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    assert np.abs(model.store.named_variable("tiny/norm/moving_mean").numpy()).max() > 0
    outputs = model.predict(images, verbose=0)
    np.testing.assert_array_equal(outputs, plain(model, images))
    assert model.evaluate(images, labels, verbose=0)[1] > 0.8
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), outputs)
    np.testing.assert_array_equal(plain(loaded, images), outputs)
    # Its optimizer has the slots.
    assert int(loaded.optimizer.iterations.numpy()) == 15 * 4
    loaded.fit(images, labels, epochs=1, verbose=0)


def test_one_step_equals_slims_own_trainer():
    images, labels = tiny.arrays(16)
    model = compiled()
    model.fit(images, labels, epochs=1, batch_size=16, verbose=0)
    op = tiny.built_op(optimizer=slim.optimizers.Momentum(0.1, momentum=0.9))
    tiny.run(op, [(images, labels)])
    for name, variable in model.store.named_variables.items():
        expected = op.store.named_variable(name).numpy()
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5, atol=1e-7, err_msg=name)


def test_weights_have_the_names_of_the_store_and_restore_from_a_checkpoint(tmp_path):
    images, _ = tiny.arrays()
    model = compiled(name="net")
    model.build(images.shape)
    names = {weight.path for weight in model.weights}
    assert names == {f"net/{name}" for name in model.store.named_variables}
    assert len(model.non_trainable_weights) == 2
    op = tiny.built_op()
    prefix = checkpoints.save(str(tmp_path / "model.ckpt-1"), op.store.named_variables)
    checkpoints.restore(prefix, model.store.named_variables)
    with op.store.as_default():
        expected = tiny.network(images, False).numpy()
    np.testing.assert_array_equal(model(images).numpy(), expected)


def test_penalties_are_losses_of_the_model():
    images, _ = tiny.arrays()
    model = compiled()
    model(images)
    weights = model.store.named_variable("tiny/hidden/weights").numpy()
    assert [float(loss) for loss in model.losses] == pytest.approx([0.5e-3 * (weights**2).sum()])


def test_a_network_by_name_inside_another_model(tmp_path):
    lenet = slim.KerasModel("lenet", num_classes=10, weight_decay=1e-3)
    model = keras.Sequential([keras.Input((28, 28, 1)), lenet, keras.layers.Softmax()])
    images = np.random.RandomState(0).rand(2, 28, 28, 1).astype("float32")
    outputs = model.predict(images, verbose=0)
    assert outputs.shape == (2, 10)
    assert len(model.losses) == 4
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), outputs)


@pytest.mark.parametrize(
    "network, message",
    [
        (3, "network=3 must be a name of nets.nets_factory, such as 'resnet_v1_50'"),
        ("resnet", "network='resnet' is not known; did you mean"),
    ],
)
def test_other_networks_are_errors(network, message):
    with pytest.raises(_checks.UserError, match=message):
        slim.KerasModel(network)
