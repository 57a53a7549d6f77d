"""Requests that TensorFlow Serving answers itself before it lets clients to a new model.

The file holds a `PredictionLog` of `tensorflow_serving/apis` per record. Of that message only what
is needed is written, and by hand: every field used is of variable length, and a tensor is written
by TensorFlow itself. See https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from slim import _checks

PATH = os.path.join("assets.extra", "tf_serving_warmup_requests")
# Largest difference of a number between what was saved and what is loaded, as a share of the
# largest number.
TOLERANCE = 1e-5

# Numbers of the fields.
_PREDICT_LOG = 6  # of PredictionLog
_REQUEST = 1  # of PredictLog
_MODEL_SPEC, _INPUTS = 1, 2  # of PredictRequest
_NAME, _SIGNATURE_NAME = 1, 3  # of ModelSpec
_KEY, _VALUE = 1, 2  # of an entry of a map
_OF_VARIABLE_LENGTH = 2  # the wire type of strings and messages

Answer = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Request:
    """A call of a signature.

    Attributes:
      signature: its name.
      inputs: tensors by name.
    """

    signature: str
    inputs: Mapping[str, tf.Tensor]


def write(saved_model: str, model_name: str, requests: Sequence[Request]) -> None:
    """Writes the requests into a SavedModel.

    Args:
      saved_model: its folder.
      model_name: the name that it is served by.
      requests: at most 1000, for TensorFlow Serving refuses more.
    """
    path = os.path.join(saved_model, PATH)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for request in requests:
            writer.write(_encoded(model_name, request))


def read(saved_model: str) -> list[Request]:
    """Returns the requests in a SavedModel."""
    records = tf.data.TFRecordDataset(os.path.join(saved_model, PATH))
    return [_decoded(record) for record in records.as_numpy_iterator()]


def replay(
    saved_model: str, live: Mapping[str, Callable[..., Answer]], signatures: Mapping[str, Callable]
) -> int:
    """Answers the requests in a SavedModel and compares with what was saved.

    Args:
      saved_model: its folder.
      live: what was saved, by the names of the signatures.
      signatures: what was loaded.

    Returns:
      The number of requests.

    Raises:
      RunError: if an answer differs.
    """
    requests = read(saved_model)
    for request in requests:
        wanted = live[request.signature](**request.inputs)
        found = signatures[request.signature](**request.inputs)
        for name, expected in wanted.items():
            if name not in found or _differs(found[name].numpy(), expected.numpy()):
                raise _checks.RunError(
                    f"signature {request.signature!r} of the export answers a warm-up request with"
                    f" other {name} than the checkpoint, so it was not kept"
                )
    return len(requests)


def _differs(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.shape != expected.shape:
        return True
    if expected.dtype == object:  # names of classes: where two score the same, either will do
        return False
    scale = max(1.0, float(np.abs(expected).max()))
    return not float(np.abs(found - expected).max()) <= TOLERANCE * scale


def _encoded(model_name: str, request: Request) -> bytes:
    spec = _field(_NAME, model_name.encode()) + _field(_SIGNATURE_NAME, request.signature.encode())
    content = _field(_MODEL_SPEC, spec)
    for name, tensor in request.inputs.items():
        value = tf.make_tensor_proto(tensor).SerializeToString(deterministic=True)
        content += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, value))
    return _field(_PREDICT_LOG, _field(_REQUEST, content))


def _decoded(record: bytes) -> Request:
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
    return _varint(number << 3 | _OF_VARIABLE_LENGTH) + _varint(len(content)) + content


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the number and the content of each field of a message that `_field` wrote."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        length, at = _read_varint(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(value: int) -> bytes:
    """Returns 7 bits a byte, the lowest first; all but the last byte have the highest bit set."""
    more = bytearray()
    while value > 0x7F:
        more.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*more, value])


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Returns a number and where the next byte is."""
    value = shift = 0
    while message[at] > 0x7F:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1
