"""Whether the Edge TPU Compiler maps a TFLite file to the Edge TPU completely.

Rules: https://coral.ai/docs/edgetpu/models-intro, "Model requirements" and "Supported operations".
"""

from collections.abc import Callable, Iterator, Mapping

from classifier.export.devices.lite_file import LiteFile, Operator, Tensor

_MAX_SOFTMAX = 16_000  # elements

_NAMES = (
    "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED"
    " L2_NORMALIZATION LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE"
    " REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR"
    " RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM"
    " TANH TRANSPOSE TRANSPOSE_CONV"
)
_OPERATORS = frozenset(_NAMES.split())


def problems(file: LiteFile) -> list[str]:
    """Returns why a file is not ready for the Edge TPU Compiler; empty if it is."""
    return list(dict.fromkeys(_problems(file)))


def _problems(file: LiteFile) -> Iterator[str]:
    for kind, indices in (("input", file.inputs), ("output", file.outputs)):
        for tensor in (file.tensors[index] for index in indices):
            if tensor.dtype not in ("INT8", "UINT8"):
                yield f"{kind} {tensor.name} is {tensor.dtype}, not an 8-bit integer"
    for operator in file.operators:
        if operator.name not in _OPERATORS:
            yield f"operator {operator.name} is not supported"
            continue
        tensors = [file.tensors[index] for index in operator.inputs if index >= 0]
        outputs = [file.tensors[index] for index in operator.outputs]
        for tensor in (*tensors, *outputs):
            yield from _tensor_problems(tensor)
        if operator.name in _LIMITS:
            yield from _LIMITS[operator.name](operator, tensors, outputs)


def _tensor_problems(tensor: Tensor) -> Iterator[str]:
    if None in tensor.shape:
        yield "the batch size is variable"
    elif tensor.constant is None:
        if any(side != 1 for side in tensor.shape[:-3]):
            yield f"a tensor has shape {list(tensor.shape)}: only the last 3 sizes may exceed 1"
        if not tensor.quantized:
            yield f"a tensor is {tensor.dtype}, not an 8-bit integer"


def _softmax(_: Operator, inputs: list[Tensor], __: list[Tensor]) -> Iterator[str]:
    *leading, last = inputs[0].shape
    if any(side != 1 for side in leading) or (last or 0) > _MAX_SOFTMAX:
        yield f"SOFTMAX has an input of shape {list(inputs[0].shape)}: at most 1 x {_MAX_SOFTMAX}"


def _dilation(operator: Operator, _: list[Tensor], __: list[Tensor]) -> Iterator[str]:
    factors = operator.options.dilationHFactor, operator.options.dilationWFactor
    if operator.name == "DEPTHWISE_CONV_2D" and factors != (1, 1):
        yield "DEPTHWISE_CONV_2D is dilated"
    elif factors[0] != factors[1]:
        yield "CONV_2D has different dilations in height and width"


def _batch_unchanged(operator: Operator, inputs: list[Tensor], _: list[Tensor]) -> Iterator[str]:
    constant = inputs[1].constant
    values = () if constant is None else tuple(constant.view("<i4").tolist())
    is_in_batch = any(values[:2]) if operator.name == "PAD" else 0 in values
    if constant is None or is_in_batch:
        yield f"{operator.name} changes the batch dimension"


_LIMITS: Mapping[str, Callable[[Operator, list[Tensor], list[Tensor]], Iterator[str]]] = {
    "CONV_2D": _dilation,
    "DEPTHWISE_CONV_2D": _dilation,
    "MEAN": _batch_unchanged,
    "PAD": _batch_unchanged,
    "SOFTMAX": _softmax,
}
