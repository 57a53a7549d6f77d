"""Images of all types, in eager code and in a plain graph, against TensorFlow's decoders."""

import functools
import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from slim.data import image_header
from slim.data.tfexample_decoder import BackupHandler, Image, TFExampleDecoder

RGB = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3) * 2


MODES = ["eager", "graph", "graph with TensorFlow 1's control flow"]
PARAMETERS = [*MODES[:2], pytest.param(MODES[2], marks=pytest.mark.slow)]
in_two_modes = pytest.mark.parametrize("run", MODES[:2], indirect=True)
in_all_modes = pytest.mark.parametrize("run", PARAMETERS, indirect=True)


def in_two_modes_for(name, *cases):
    """Like `in_two_modes` for each case; in a graph all but the first are slow."""
    parameters = [
        pytest.param(
            case,
            mode,
            id=f"{getattr(case, 'name', case)}-{mode}",
            marks=[pytest.mark.slow] * (mode == "graph" and case is not cases[0]),
        )
        for case in cases
        for mode in MODES[:2]
    ]
    return pytest.mark.parametrize([name, "run"], parameters, indirect=["run"])


@pytest.fixture(params=PARAMETERS)
def run(request):
    """Returns a function that evaluates a function of no arguments."""

    def evaluate(function):
        if request.param == "eager":
            return function().numpy()
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            return session.run(function())

    if "control flow" in request.param:
        tf.compat.v1.disable_control_flow_v2()
    yield evaluate
    tf.compat.v1.enable_control_flow_v2()


def encoded(kind, mode="RGB"):
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def item(handler, contents, name=None):
    features = {"image/encoded": tf.constant(contents)}
    if name is not None:
        features["image/format"] = tf.constant(name)
    return handler.tensors_to_item(features)


@in_two_modes_for("dtype", tf.uint8, tf.uint16, tf.int32, tf.float32)
def test_pixels_of_a_jpeg_are_cast(run, dtype):
    contents = encoded("JPEG")
    image = run(lambda: item(Image(dtype=dtype), contents, b"jpeg"))
    assert image.dtype == dtype.as_numpy_dtype
    np.testing.assert_array_equal(image, tf.io.decode_jpeg(contents).numpy().astype(image.dtype))


@in_two_modes_for("dtype", tf.uint8, tf.uint16, tf.float32)
def test_pixels_of_a_png_have_the_depth_of_the_type(run, dtype):
    contents = encoded("PNG")
    image = run(lambda: item(Image(dtype=dtype), contents))
    np.testing.assert_array_equal(image, tf.io.decode_image(contents, 3, dtype))


@in_two_modes_for("channels", 1, 3, 4, None)
def test_png_has_the_requested_channels(run, channels):
    contents = encoded("PNG", "RGBA")
    image = run(lambda: item(Image(channels=channels), contents, b"png"))
    np.testing.assert_array_equal(image, tf.io.decode_png(contents, channels or 0))


def test_unsupported_channels_are_an_error():
    with pytest.raises(ValueError, match="channels=2 of an Image must be 1, 3, 4 or None"):
        Image(channels=2)


@in_two_modes_for("method", "INTEGER_FAST", "INTEGER_ACCURATE")
def test_dct_method_applies_to_jpeg(run, method):
    contents = encoded("JPEG")
    image = run(lambda: item(Image(dct_method=method), contents))
    np.testing.assert_array_equal(image, tf.io.decode_jpeg(contents, dct_method=method))
    np.testing.assert_array_equal(run(lambda: item(Image(dct_method=method), encoded("PNG"))), RGB)


@in_all_modes
def test_raw_pixels_have_the_given_shape_and_type(run):
    for pixels, name in ((RGB, b"raw"), (RGB / np.float32(2), b"RAW")):
        handler = Image(shape=(4, 8, 3), dtype=tf.as_dtype(pixels.dtype))
        image = run(functools.partial(item, handler, pixels.tobytes(), name))
        np.testing.assert_array_equal(image, pixels)
    np.testing.assert_array_equal(run(lambda: item(Image(shape=RGB.shape), encoded("PNG"))), RGB)
    flat = run(lambda: item(Image(shape=[-1]), encoded("PNG"), b"png"))
    np.testing.assert_array_equal(flat, RGB.ravel())
    gray = run(lambda: item(Image(shape=(4, 24, 1)), RGB.tobytes(), [b"raw"]))
    np.testing.assert_array_equal(gray, RGB.reshape(4, 24, 1))


def test_shape_in_a_graph_is_static():
    with tf.Graph().as_default():
        assert item(Image(shape=RGB.shape), encoded("PNG"), b"png").shape == RGB.shape
        assert item(Image(), encoded("PNG"), b"png").shape.as_list() == [None, None, 3]
        shape = tf.constant(RGB.shape)
        assert item(Image(shape=shape), encoded("PNG"), b"png").shape == RGB.shape


def test_raw_pixels_without_a_shape_are_a_vector_in_a_graph_only():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = item(Image(), RGB.tobytes(), b"raw")
        np.testing.assert_array_equal(session.run(tf.reshape(image, RGB.shape)), RGB)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        item(Image(), RGB.tobytes(), b"raw")


def test_image_of_another_size_is_an_error(run):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[4,8,3\].*\[8,4,3\]"):
        run(lambda: item(Image(shape=(8, 4, 3)), encoded("PNG"), b"png"))


@in_all_modes
@pytest.mark.parametrize("shape", [None, (4, 8, 3)])
def test_repeated_images_are_stacked(run, shape):
    contents = [encoded("PNG"), encoded("BMP")]
    images = run(lambda: item(Image(shape=shape, repeated=True), contents, b"png"))
    np.testing.assert_array_equal(images, [RGB, RGB])


def test_gif_is_its_first_frame(run):
    assert run(lambda: item(Image(), encoded("GIF", "P"), b"gif")).shape == (4, 8, 3)


def test_limit_of_pixels_reaches_images_in_other_handlers(run):
    handler = BackupHandler(Image("empty"), Image(dtype=tf.uint8, repeated=False))
    features = {key: tf.io.FixedLenFeature([], tf.string) for key in ("empty", "image/encoded")}
    decoder = TFExampleDecoder(features, {"image": handler})
    example = tf.train.Example()
    for key in features:
        example.features.feature[key].bytes_list.value.append(encoded("PNG"))
    record = example.SerializeToString()
    np.testing.assert_array_equal(run(lambda: decoder.decode(record)[0]), RGB)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        run(lambda: decoder.with_max_pixels(31).decode(record)[0])
    assert "more than max_pixels=31" in image_header.find_problem(str(error.value))
