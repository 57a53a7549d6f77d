"""Reads and writes the flatbuffer of a TFLite file, and describes its operators.

Schema: tensorflow/lite/schema/schema.fbs, as generated in TensorFlow's package.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

_ALIGNMENT = 16  # of weights; the generated code aligns them to 4 bytes only
_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
_QUANTIZED = (schema.TensorType.INT8, schema.TensorType.UINT8)


class _Buffer(schema.BufferT):
    """A buffer that is written at an aligned position."""

    def Pack(self, builder: Any) -> int:
        data = b"" if self.data is None else self.data.tobytes()
        if data:
            builder.StartVector(1, len(data), _ALIGNMENT)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if data:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def read(content: bytes) -> Any:
    """Returns the `ModelT` of a file."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def write(model: Any) -> bytes:
    """Returns the file of a `ModelT`."""
    buffers = [_Buffer(buffer.data) for buffer in model.buffers]
    builder = flatbuffers.Builder(
        sum(0 if each.data is None else each.data.nbytes for each in buffers) + 4096
    )
    model.buffers = buffers
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a TFLite file.

    Attributes:
      name: its name.
      shape: with None for any size.
      quantized: whether its values are 8-bit integers.
      dtype: name in the schema, such as "INT8".
      scales: of its integers; one per channel of per-channel weights.
      zero_points: likewise.
      constant: content, if it is a constant.
    """

    name: str
    shape: tuple[int | None, ...]
    quantized: bool
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    constant: np.ndarray | None

    @property
    def num_bytes(self) -> int:
        """Size in memory, of one image if the batch size is variable."""
        size = np.dtype(self.dtype.lower() if self.dtype != "BOOL" else "bool").itemsize
        return int(np.prod([side or 1 for side in self.shape])) * size


@dataclasses.dataclass(frozen=True)
class Operator:
    """A node of a TFLite file.

    Attributes:
      name: name in the schema, such as "CONV_2D", or of a custom operator.
      inputs: indices of its input tensors; -1 for a missing one.
      outputs: indices of its output tensors.
      options: `builtinOptions` of the schema.
    """

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Any = None


class LiteFile:
    """The graph of a TFLite file with one subgraph.

    Args:
      content: content of the file.
    """

    def __init__(self, content: bytes) -> None:
        model = read(content)
        (graph,) = model.subgraphs
        names = [_operator_name(code) for code in model.operatorCodes]
        self.inputs = [int(index) for index in graph.inputs]
        self.outputs = [int(index) for index in graph.outputs]
        self.operators = [
            Operator(
                names[each.opcodeIndex], list(each.inputs), list(each.outputs), each.builtinOptions
            )
            for each in graph.operators
        ]
        self.tensors = [_tensor(each, model.buffers[each.buffer].data) for each in graph.tensors]

    @functools.cached_property
    def operator_names(self) -> list[str]:
        """Names of the different operators, sorted."""
        return sorted({each.name for each in self.operators})

    @property
    def per_channel(self) -> tuple[int, int]:
        """Number of convolutions with per-channel weights, and number of all convolutions."""
        weights = [
            self.tensors[each.inputs[1]]
            for each in self.operators
            if each.name in ("CONV_2D", "DEPTHWISE_CONV_2D")
        ]
        axis = (max(each.shape[0] or 1, each.shape[-1] or 1) for each in weights)
        count = sum(
            len(each.scales) > 1 or size == 1 for each, size in zip(weights, axis, strict=True)
        )
        return count, len(weights)


def _operator_name(code: Any) -> str:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return code.customCode.decode()
    return _NAMES[number]


_TYPES = {code: name for name, code in vars(schema.TensorType).items() if not name.startswith("_")}


def _tensor(tensor: Any, data: np.ndarray | None) -> Tensor:
    signature = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    shape = () if signature is None else tuple(int(side) for side in signature)
    quantization = tensor.quantization
    scales = () if quantization is None or quantization.scale is None else quantization.scale
    zeros = () if len(scales) == 0 else quantization.zeroPoint
    return Tensor(
        name=tensor.name.decode(),
        shape=tuple(None if side < 0 else side for side in shape),
        quantized=tensor.type in _QUANTIZED and len(scales) > 0,
        dtype=_TYPES[tensor.type],
        scales=tuple(float(each) for each in scales),
        zero_points=tuple(int(each) for each in zeros),
        constant=data if data is not None and len(data) else None,
    )
