"""Training preprocessing: a pure function of its seed, within TF-Slim's bounds."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from preprocessing import (
    centering,
    cifarnet_preprocessing,
    inception_preprocessing,
    legacy_resize,
    preprocessing_factory,
    vgg_preprocessing,
)
from slim import _checks

SIZES = {"cifarnet": 32, "inception": 40, "lenet": 28, "none": 40, "vgg": 64}
RNG = np.random.RandomState(0)
IMAGE = RNG.randint(0, 256, (50, 60, 3), np.uint8)


def seed(number):
    return tf.constant([number, 7], tf.int32)


def train(name, image=IMAGE, number=0, **kwargs):
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)
    return prepare(image, SIZES[name], SIZES[name], seed=seed(number), **kwargs).numpy()


@pytest.mark.parametrize("name", sorted(SIZES))
def test_training_is_a_pure_function_of_the_seed_eager_and_traced(name):
    prepare = preprocessing_factory.get_preprocessing(name, is_training=True)
    size = SIZES[name]
    traced = tf.function(
        lambda image, seed: prepare(image, size, size, seed=seed)
    ).get_concrete_function(tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32))
    assert traced.structured_outputs.shape == (size, size, 3)
    results = []
    for number in range(4):
        eager = train(name, number=number)
        np.testing.assert_array_equal(eager, train(name, number=number))
        np.testing.assert_allclose(traced(IMAGE, seed(number)), eager, atol=1e-3)
        results.append(eager.tobytes())
    assert len(set(results)) == (1 if name in ("lenet", "none") else 4)


@pytest.mark.parametrize("name", sorted(preprocessing_factory.PREPROCESSINGS))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("is_training", [True, False])
def test_number_of_channels_is_as_documented(name, channels, is_training):
    image = tf.constant(IMAGE[..., :channels])
    kwargs = {"seed": seed(1)} if is_training else {}
    size = SIZES.get(name, 32)
    gray = preprocessing_factory.get_preprocessing(name, is_training, use_grayscale=True)
    assert gray(image, size, size, **kwargs).shape == (size, size, 1)
    plain = preprocessing_factory.get_preprocessing(name, is_training)
    expected = preprocessing_factory.prepared_channels(name, channels)
    assert plain(image, size, size, **kwargs).shape == (size, size, expected)
    assert preprocessing_factory.prepared_channels(name, channels, use_grayscale=True) == 1


@pytest.mark.parametrize("is_training", [True, False])
def test_float_images_equal_uint8_images(is_training):
    kwargs = {"seed": seed(1)} if is_training else {}
    for name, scale in (("lenet", 1), ("cifarnet", 1), ("vgg", 1), ("inception", 255)):
        prepare = preprocessing_factory.get_preprocessing(name, is_training)
        image = tf.cast(IMAGE, tf.float32) / scale
        np.testing.assert_allclose(
            prepare(image, 32, 32, **kwargs), prepare(IMAGE, 32, 32, **kwargs), atol=1e-4
        )


@pytest.mark.parametrize("name", sorted(SIZES))
def test_height_and_width_are_in_order(name):
    for is_training, kwargs in ((True, {"seed": seed(0)}), (False, {})):
        prepare = preprocessing_factory.get_preprocessing(name, is_training)
        assert prepare(IMAGE, 24, 30, **kwargs).shape == (24, 30, 3)


def test_preprocess_image_selects_training_or_evaluation():
    for module in (cifarnet_preprocessing, inception_preprocessing, vgg_preprocessing):
        np.testing.assert_array_equal(
            module.preprocess_image(IMAGE, 24, 24, is_training=True, seed=seed(3)),
            module.preprocess_for_train(IMAGE, 24, 24, seed=seed(3)),
        )
        np.testing.assert_array_equal(
            module.preprocess_image(IMAGE, 24, 24), module.preprocess_for_eval(IMAGE, 24, 24)
        )


def test_vggs_preprocess_image_accepts_the_sides_in_evaluation():
    prepare = vgg_preprocessing.preprocess_image
    sides = {"resize_side_min": 40, "resize_side_max": 50}
    np.testing.assert_array_equal(
        prepare(IMAGE, 24, 24, **sides),
        vgg_preprocessing.preprocess_for_eval(IMAGE, 24, 24, resize_side=40),
    )
    np.testing.assert_array_equal(
        prepare(IMAGE, 24, 24, is_training=True, seed=seed(3), **sides),
        vgg_preprocessing.preprocess_for_train(IMAGE, 24, 24, seed=seed(3), **sides),
    )


# ---- lenet and cifarnet --------------------------------------------------------------------------


def test_lenet_crops_pads_and_scales():
    image = np.full((30, 20, 1), 255, np.uint8)
    result = train("lenet", tf.constant(image))
    assert result.shape == (28, 28, 1)
    np.testing.assert_array_equal(result[:, :4], -1)
    np.testing.assert_array_equal(result[:, 4:24], 127 / 128)
    np.testing.assert_array_equal(result[:, 24:], -1)


def test_cifarnet_is_standardized():
    for number in range(5):
        result = train("cifarnet", number=number)
        assert abs(result.mean()) < 1e-4
        assert abs(result.std() - 1) < 1e-3


def test_cifarnet_shifts_by_at_most_the_padding_and_flips():
    dot = np.zeros((32, 32, 1), np.uint8)
    dot[16, 10] = 255
    places, flips = set(), 0
    for number in range(200):
        row, column = np.unravel_index(
            train("cifarnet", tf.constant(dot), number).argmax(), (32, 32)
        )
        flips += column > 16
        places.add((row - 16, (31 - column if column > 16 else column) - 10))
    assert {abs(shift) for place in places for shift in place} == {0, 1, 2, 3, 4}
    assert 60 < flips < 140


@pytest.mark.parametrize("size", [(24, 30), (8, 8), (41, 35), (5, 51), (40, 7)])
def test_crop_or_pad_equals_tensorflows(size):
    image = tf.constant(RNG.normal(size=[*size, 3]), tf.float32)
    traced = tf.function(centering.crop_or_pad).get_concrete_function(
        tf.TensorSpec([None, None, 3]), 24, 30
    )
    assert traced.structured_outputs.shape == (24, 30, 3)
    expected = tf.image.resize_with_crop_or_pad(image, 24, 30)
    np.testing.assert_array_equal(centering.crop_or_pad(image, 24, 30), expected)
    np.testing.assert_array_equal(traced(image), expected)


@pytest.mark.parametrize("size", [(32, 32), (8, 8), (40, 31), (5, 50)])
def test_cifarnet_is_bit_identical_to_tensorflows_functions(size):
    pixels = tf.constant(np.random.default_rng(0).integers(0, 256, [*size, 3]), tf.uint8)
    for number in range(4):
        top, left, flip, brightness, contrast = tf.random.stateless_uniform([5], seed(number))
        image = tf.image.resize_with_crop_or_pad(
            tf.cast(pixels, tf.float32), max(24, size[0]), max(30, size[1])
        )
        image = tf.pad(image, [[4, 4], [4, 4], [0, 0]])
        place = int(top * (image.shape[0] - 23)), int(left * (image.shape[1] - 29))
        image = tf.image.crop_to_bounding_box(image, *place, 24, 30)
        image = tf.image.flip_left_right(image) if flip < 0.5 else image
        image = tf.image.adjust_brightness(image, 63 * (2 * brightness - 1))
        image = tf.image.adjust_contrast(image, 0.2 + 1.6 * contrast)
        expected = tf.image.per_image_standardization(image)
        result = cifarnet_preprocessing.preprocess_for_train(pixels, 24, 30, seed=seed(number))
        np.testing.assert_array_equal(result, expected)


def test_cifarnet_pads_small_images():
    assert train("cifarnet", IMAGE[:8, :8]).shape == (32, 32, 3)


# ---- inception -----------------------------------------------------------------------------------


def test_inceptions_values_are_in_range():
    for fast_mode in (True, False):
        for number in range(20):
            result = train("inception", number=number, fast_mode=fast_mode)
            assert result.min() >= -1
            assert result.max() <= 1


def test_inception_crops_within_tf_slims_bounds():
    image = tf.zeros([200, 300, 3])
    areas, aspects = [], []
    for number in range(300):
        height, width, _ = inception_preprocessing.distorted_bounding_box_crop(
            image, seed(number)
        ).shape
        areas.append(height * width / 60_000)
        aspects.append(width / height)
    assert 0.04 < min(areas) < 0.2
    assert 0.7 < max(areas) <= 1
    assert 0.73 < min(aspects) < 0.85
    assert 1.2 < max(aspects) < 1.37


def test_inception_crops_within_custom_ranges():
    image = tf.zeros([200, 300, 3])
    ranges = {"aspect_ratio_range": (1.9, 2.1), "area_range": (0.3, 0.4)}
    for number in range(50):
        height, width, _ = inception_preprocessing.distorted_bounding_box_crop(
            image, seed(number), **ranges
        ).shape
        assert 0.29 < height * width / 60_000 < 0.41
        assert 1.88 < width / height < 2.12
    settings = {"random_flip": False, "color_distortion": "none"}
    whole = {"aspect_ratio_range": (1.2, 1.2), "area_range": (1.0, 1.0)}  # of 50 x 60 pixels
    np.testing.assert_array_equal(
        train("inception", **settings, **whole), train("inception", **settings, random_crop=False)
    )
    assert np.any(train("inception", **settings) != train("inception", **settings, **whole))


def test_inceptions_crops_cover_the_minimum_fraction():
    box = tf.constant([[[0.0, 0.0, 0.5, 0.5]]])
    image = tf.zeros([100, 100, 1])
    crop = functools.partial(
        inception_preprocessing.distorted_bounding_box_crop, image, bbox=box, area_range=(0.1, 1)
    )
    areas = [
        [tf.size(crop(seed(number), min_object_covered=fraction)) for number in range(50)]
        for fraction in (0.1, 0.9)
    ]
    assert min(areas[0]) < 2000
    assert min(areas[1]) >= 2200
    # Parts of this area rarely fit; the whole image is used if no draw does.
    narrow = {"aspect_ratio_range": (0.1, 10.0), "area_range": (0.9, 0.95)}
    few, many = (
        sum(crop(seed(i), max_attempts=attempts, **narrow).shape[0] == 100 for i in range(30))
        for attempts in (1, 100)
    )
    assert few > many + 10


def test_inceptions_crops_overlap_the_box():
    box = tf.constant([[[0.0, 0.0, 0.2, 0.2]]])
    ramp = tf.reshape(tf.range(100 * 100, dtype=tf.float32), [100, 100, 1])
    for number in range(50):
        part = inception_preprocessing.distorted_bounding_box_crop(ramp, seed(number), box).numpy()
        rows, columns = part // 100, part % 100
        assert ((rows < 20) & (columns < 20)).sum() >= 0.1 * 400 - 40


@pytest.mark.parametrize("fast_mode", [True, False])
def test_color_orders_differ(fast_mode):
    image = tf.constant(RNG.uniform(0.2, 0.8, (8, 8, 3)).astype(np.float32))
    results = {
        inception_preprocessing.distort_color(image, seed(1), order, fast_mode).numpy().tobytes()
        for order in range(4)
    }
    assert len(results) == (2 if fast_mode else 4)
    with pytest.raises(ValueError, match="color_ordering=4 must be 0, 1, 2 or 3"):
        inception_preprocessing.distort_color(image, seed(1), 4)


# ---- vgg -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(50, 60), (60, 50), (333, 77), (256, 256), (299, 1000)])
@pytest.mark.parametrize("side", [256, 299, 512])
def test_vgg_resizes_the_smallest_side(shape, side):
    image = vgg_preprocessing.aspect_preserving_resize(tf.zeros([*shape, 3]), side)
    assert min(image.shape[:2]) == side
    assert max(image.shape[:2]) == pytest.approx(side * max(shape) / min(shape), abs=1)


def test_vgg_subtracts_the_means():
    for channels, gray in ((3, False), (3, True), (1, False)):
        white = tf.fill([20, 20, channels], 255.0)
        prepare = preprocessing_factory.get_preprocessing("vgg", use_grayscale=gray)
        mean = np.array([123.68, 116.78, 103.94])
        expected = 255 - (mean @ [0.2989, 0.5870, 0.1140] if gray else mean)
        np.testing.assert_allclose(prepare(white, 8, 8)[0, 0], np.ravel(expected), rtol=1e-3)


@pytest.mark.parametrize("is_training", [True, False])
def test_vgg_with_a_too_large_size_is_an_error(is_training):
    prepare = preprocessing_factory.get_preprocessing("vgg", is_training)
    kwargs = {"seed": seed(0)} if is_training else {}
    with pytest.raises(
        _checks.UserError,
        match=r"height=299, width=299 is larger than .* side is 256: use at most 256 pixels",
    ):
        prepare(IMAGE, 299, 299, **kwargs)


def test_vgg_with_sides_in_the_wrong_order_is_an_error():
    with pytest.raises(
        _checks.UserError, match="resize_side_max=200 is smaller than resize_side_min=256"
    ):
        train("vgg", resize_side_max=200)


# ---- resizing and the factory --------------------------------------------------------------------


@pytest.mark.parametrize("method", legacy_resize.METHODS)
def test_legacy_resize_uses_integer_coordinates(method):
    ramp = tf.tile(tf.reshape(tf.range(8.0), [1, 8, 1]), [4, 1, 1])
    resized = legacy_resize.resize(ramp, 2, 4, method).numpy()
    expected = [0.5, 2.5, 4.5, 6.5] if method == "area" else [0, 2, 4, 6]
    np.testing.assert_allclose(resized[0, :, 0], expected, atol=0.15)


def test_unknown_name_error_suggests_the_nearest_and_names_the_table():
    message = (
        "no preprocessing is known for 'incepton'; did you mean 'inception'.* Known: .*cifarnet, .*"
        "If 'incepton' is a new network, add it to NETWORKS in nets/nets_factory.py"
    )
    with pytest.raises(_checks.UserError, match=message):
        preprocessing_factory.get_preprocessing("incepton")


def test_preprocessing_of_detectors_is_an_error():
    with pytest.raises(_checks.UserError, match="'ssd_vgg' is not supported: it needs boxes, whi"):
        preprocessing_factory.resolve_name("ssd_vgg")


def test_every_name_resolves_to_a_function():
    for name in {
        *preprocessing_factory.PREPROCESSINGS,
        *preprocessing_factory.NETWORK_PREPROCESSINGS,
    }:
        assert callable(preprocessing_factory.get_preprocessing(name, True))
    assert preprocessing_factory.resolve_name("mobilenet_v2_140") == "inception"
    assert preprocessing_factory.resolve_name("resnet_v1_50") == "vgg"


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.5, 4.0])
def test_saturation_equals_tensorflows(factor):
    colors = np.random.RandomState(1).uniform(-0.2, 1.2, (40, 50, 3)).astype(np.float32)
    colors[:3], colors[3], colors[4] = colors[:3, :, :1], 0.0, [1.0, 0.0, 0.5]
    expected = tf.image.adjust_saturation(colors, factor)
    ours = inception_preprocessing.adjust_saturation(tf.constant(colors), factor)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
