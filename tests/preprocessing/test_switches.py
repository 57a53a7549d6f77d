"""Each distortion of the training preprocessings can be switched off separately."""

import importlib
import inspect

import numpy as np
import pytest
import tensorflow as tf

from nets import nets_factory
from preprocessing import preprocessing_factory
from slim import _checks

OFF = {"random_crop": False, "random_flip": False, "color_distortion": "none"}
PREPROCESSINGS = preprocessing_factory.PREPROCESSINGS
WITH_SWITCHES = [name for name, spec in PREPROCESSINGS.items() if spec.switches]
IMAGE = np.random.RandomState(0).randint(0, 256, (50, 60, 3), np.uint8)


def train(name, number=0, image=IMAGE, **switches):
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)
    return prepare(image, 40, 40, seed=tf.constant([number, 7]), **switches).numpy()


def off(name, *except_for):
    """Returns the arguments that switch off all distortions except some."""
    switches = PREPROCESSINGS[name].switches
    kwargs = {switch: OFF[switch] for switch in switches if switch not in except_for}
    if name == "vgg":
        kwargs |= {"resize_side_min": 64, "resize_side_max": 64}
    return kwargs


@pytest.mark.parametrize("name", WITH_SWITCHES)
def test_all_switched_off_is_deterministic(name):
    results = {train(name, number, **off(name)).tobytes() for number in range(6)}
    assert len(results) == 1


@pytest.mark.parametrize(
    "name, switch",
    [(name, switch) for name in WITH_SWITCHES for switch in PREPROCESSINGS[name].switches],
)
def test_each_distortion_alone_is_random(name, switch):
    results = {train(name, number, **off(name, switch)).tobytes() for number in range(8)}
    assert len(results) == 2 if switch == "random_flip" else len(results) > 4


@pytest.mark.parametrize("name", WITH_SWITCHES)
def test_random_flip_alone_flips_horizontally(name):
    plain = train(name, **off(name))
    for number in range(8):
        result = train(name, number, **off(name, "random_flip"))
        assert min(np.abs(result - plain).max(), np.abs(result - plain[:, ::-1]).max()) < 2e-3


def test_inception_without_crop_resizes_the_whole_image():
    evaluated = preprocessing_factory.get_preprocessing("inception")(
        IMAGE, 40, 40, central_fraction=None
    )
    np.testing.assert_allclose(train("inception", **off("inception")), evaluated, atol=1e-6)


def test_cifarnet_without_distortions_equals_evaluation():
    evaluated = preprocessing_factory.get_preprocessing("cifarnet")(IMAGE, 40, 40)
    np.testing.assert_allclose(train("cifarnet", **off("cifarnet")), evaluated, atol=1e-5)


def test_full_color_distortion_changes_the_hue_and_fast_does_not():
    gray = tf.fill([40, 40, 3], tf.constant(128, tf.uint8))
    reddish = tf.constant(np.tile(np.uint8([150, 120, 100]), (40, 40, 1)))
    for number in range(5):
        fast = train("inception", number, gray, color_distortion="fast")
        assert np.ptp(fast, axis=-1).max() < 1e-5
        order = train("inception", number, reddish, color_distortion="fast")[0, 0].argsort()
        np.testing.assert_array_equal(order, [2, 1, 0])
    full = [train("inception", number, reddish, color_distortion="full") for number in range(20)]
    assert any(list(each[0, 0].argsort()) != [2, 1, 0] for each in full)


def test_switches_are_arguments_of_preprocess_for_train():
    for spec in PREPROCESSINGS.values():
        module = importlib.import_module(f"preprocessing.{spec.module}")
        parameters = inspect.signature(module.preprocess_for_train).parameters
        assert [switch for switch in OFF if switch in parameters] == list(spec.switches)


def test_unsupported_switch_error_names_preprocessings_that_have_it():
    with pytest.raises(
        _checks.UserError,
        match="color_distortion is not supported: preprocessing 'vgg' .* in cifarnet, inception$",
    ):
        preprocessing_factory.check_switches("resnet_v1_50", ["random_flip", "color_distortion"])


def test_every_network_has_a_preprocessing():
    known = preprocessing_factory.PREPROCESSINGS
    missing = [n for n, spec in nets_factory.NETWORKS.items() if spec.preprocessing not in known]
    assert not missing
