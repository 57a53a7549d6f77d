"""Warm-up requests, which TensorFlow Serving runs before it serves a new model.

Each record of the file is a `PredictionLog` of `tensorflow_serving/apis`. This module encodes the
few fields it needs, which all have variable length; TensorFlow encodes the tensors. See
https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from slim import _checks

PATH = os.path.join("assets.extra", "tf_serving_warmup_requests")
# Maximum difference between saved and loaded outputs, relative to the largest value.
TOLERANCE = 1e-5

# Field numbers.
_PREDICT_LOG = 6  # in PredictionLog
_REQUEST = 1  # in PredictLog
_MODEL_SPEC, _INPUTS = 1, 2  # in PredictRequest
_NAME, _SIGNATURE_NAME = 1, 3  # in ModelSpec
_KEY, _VALUE = 1, 2  # in a map entry
_LENGTH_DELIMITED = 2  # the wire type of strings and messages

Outputs = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Request:
    """A call of a signature.

    Attributes:
      signature: name of the signature.
      inputs: tensors by name.
    """

    signature: str
    inputs: Mapping[str, tf.Tensor]


def write(saved_model: str, model_name: str, requests: Sequence[Request]) -> None:
    """Writes the requests into a SavedModel.

    Args:
      saved_model: directory of the SavedModel.
      model_name: name under which it is served.
      requests: at most 1000, the limit of TensorFlow Serving.
    """
    path = os.path.join(saved_model, PATH)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for request in requests:
            writer.write(_encode(model_name, request))


def read(saved_model: str) -> list[Request]:
    """Returns the requests in a SavedModel."""
    records = tf.data.TFRecordDataset(os.path.join(saved_model, PATH))
    return [_decode(record) for record in records.as_numpy_iterator()]


def replay(
    saved_model: str, live: Mapping[str, Callable[..., Outputs]], signatures: Mapping[str, Callable]
) -> int:
    """Runs the requests in a SavedModel and compares the outputs with those before saving.

    Args:
      saved_model: directory of the SavedModel.
      live: functions before saving, by signature name.
      signatures: loaded functions, by signature name.

    Returns:
      The number of requests.

    Raises:
      RunError: if an output differs.
    """
    requests = read(saved_model)
    for request in requests:
        expected = live[request.signature](**request.inputs)
        actual = signatures[request.signature](**request.inputs)
        for name, value in expected.items():
            if name not in actual or _differs(actual[name].numpy(), value.numpy()):
                raise _checks.RunError(
                    f"signature {request.signature!r} of the export returns other {name} for a"
                    " warm-up request than the checkpoint, so it was not kept"
                )
    return len(requests)


def _differs(actual: np.ndarray, expected: np.ndarray) -> bool:
    if actual.shape != expected.shape:
        return True
    if expected.dtype == object:  # class names, which may differ if scores are equal
        return False
    scale = max(1.0, float(np.abs(expected).max()))
    return not float(np.abs(actual - expected).max()) <= TOLERANCE * scale


def _encode(model_name: str, request: Request) -> bytes:
    spec = _field(_NAME, model_name.encode()) + _field(_SIGNATURE_NAME, request.signature.encode())
    content = _field(_MODEL_SPEC, spec)
    for name, tensor in request.inputs.items():
        value = tf.make_tensor_proto(tensor).SerializeToString(deterministic=True)
        content += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, value))
    return _field(_PREDICT_LOG, _field(_REQUEST, content))


def _decode(record: bytes) -> Request:
    request = dict(_fields(dict(_fields(record))[_PREDICT_LOG]))[_REQUEST]
    spec = dict(_fields(dict(_fields(request))[_MODEL_SPEC]))
    entries = [dict(_fields(each)) for number, each in _fields(request) if number == _INPUTS]
    proto = type(tf.make_tensor_proto(0))
    return Request(
        spec[_SIGNATURE_NAME].decode(),
        {
            entry[_KEY].decode(): tf.constant(tf.make_ndarray(proto.FromString(entry[_VALUE])))
            for entry in entries
        },
    )


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields number and content of each field of a message written by `_field`."""
    offset = 0
    while offset < len(message):
        tag, offset = _read_varint(message, offset)
        length, offset = _read_varint(message, offset)
        yield tag >> 3, message[offset : offset + length]
        offset += length


def _varint(value: int) -> bytes:
    """Returns 7 bits per byte, lowest first; all but the last byte have the highest bit set."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _read_varint(message: bytes, offset: int) -> tuple[int, int]:
    """Returns a number and the offset of the byte after it."""
    value = shift = 0
    while message[offset] > 0x7F:
        value |= (message[offset] & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
    return value | message[offset] << shift, offset + 1
