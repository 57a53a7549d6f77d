"""TensorFlow Lite for Microcontrollers: its operators, and the memory of a model.

Operators: `Add...` methods of `tflite::MicroMutableOpResolver` in
tensorflow/lite/micro/micro_mutable_op_resolver.h, as of August 2026.
"""

import subprocess
import sys
from importlib import util
from typing import NamedTuple

from classifier.export.devices.lite_file import LiteFile

_NAMES = (
    "ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND"
    " BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM"
    " DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP"
    " EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER"
    " GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG"
    " LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM"
    " MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL"
    " REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2"
    " ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V"
    " SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE"
    " TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE"
)
_OPERATORS = frozenset(_NAMES.split())
# Methods whose names do not follow from the operator's words.
_METHODS = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}

# Bytes that the interpreter keeps for each tensor, operator and channel of quantized weights, on a
# 64-bit machine; half of it on a microcontroller.
_PER_TENSOR, _PER_OPERATOR, _PER_CHANNEL = 24, 64 + 128, 8
_FIXED = 2048
_ALIGNMENT = 16
_TIMEOUT = 120  # seconds
_MAX_ARENA = 1 << 28

# Searches the smallest arena. The interpreter ends the process for some invalid models.
_MEASURE = """
import sys
from tflite_micro.python.tflite_micro import runtime
content = sys.stdin.buffer.read()
def fits(size):
    try:
        runtime.Interpreter.from_bytes(content, arena_size=size)
        return True
    except Exception:
        return False
low, high = 0, int(sys.argv[1])
if not fits(high):
    sys.exit(1)
while high - low > 16:
    middle = (low + high) // 32 * 16
    low, high = (low, middle) if fits(middle) else (middle, high)
print(high)
"""


class Arena(NamedTuple):
    """Memory of a model.

    Attributes:
      num_bytes: size of the tensor arena.
      is_measured: whether the interpreter was run; otherwise it is an estimate.
    """

    num_bytes: int
    is_measured: bool


def missing_operators(file: LiteFile) -> list[str]:
    """Returns the operators that the interpreter does not have."""
    return [name for name in file.operator_names if name not in _OPERATORS]


def resolver_method(name: str) -> str:
    """Returns the method of `MicroMutableOpResolver` that adds an operator."""
    words = (word if word == "2D" else word.capitalize() for word in name.split("_"))
    return _METHODS.get(name, f"Add{''.join(words)}")


def arena(content: bytes) -> Arena:
    """Returns the size of the arena that a TFLite file needs.

    It is measured if the package tflite-micro is installed and runs the file.
    """
    measured = _measure(content) if util.find_spec("tflite_micro") is not None else None
    if measured is not None:
        return Arena(measured, True)
    return Arena(estimate(LiteFile(content)), False)


def _measure(content: bytes) -> int | None:
    command = [sys.executable, "-c", _MEASURE, str(_MAX_ARENA)]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    output = done.stdout.split()
    return int(output[-1]) if done.returncode == 0 and output else None


def estimate(file: LiteFile) -> int:
    """Returns an estimate of the arena: the tensors that are live at the same time, and what the
    interpreter keeps for each tensor, operator and channel."""
    first: dict[int, int] = dict.fromkeys(file.inputs, 0)
    last: dict[int, int] = dict.fromkeys(file.outputs, len(file.operators))
    channels = 0
    for step, operator in enumerate(file.operators):
        for index in operator.outputs:
            first.setdefault(index, step)
            last.setdefault(index, step)
        for index in operator.inputs:
            if index >= 0:
                last[index] = max(last.get(index, 0), step)
                tensor = file.tensors[index]
                if tensor.quantized and len(tensor.scales) > 1:
                    channels += len(tensor.scales)
    peak = max(
        sum(
            -(-file.tensors[index].num_bytes // _ALIGNMENT) * _ALIGNMENT
            for index, start in first.items()
            if start <= step <= last[index] and file.tensors[index].constant is None
        )
        for step in range(len(file.operators))
    )
    kept = _PER_TENSOR * len(file.tensors) + _PER_OPERATOR * len(file.operators)
    return peak + kept + _PER_CHANNEL * channels + _FIXED
