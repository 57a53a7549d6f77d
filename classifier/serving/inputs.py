"""The images in the body of a request, checked: encoded files, or tensors for the network.

The JSON forms are those of TensorFlow Serving, https://www.tensorflow.org/tfx/serving/api_rest;
a body of type image/* is one image file. No TensorFlow here.
"""

import dataclasses
import http
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from slim import _checks

ENCODED, TENSOR = "image_bytes", "images"  # names of the input, as in the SavedModel
_EXAMPLE = "image/encoded"  # the feature of a `tf.train.Example`
# Signature -> its input.
SIGNATURES: Mapping[str, str] = {"serving_default": ENCODED, "image_tensor": TENSOR}
_MAX_FLOAT = float(np.finfo(np.float32).max)
_FILE_TYPES = ("image/", "application/octet-stream")

Input = bytes | np.ndarray


class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
      status: the HTTP status.

    Args:
      message: what is wrong.
      status: the HTTP status.
    """

    def __init__(self, message: str, status: int = http.HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = int(status)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may contain.

    Attributes:
      max_instances: maximum number of images.
      max_pixels: maximum number of pixels of a tensor of any size.
      shape: of a tensor, with None for a side of any size; None if the model decodes the images.
      dtype: of the tensors, float32 or uint8.
    """

    max_instances: int
    max_pixels: int
    shape: tuple[int | None, ...] | None = None
    dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
      images: encoded images, or tensors of the model's shape and dtype.
      by_columns: whether it has `inputs` instead of `instances`.
    """

    images: Sequence[Input]
    by_columns: bool = False


class _Predict(msgspec.Struct, forbid_unknown_fields=True):
    instances: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    signature_name: str | None = None


class _Classify(msgspec.Struct, forbid_unknown_fields=True):
    examples: list[msgspec.Raw]
    signature_name: str | None = None


class _Encoded(msgspec.Struct, forbid_unknown_fields=True):
    b64: bytes


def read_predict(body: bytes, content_type: str, limits: Limits) -> Request:
    """Returns the images of a request to predict.

    Args:
      body: JSON with `instances` or `inputs`, or an image file.
      content_type: of the body, in lowercase.
      limits: what it may contain.

    Raises:
      RequestError: if it is malformed, or exceeds a limit.
    """
    if content_type.startswith(_FILE_TYPES):
        return Request([_file(body)])
    request = _decoded(body, _Predict)
    by_columns = isinstance(request.inputs, msgspec.Raw)
    if by_columns == isinstance(request.instances, msgspec.Raw):
        raise RequestError("Use either instances, a list of images, or inputs, a batch of images")
    kind = None
    if request.signature_name is not None:
        try:
            name = _checks.one_of("signature_name", request.signature_name, SIGNATURES)
        except _checks.UserError as error:
            raise RequestError(str(error)) from None
        kind = SIGNATURES[name]
    if not by_columns:
        rows = _decoded(request.instances, list[msgspec.Raw], "instances")
        return Request(_images(rows, "instances", kind, limits))
    batch, where = request.inputs, "inputs"
    if _first(batch) == b"{":
        columns = _decoded(batch, dict[str, msgspec.Raw], where)
        ((name, batch),) = _only(columns, where).items()
        kind, where = _same(kind, name, where), f"inputs[{name!r}]"
    return Request(_images(_decoded(batch, list[msgspec.Raw], where), where, kind, limits), True)


def read_classify(body: bytes, content_type: str, limits: Limits) -> Request:
    """Returns the images of a request to classify.

    Args:
      body: JSON with `examples`, each `{"image/encoded": {"b64": ...}}`, or an image file.
      content_type: of the body.
      limits: what it may contain.

    Raises:
      RequestError: if it is malformed, or exceeds a limit.
    """
    if content_type.startswith(_FILE_TYPES):
        return Request([_file(body)])
    request = _decoded(body, _Classify)
    _check_number(len(request.examples), limits)
    images: list[Input] = []
    for index, row in enumerate(request.examples):
        where = f"examples[{index}]"
        example = _decoded(row, dict[str, _Encoded], where)
        if example.keys() != {_EXAMPLE}:
            raise RequestError(f"{where} has the features {_names(example)}. Allowed: {_EXAMPLE!r}")
        images.append(_file(example[_EXAMPLE].b64, where))
    return Request(images)


def _images(
    rows: Sequence[msgspec.Raw], where: str, kind: str | None, limits: Limits
) -> Sequence[Input]:
    _check_number(len(rows), limits)
    return [_image(row, f"{where}[{index}]", kind, limits) for index, row in enumerate(rows)]


def _check_number(number: int, limits: Limits) -> None:
    if not 1 <= number <= limits.max_instances:
        raise RequestError(f"The request has {number} images. Allowed: 1 to {limits.max_instances}")


def _image(row: msgspec.Raw, where: str, kind: str | None, limits: Limits) -> Input:
    if _first(row) == b"{":
        value = _decoded(row, dict[str, msgspec.Raw], where)
        if value.keys() == {"b64"}:
            _same(kind, ENCODED, where)
            return _file(_decoded(row, _Encoded, where).b64, where)
        ((name, row),) = _only(value, where).items()
        kind, where = _same(kind, name, where), f"{where}[{name!r}]"
        if kind == ENCODED:
            return _file(_decoded(row, _Encoded, where).b64, where)
    if kind == ENCODED:
        raise RequestError(f'{where} is not an encoded image, {{"b64": "..."}}')
    return _tensor(row, where, limits)


def _only(values: Mapping[str, msgspec.Raw], where: str) -> Mapping[str, msgspec.Raw]:
    if len(values) != 1:
        raise RequestError(f"{where} has the inputs {_names(values)}. Allowed: one, {_known()}")
    return values


def _same(kind: str | None, name: str, where: str) -> str:
    """Returns the input's name, which has to be that of the signature, if there is one."""
    if name not in SIGNATURES.values():
        raise RequestError(f"{where} has the input {name!r}. Allowed: {_known()}")
    if kind not in (None, name):
        raise RequestError(f"{where} is the input {name!r}, but the signature has {kind!r}")
    return name


def _known() -> str:
    return f"{ENCODED!r} (files) or {TENSOR!r} (tensors)"


def _names(values: Mapping[str, Any]) -> str:
    return _checks.listed((repr(name[:40]) for name in values), 5) or "none"


def _file(content: bytes, where: str = "The body") -> bytes:
    if not content:
        raise RequestError(f"{where} is empty. Expected: an encoded image")
    return content


def _tensor(row: msgspec.Raw, where: str, limits: Limits) -> np.ndarray:
    if limits.shape is None:
        raise RequestError(f'{where} is not an encoded image, {{"b64": "..."}}: the model decodes')
    text = bytes(row)
    # Before lists are built, which take far more memory than their text.
    height, width, channels = limits.shape
    pixels = height * width if height and width else limits.max_pixels
    if text.count(b",") >= pixels * channels or text.count(b"[") > 2 * pixels + 1:
        raise RequestError(f"{where} is larger than {_shape_text(limits)}")
    nested = _decoded(row, list[list[list[float]]], where)
    try:
        values = np.asarray(nested, np.float64)
    except ValueError:
        raise RequestError(f"{where} has rows of different lengths") from None
    sides = limits.shape if values.ndim == 3 else ()
    if not sides or any(s not in (None, n) for s, n in zip(sides, values.shape, strict=True)):
        shape = list(values.shape)
        raise RequestError(f"{where} has the shape {shape}. Expected: {_shape_text(limits)}")
    if not values.size:
        raise RequestError(f"{where} is empty. Expected: {_shape_text(limits)}")
    return _cast(values, where, limits.dtype)


def _cast(values: np.ndarray, where: str, dtype: str) -> np.ndarray:
    """Returns values as the model's dtype, which they have to fit."""
    kind = np.dtype(dtype)
    low, high = (0, 255) if kind == np.uint8 else (-_MAX_FLOAT, _MAX_FLOAT)
    fits = (low <= values) & (values <= high)
    if kind == np.uint8:
        fits &= values == np.floor(values)
    if not fits.all():
        bad = values[~fits][0]
        expected = "integers from 0 to 255" if kind == np.uint8 else "finite float32 numbers"
        raise RequestError(f"{where} contains {bad:g}. Expected: {expected}")
    return values.astype(kind)


def _shape_text(limits: Limits) -> str:
    sides = ("any" if side is None else str(side) for side in limits.shape or ())
    return f"{limits.dtype} [{', '.join(sides)}]"


def _first(raw: msgspec.Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


def _decoded(content: bytes | msgspec.Raw, kind: Any, where: str = "") -> Any:
    """Returns a JSON value of a type.

    Raises:
      RequestError: if it is malformed, not of that type, or nested too deeply.
    """
    at = f"{where}: " if where else ""
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError:
        raise RequestError(f"{at}the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{at}{str(error)[:300]}") from None
