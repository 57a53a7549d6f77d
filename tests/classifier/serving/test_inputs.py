"""Bodies of requests."""

import json
import random

import numpy as np
import pytest

from classifier.serving import inputs
from classifier.serving.inputs import Limits, RequestError
from tests.classifier.serving.servers import encoded

JSON = "application/json"
LIMITS = Limits(3, 100, (2, 3, 1))
UINT8 = Limits(3, 100, (None, None, 3), "uint8")
FILES = Limits(3, 100)
TENSOR = [[[0.5], [-1], [2]], [[3], [4e-3], [5]]]
FILE = encoded(b"file")


def read(body, limits=LIMITS, function=inputs.read_predict):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return function(content, JSON, limits)


@pytest.mark.parametrize(
    "body, expected, by_columns",
    [
        ({"instances": [FILE, FILE]}, [b"file"] * 2, False),
        ({"instances": [{"image_bytes": FILE}]}, [b"file"], False),
        ({"inputs": [FILE]}, [b"file"], True),
        ({"inputs": {"image_bytes": [FILE]}}, [b"file"], True),
        ({"instances": [TENSOR], "signature_name": "image_tensor"}, [TENSOR], False),
        ({"instances": [TENSOR, FILE]}, [TENSOR, b"file"], False),
        ({"instances": [{"images": TENSOR}]}, [TENSOR], False),
        ({"inputs": [TENSOR, TENSOR]}, [TENSOR, TENSOR], True),
        ({"inputs": {"images": [TENSOR]}}, [TENSOR], True),
        ({"signature_name": "serving_default", "instances": [FILE]}, [b"file"], False),
    ],
)
def test_forms_of_a_request(body, expected, by_columns):
    request = read(body)
    assert request.by_columns == by_columns
    assert len(request.images) == len(expected)
    for actual, value in zip(request.images, expected, strict=True):
        if isinstance(value, bytes):
            assert actual == value
        else:
            assert actual.dtype == np.float32
            np.testing.assert_array_equal(actual, np.float32(value))


def test_a_body_that_is_a_file():
    for read_body in (inputs.read_predict, inputs.read_classify):
        assert read_body(b"file", "image/png", FILES).images == [b"file"]
        assert read_body(b"file", "application/octet-stream", FILES).images == [b"file"]
        with pytest.raises(RequestError, match="The body is empty. Expected: an encoded image"):
            read_body(b"", "image/png", FILES)


def test_examples_of_classify():
    request = read({"examples": [{"image/encoded": FILE}]}, function=inputs.read_classify)
    assert request.images == [b"file"]


def test_decoded_images_of_any_size():
    image = [[[1, 2, 3], [4, 5, 255]]]
    (actual,) = read({"instances": [image]}, UINT8).images
    assert actual.dtype == np.uint8
    np.testing.assert_array_equal(actual, image)


def with_first(value):
    return {"instances": [[[[value], [0], [0]], [[0], [0], [0]]]]}


@pytest.mark.parametrize(
    "body, message",
    [
        (b"", "Input data was truncated"),
        (b"\xff{}", "JSON is malformed"),
        (b"{", "Input data was truncated"),
        ([], "Expected `object`, got `array`"),
        ({"instances": [FILE], "more": 1}, "unknown field `more`"),
        ({}, "Use either instances, a list of images, or inputs, a batch of images"),
        ({"instances": [FILE], "inputs": [FILE]}, "Use either instances"),
        ({"instances": [FILE], "signature_name": "image_tensors"}, "did you mean 'image_tensor'"),
        ({"instances": []}, r"The request has 0 images\. Allowed: 1 to 3"),
        ({"instances": [FILE] * 4}, "The request has 4 images"),
        ({"instances": FILE}, "instances: Expected `array`"),
        ({"instances": ["text"]}, r"instances\[0\]: Expected `array`, got `str`"),
        ({"instances": [{"b64": "a"}]}, r"instances\[0\]: Invalid base64 encoded string"),
        ({"instances": [{"b64": "YW Jj"}]}, "Invalid base64 encoded string"),
        ({"instances": [{"b64": 1}]}, "Expected `bytes`, got `int`"),
        ({"instances": [{"b64": ""}]}, r"instances\[0\] is empty. Expected: an encoded image"),
        ({"instances": [{"b64": "YQ==", "x": 1}]}, "has the inputs 'b64', 'x'. Allowed: one"),
        ({"instances": [{}]}, "has the inputs none"),
        ({"instances": [{"photo": FILE}]}, "has the input 'photo'. Allowed: 'image_bytes'"),
        ({"inputs": {"photo": [FILE]}}, "has the input 'photo'"),
        ({"inputs": {"images": FILE}}, r"inputs\['images'\]: Expected `array`"),
        ({"instances": [{"image_bytes": {"image_bytes": FILE}}]}, "unknown field `image_bytes`"),
        (
            {"instances": [TENSOR], "signature_name": "serving_default"},
            r"instances\[0\] is not an encoded image",
        ),
        (
            {"instances": [FILE], "signature_name": "image_tensor"},
            "is the input 'image_bytes', but the signature has 'images'",
        ),
        ({"instances": [[[1]]]}, "Expected `array`, got `int`"),
        ({"instances": [[[[1]]]]}, r"has the shape \[1, 1, 1\]. Expected: float32 \[2, 3, 1\]"),
        ({"instances": [[[[1], [2]], [[1]]]]}, "has rows of different lengths"),
        ({"instances": [[]]}, r"has the shape \[0\]"),
        ({"instances": [[[[1] * 7]]]}, r"is larger than float32 \[2, 3, 1\]"),
        ({"instances": [[[[]] * 9] * 9]}, "is larger than"),
        (with_first("1"), "Expected `float`, got `str`"),
        (with_first(True), "Expected `float`, got `bool`"),
        (with_first(None), "Expected `float`, got `null`"),
        (with_first(1e39), r"contains 1e\+39. Expected: finite float32 numbers"),
        (b'{"instances": [[[[NaN], [0], [0]], [[0], [0], [0]]]]}', "JSON is malformed"),
        (b'{"instances": [[[[1e999], [0], [0]], [[0], [0], [0]]]]}', "Number out of range"),
        (b'{"instances": [[[[-Infinity]]]]}', "malformed"),
        (b'{"instances": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "the JSON is nested too deeply"),
        (b'{"instances": [{"\xff": 1}]}', "utf-8"),
    ],
)
def test_an_invalid_request_is_an_error(body, message):
    with pytest.raises(RequestError, match=message) as caught:
        read(body)
    assert caught.value.status == 400
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "body, limits, message",
    [
        ({"instances": [[[[1, 2, 256]]]]}, UINT8, "contains 256. Expected: integers from 0 to 255"),
        ({"instances": [[[[1, 2, 0.5]]]]}, UINT8, "contains 0.5"),
        ({"instances": [[[[1, 2]]]]}, UINT8, r"Expected: uint8 \[any, any, 3\]"),
        ({"instances": [[[[1, 2, 3]] * 101]]}, UINT8, "is larger than"),
        ({"instances": [[[], []]]}, UINT8, "has the shape"),
        ({"instances": [TENSOR]}, FILES, "is not an encoded image, .*: the model decodes"),
    ],
)
def test_an_image_that_does_not_fit_the_model_is_an_error(body, limits, message):
    with pytest.raises(RequestError, match=message):
        read(body, limits)


@pytest.mark.parametrize(
    "body, message",
    [
        ({"instances": [FILE]}, "unknown field `instances`"),
        ({"examples": []}, "The request has 0 images"),
        ({"examples": [{"image": FILE}]}, "has the features 'image'. Allowed: 'image/encoded'"),
        ({"examples": [{"image/encoded": FILE, "x": FILE}]}, "has the features"),
        ({"examples": [{"image/encoded": "x"}]}, "Expected `object`, got `str`"),
    ],
)
def test_an_invalid_request_to_classify_is_an_error(body, message):
    with pytest.raises(RequestError, match=message):
        read(body, function=inputs.read_classify)


def test_mutated_requests_are_read_or_refused():
    bodies = [
        json.dumps(body).encode()
        for body in (
            {"instances": [FILE, {"image_bytes": FILE}], "signature_name": "serving_default"},
            {"inputs": {"images": [TENSOR]}},
            {"examples": [{"image/encoded": FILE}]},
        )
    ]
    pieces = [b'"', b"{", b"}", b"[", b"]", b",", b"null", b"1e999", b"\xff", b"\\ud800", b"-0"]
    chance, outcomes = random.Random(0), {True: 0, False: 0}
    for number in range(3000):
        body = bytearray(bodies[number % 3])
        for _ in range(chance.randint(0, 2)):
            start = chance.randrange(len(body))
            end = start + chance.choice((0, 1, 1, 8))
            body[start:end] = chance.choice((*pieces, b"", bytes([chance.randrange(256)])))
        function = inputs.read_classify if number % 3 == 2 else inputs.read_predict
        for limits in (LIMITS, UINT8, FILES):
            try:
                images = function(bytes(body), JSON, limits).images
            except RequestError:
                outcomes[False] += 1
            else:
                outcomes[True] += 1
                assert 1 <= len(images) <= limits.max_instances
    assert min(outcomes.values()) > 500
