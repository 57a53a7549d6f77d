"""Limits of encoded images: Python and the graph give the same result for the same bytes."""

import io
import random

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from slim import _files, _image_limits
from slim._file_ranges import FileRange
from slim.data import image_header, image_layouts, tfexample_decoder
from tests.datasets import bombs, mutations

REFUSED = bombs.rejected()
ACCEPTED = bombs.accepted()
_SCALAR = [tf.TensorSpec([], tf.string)]


@tf.function(autograph=False, input_signature=_SCALAR)
def inspect(contents):
    return image_header.inspect(contents)


@tf.function(autograph=False, input_signature=_SCALAR)
def bounded(contents):
    return image_header.bounded(contents)


@pytest.mark.parametrize("name", REFUSED)
def test_image_above_a_limit_is_rejected_with_the_same_reason_in_python_and_graph(name):
    content, reason = REFUSED[name]
    assert _image_limits.problem(content) == reason
    assert inspect(content)[0].numpy().decode() == reason
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        bounded(content)
    assert image_header.find_problem(error.value.message) == reason


@pytest.mark.parametrize("name", [name for name in ACCEPTED if not name.endswith(".tif")])
def test_an_image_within_the_limits_decodes_to_the_same_pixels(name):
    content = ACCEPTED[name]
    assert _image_limits.problem(content) is None
    assert inspect(content)[0] == b""
    assert (bounded(content) == content) == (name not in ("moving.gif", "long.gif"))
    expected = tf.io.decode_image(content, channels=3, expand_animations=False)
    decoded = tf.io.decode_image(bounded(content), channels=3, expand_animations=False)
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("content", [b"", b"G", b"GIF89a", b"\xff\xd8\xff", b"RIFF", b"<html>"])
def test_content_other_than_images_is_passed_to_the_decoder(content):
    assert _image_limits.problem(content) is None
    if content[:1] == b"\xff":
        with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid JPEG data"):
            bounded(content)
    else:
        assert bounded(content) == content


def test_python_and_graph_agree_about_mutated_images():
    images = list(mutations.small_images().items())
    refused = 0
    for number in range(500):
        name, content = images[number % len(images)]
        data = mutations.mutated(content, random.Random(number))
        expected = _image_limits.problem(data)
        refused += expected is not None
        try:
            problem = inspect(data)[0].numpy().decode()
        except tf.errors.InvalidArgumentError:
            continue  # a damaged JPEG that libjpeg rejects first
        assert problem == (expected or ""), (number, name)
    assert refused > 5


def test_pixel_limit_is_inclusive():
    content = ACCEPTED["plain.png"]
    image_header.bounded(tf.constant(content), 24 * 32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="has 32 x 24 pixels, more than max_p"):
        image_header.bounded(tf.constant(content), 24 * 32 - 1)


@pytest.mark.parametrize("name", ["plain.jpg", "plain.png", "gray.jpg", "gray.png"])
def test_plain_image_is_accepted_from_its_first_bytes(name):
    assert image_layouts.is_plain(tf.constant(ACCEPTED[name]), 24 * 32)
    assert not image_layouts.is_plain(tf.constant(ACCEPTED[name]), 24 * 32 - 1)


@pytest.mark.parametrize("name", [*REFUSED, "progressive.jpg", "moving.gif"])
def test_first_bytes_never_accept_an_image_whose_frames_or_scans_must_be_counted(name):
    content = REFUSED[name][0] if name in REFUSED else ACCEPTED[name]
    assert not image_layouts.is_plain(tf.constant(content), _image_limits.MAX_PIXELS)


def test_first_bytes_of_several_images_are_judged_as_those_of_each():
    contents = [*ACCEPTED.values(), *(content for content, *_ in REFUSED.values()), b"", b"text"]
    several = image_layouts.is_plain(tf.constant(contents), 24 * 32)
    each = [bool(image_layouts.is_plain(tf.constant(content), 24 * 32)) for content in contents]
    assert several.numpy().tolist() == each
    assert 0 < sum(each) < len(each)


def test_png_files_are_alike_if_their_size_and_kind_of_pixels_are():
    color, other = (png((12, 10), "RGB", value) for value in (0, 90))
    assert image_layouts.are_alike(tf.constant([color, other]))
    assert image_layouts.are_alike(tf.constant([color]))
    for different in (png((10, 12), "RGB"), png((12, 10), "L"), ACCEPTED["plain.jpg"], b"", b"x"):
        assert not image_layouts.are_alike(tf.constant([color, other, different]))
        assert not image_layouts.are_alike(tf.constant([different, color]))
    assert not image_layouts.are_alike(tf.constant([ACCEPTED["plain.jpg"]] * 2))


def png(size, mode, value=0):
    file = io.BytesIO()
    PIL.Image.new(mode, size, value).save(file, "PNG")
    return file.getvalue()


def test_a_jpeg_with_few_scans_needs_no_further_check():
    few = ACCEPTED["optimized.jpg"]
    assert not image_layouts.is_plain(tf.constant(few), _image_limits.MAX_PIXELS)
    assert image_header._has_few_scans(tf.constant(few), _image_limits.MAX_PIXELS)
    assert not image_header._has_few_scans(tf.constant(few), 24 * 32)
    for name in ("scans.jpg", "segments.jpg", "false_size.jpg"):
        content = tf.constant(REFUSED[name][0])
        assert not image_header._has_few_scans(content, _image_limits.MAX_PIXELS)


def test_a_plain_graph_has_the_same_limits_without_functions():
    with tf.Graph().as_default() as graph:
        contents = tf.raw_ops.Placeholder(dtype=tf.string, shape=[])
        passed = image_header.bounded(contents)
    with tf.compat.v1.Session(graph=graph) as session:
        good = ACCEPTED["plain.jpg"]
        assert session.run(passed, {contents: good}) == good
        for name in ("tiny.webp", "frames.gif", "scans.jpg"):
            with pytest.raises(tf.errors.InvalidArgumentError) as error:
                session.run(passed, {contents: REFUSED[name][0]})
            assert image_header.find_problem(error.value.message) == REFUSED[name][1]


def test_decoder_with_max_pixels_has_its_own_limit():
    decoder = tfexample_decoder.TFExampleDecoder(
        {"image/encoded": tf.io.FixedLenFeature([], tf.string)},
        {"image": tfexample_decoder.Image(format_key=None)},
    )
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[ACCEPTED["plain.png"]]))
    record = tf.train.Example(features=tf.train.Features(feature={"image/encoded": value}))
    serialized = tf.constant(record.SerializeToString())
    assert decoder.decode(serialized)[0].shape == [24, 32, 3]
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than max_pixels=767"):
        decoder.with_max_pixels(767).decode(serialized)
    assert decoder.decode(serialized)[0].shape == [24, 32, 3]


@pytest.fixture
def in_file(tmp_path):
    """Calls a function with the range of a file that holds the content."""

    def call(function, content):
        (tmp_path / "file").write_bytes(b"before" + content + b"after")
        with _files.open_regular(tmp_path / "file") as file:
            return function(FileRange(file, 6, len(content)))

    return call


def test_a_range_of_a_file_has_the_same_problem_as_its_bytes(in_file):
    images = {name: content for name, (content, _) in REFUSED.items()} | ACCEPTED
    for name, content in images.items():
        assert in_file(_image_limits.problem, content) == _image_limits.problem(content), name
    small = list(mutations.small_images().values())
    for number in range(150):
        data = mutations.mutated(small[number % len(small)], random.Random(number))
        assert in_file(_image_limits.problem, data) == _image_limits.problem(data), number


def test_the_header_shows_the_size_but_not_scans_texts_and_frames(in_file):
    hidden = {"texts.png", "scans.jpg", "frame.gif", "frames.gif", "comments.gif", "image.jxl"}
    for name, (content, reason) in REFUSED.items():
        expected = None if name in hidden else reason
        assert in_file(_image_limits.header_problem, content) == expected, name
    assert not any(map(_image_limits.header_problem, ACCEPTED.values()))


def _large_jpeg(part):
    return bombs.JPEG[:2] + part * (_image_limits.METADATA_BYTES // len(part)) + bombs.JPEG[2:]


@pytest.mark.parametrize("part", [b"\xff\xe4\0\2", b"\xff\0", b"\xff\xd0"])
def test_the_size_behind_too_many_segments_is_unknown(part, in_file):
    content = _large_jpeg(part)
    reason = _image_limits.UNKNOWN_SIZE.format(len(content), 8_388_608)
    assert in_file(_image_limits.problem, content) == reason
    few = bombs.JPEG[:2] + part * 20_000 + bombs.JPEG[2:]  # smaller images are read to the end
    assert _image_limits.size(few) == (16, 16)


def test_fill_bytes_are_skipped(in_file):
    content = bombs.JPEG[:2] + b"\xff" * 9_000_000 + bombs.JPEG[2:]
    problem = f"has {len(content)} bytes, but an image of 16 x 16 pixels may have at most 8390656"
    assert in_file(_image_limits.header_problem, content) == problem
    for fill in (1, 2, 4_095, 4_096, 4_097, 9_000):
        assert _image_limits.size(bombs.JPEG[:2] + b"\xff" * fill + bombs.JPEG[2:]) == (16, 16)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("segments.jpg", REFUSED["segments.jpg"][1]),
        ("zeros.jpg", "is not a JPEG, PNG, GIF, BMP or WebP image"),
    ],
)
def test_large_file_is_rejected_before_it_is_read(name, reason, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(REFUSED[name][0])
    monkeypatch.setattr(_image_limits._files, "read_bounded", None)
    with pytest.raises(OSError, match=reason) as error:
        _image_limits.read(tmp_path / name)
    assert error.value.strerror == reason


def test_a_large_file_within_the_limits_is_read(tmp_path):
    for name, content in (("a.gif", ACCEPTED["long.gif"]), ("b.png", ACCEPTED["noise.png"])):
        (tmp_path / name).write_bytes(content)
        assert _image_limits.read(tmp_path / name) == content
